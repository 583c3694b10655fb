//! The JudgeActor: once a second, and soon after news, judges the instances that are due. Before it does, it leaves the
//! mark by which receivers know that one of them is at work, and so when none was.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, Recipient, Supervised,
    WrapFuture,
};
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::judgement;
use super::marking::{Marks, STEP_LIMIT, TICK};
use super::muting::{self, ReadFilter};
use crate::receiver::alerting::alerter::Alerts;
use crate::receiver::clock::ReceiverClock;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{FleetStore, Mute, Outage, StoreError, within};
use crate::running::causes;

/// Shortest time between two passes that news asked for.
const REST: Duration = Duration::from_millis(100);

/// Most instances that one transaction judges.
const BATCH: i64 = 500;

/// Time after which a pass ends and the next one goes on. That one leaves the mark again, which must not be missing for as
/// long as makes an outage.
const PASS: Duration = Duration::from_secs(10);

/// Events were stored.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct News;

/// What the last pass of this receiver left to be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    /// When it was.
    pub(crate) at: Option<Timestamp>,
    /// The outages that the store remembers, oldest first.
    pub(crate) outages: Vec<Outage>,
}

/// Judge all that is due now.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(crate) struct JudgeDue;

pub(crate) struct JudgeActor {
    store: Arc<dyn FleetStore>,
    clock: ReceiverClock,
    metrics: Metrics,
    alerts: Option<Recipient<Alerts>>,
    outage_after: Duration,
    /// How the filters of mutes are read.
    read_filter: ReadFilter,
    /// Where the last pass is shown.
    judged: watch::Sender<Judged>,
    /// What the marks told.
    marks: Marks,
    /// The last outage that was logged.
    told: Option<Outage>,
    /// The mutes of the last pass; `None` where it failed or there was none.
    mutes: Option<Vec<Uuid>>,
    /// Whether a pass is planned already.
    pass_is_planned: bool,
    /// The store did not answer the last time.
    failing: bool,
}

impl JudgeActor {
    pub(crate) fn new(
        store: Arc<dyn FleetStore>,
        clock: ReceiverClock,
        metrics: Metrics,
        alerts: Option<Recipient<Alerts>>,
        outage_after: Duration,
        read_filter: ReadFilter,
        judged: watch::Sender<Judged>,
    ) -> Self {
        Self {
            store,
            clock,
            metrics,
            alerts,
            outage_after,
            read_filter,
            judged,
            marks: Marks::default(),
            told: None,
            mutes: None,
            pass_is_planned: false,
            failing: false,
        }
    }

    fn plan_pass(&mut self, after: Duration, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.pass_is_planned, true) {
            ctx.notify_later(JudgeDue, after);
        }
    }

    fn finish(
        &mut self,
        marks: Marks,
        outcome: Result<Passed, StoreError>,
        ctx: &mut Context<Self>,
    ) -> Result<(), StoreError> {
        self.marks = marks;
        let Passed { now, mutes, count, is_done } = outcome.inspect_err(|error| {
            self.metrics.store_failed();
            if !std::mem::replace(&mut self.failing, true) {
                let error = causes::in_one_line(error);
                tracing::warn!("[receiver] instances cannot be judged: {error}");
            }
        })?;
        if std::mem::take(&mut self.failing) {
            tracing::info!("[receiver] instances are judged again");
        }
        let outages = self.marks.outages.clone();
        if let Some(outage) = outages.last().filter(|last| self.told.as_ref() != Some(last)) {
            self.told = Some(*outage);
            tracing::info!(
                "[receiver] no receiver was at work from {} to {}; no instance is late for that",
                outage.began_at,
                outage.ended_at
            );
        }
        self.judged.send_replace(Judged { at: Some(now), outages });
        self.mutes = Some(mutes);
        if !is_done {
            self.plan_pass(Duration::ZERO, ctx);
        }
        if count > 0
            && let Some(alerts) = &self.alerts
        {
            let _ = alerts.try_send(Alerts);
        }
        Ok(())
    }
}

impl Actor for JudgeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, |actor, ctx| actor.plan_pass(Duration::ZERO, ctx));
        self.plan_pass(Duration::ZERO, ctx);
    }
}

impl Supervised for JudgeActor {
    /// The pass under way is lost, and with it a look that was planned: `started` asks for the next one. What a pass had
    /// judged before is in the store.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.pass_is_planned = false;
    }
}

impl Handler<News> for JudgeActor {
    type Result = ();

    fn handle(&mut self, _: News, ctx: &mut Context<Self>) {
        tracing::trace!("takes News");
        self.plan_pass(REST, ctx);
    }
}

impl Handler<JudgeDue> for JudgeActor {
    type Result = AtomicResponse<Self, Result<(), StoreError>>;

    fn handle(&mut self, _: JudgeDue, _: &mut Context<Self>) -> Self::Result {
        tracing::trace!("takes JudgeDue");
        self.pass_is_planned = false;
        let (store, clock, outage_after) = (self.store.clone(), self.clock.clone(), self.outage_after);
        let (marks, has_alerts) = (self.marks.clone(), self.alerts.is_some());
        let mutes = Mutes { known: self.mutes.take(), read_filter: self.read_filter };
        let pass = async move {
            let mut marks = marks;
            let outcome = pass(&*store, &clock, &mut marks, outage_after, mutes, has_alerts).await;
            (marks, outcome)
        };
        AtomicResponse::new(Box::pin(
            pass.into_actor(self).map(|(marks, outcome), actor, ctx| actor.finish(marks, outcome, ctx)),
        ))
    }
}

/// The outcome of a pass.
struct Passed {
    /// The time that was judged by.
    now: Timestamp,
    mutes: Vec<Uuid>,
    count: usize,
    /// All that was due is judged.
    is_done: bool,
}

/// What a pass needs to know of mutes.
struct Mutes {
    /// Those of the pass before.
    known: Option<Vec<Uuid>>,
    read_filter: ReadFilter,
}

impl Mutes {
    /// The mutes as they are stored. Where one of the pass before is gone, or it is not known what that pass went by, what
    /// was kept back for it is judged again.
    async fn load(
        self,
        store: &dyn FleetStore,
        now: Timestamp,
    ) -> Result<(Vec<Uuid>, Vec<Mute>), StoreError> {
        let stored = store.mutes().await?;
        let ids: Vec<Uuid> = stored.iter().map(|mute| mute.id).collect();
        let is_gone = |id: &Uuid| !ids.contains(id);
        if self.known.is_none_or(|known| known.iter().any(is_gone)) {
            store.wake_untold(now).await?;
        }
        Ok((ids, stored))
    }
}

async fn pass(
    store: &dyn FleetStore,
    clock: &ReceiverClock,
    marks: &mut Marks,
    outage_after: Duration,
    mutes: Mutes,
    has_alerts: bool,
) -> Result<Passed, StoreError> {
    let began = clock.monotonic();
    let now = marks.leave(store, clock, outage_after).await?;
    let read_filter = mutes.read_filter;
    let (mutes, stored) = within(STEP_LIMIT, mutes.load(store, now)).await?;
    let in_force = muting::in_force(&stored, now, read_filter);
    let decide = |instance: &_, runs: &[_]| {
        let mut judgement = judgement::decide(instance, runs, &marks.outages, now);
        match has_alerts {
            true => muting::settle(&mut judgement, instance, &in_force),
            // Nothing would ever take them out of the outbox.
            false => judgement.alerts.clear(),
        }
        judgement
    };
    let mut count = 0;
    loop {
        let batch = within(STEP_LIMIT, store.judge(now, BATCH, &decide)).await?;
        count += batch;
        let is_done = batch < usize::try_from(BATCH).unwrap_or_default();
        if is_done || clock.monotonic().duration_since(began) >= PASS {
            return Ok(Passed { now, mutes, count, is_done });
        }
    }
}
