//! The WriterActor: gathers the events of many requests into few transactions, and answers each after its commit. The
//! webhook's handler sends it events; it tells the JudgeActor that there is news.
//!
//! An event that comes while nothing is being written is written at once, alone; while a transaction is under way, the
//! next batch gathers by itself. Nothing is held back by a timer to make a batch larger.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, Supervised, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::Slot;
use crate::receiver::judging::judge::News;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{Appended, FleetStore, NewEvent, StoreError, within};
use crate::running::causes;
use crate::running::clock::Clock;

/// Most events of one transaction.
const LARGEST_BATCH: usize = 512;

/// Number of waiting events from which a further transaction beside those under way is worth its cost.
const WORTH_ANOTHER: usize = 64;

/// How long an event may wait before it is given up. A sender waits for 5 seconds, the way included.
const PATIENCE: Duration = Duration::from_secs(4);

/// Time limit of one transaction; one that takes longer is abandoned.
const BATCH_LIMIT: Duration = Duration::from_secs(3);

/// What is left of a sender's patience for the transaction of its event.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Time between two looks for events that have waited for too long.
const LOOK: Duration = Duration::from_millis(250);

/// Pause after a store did not answer, until it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Store this event and answer when it is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Append {
    pub(crate) event: NewEvent,
    pub(crate) waiter: Waiter,
}

/// The request that waits for the answer.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// When the event arrived.
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Result<Appended, NotStored>>,
    pub(crate) slot: Slot,
}

impl Waiter {
    fn answer(self, answer: Result<Appended, NotStored>) {
        // The slot is free before the sender can come again.
        drop(self.slot);
        let _ = self.answer.send(answer);
    }
}

/// The store is ready: write what waits, and tell the judge of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ready {
    pub(crate) judge: Recipient<News>,
}

/// The event is not stored, or that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// It was not stored in time, or cannot be before an operator has mended something.
    Late,
    /// The store never takes it.
    Refused,
}

/// Answer when nothing is waiting and nothing is being written.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain(pub(crate) oneshot::Sender<()>);

pub(crate) struct WriterActor {
    store: Arc<dyn FleetStore>,
    clock: Clock,
    metrics: Metrics,
    /// `None` before the store is ready: until then it is not tried.
    judge: Option<Recipient<News>>,
    /// Most transactions at a time.
    writers: usize,
    waiting: VecDeque<Append>,
    /// Transactions that are under way.
    at_work: usize,
    /// Batches that are stored and whose waiters are being answered.
    answering: usize,
    /// The store did not answer. It is not tried until the pause is over.
    pausing: bool,
    /// The last transaction failed.
    failing: bool,
    /// Number of waiting events that are written one by one, after a batch was refused, to find the one that is to blame.
    one_by_one: usize,
    draining: Vec<oneshot::Sender<()>>,
}

impl WriterActor {
    pub(crate) fn new(store: Arc<dyn FleetStore>, clock: Clock, metrics: Metrics) -> Self {
        Self {
            writers: store.writers(),
            store,
            clock,
            metrics,
            judge: None,
            waiting: VecDeque::new(),
            at_work: 0,
            answering: 0,
            pausing: false,
            failing: false,
            one_by_one: 0,
            draining: Vec::new(),
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK, |actor, ctx| {
            if !actor.waiting.is_empty() {
                actor.write(ctx);
            }
        });
        // After a restart events may wait, and a drain for their end.
        self.write(ctx);
    }
}

impl Supervised for WriterActor {
    /// What was being written is dropped with its answers and its slots in the backlog, so its waiters get 503; whether
    /// it was stored is not known. What waits is kept, and written next.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.at_work = 0;
        self.answering = 0;
        self.pausing = false;
        self.one_by_one = 0;
    }
}

impl Handler<Append> for WriterActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Context<Self>) {
        tracing::trace!("takes Append");
        self.waiting.push_back(append);
        self.write(ctx);
    }
}

impl Handler<Ready> for WriterActor {
    type Result = ();

    fn handle(&mut self, Ready { judge }: Ready, ctx: &mut Context<Self>) {
        tracing::trace!("takes Ready");
        self.judge = Some(judge);
        self.write(ctx);
    }
}

impl Handler<Drain> for WriterActor {
    type Result = ();

    fn handle(&mut self, Drain(answer): Drain, _: &mut Context<Self>) {
        tracing::trace!("takes Drain");
        self.draining.push(answer);
        self.answer_if_drained();
    }
}

impl WriterActor {
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.give_up_the_late();
        while self.may_begin() {
            self.begin(ctx);
        }
        self.answer_if_drained();
    }

    fn answer_if_drained(&mut self) {
        if self.at_work + self.answering == 0 && self.waiting.is_empty() {
            self.draining.drain(..).for_each(|answer| _ = answer.send(()));
        }
    }

    fn may_begin(&self) -> bool {
        let enough = if self.at_work == 0 { 1 } else { WORTH_ANOTHER };
        self.judge.is_some() && !self.pausing && self.at_work < self.writers && self.waiting.len() >= enough
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        let size = if self.one_by_one > 0 { 1 } else { LARGEST_BATCH.min(self.waiting.len()) };
        self.one_by_one = self.one_by_one.saturating_sub(1);
        let (events, waiters): (Vec<NewEvent>, Vec<Waiter>) =
            self.waiting.drain(..size).map(|append| (append.event, append.waiter)).unzip();
        self.at_work += 1;
        let store = self.store.clone();
        let age = self.clock.monotonic().duration_since(waiters[0].since);
        let limit = BATCH_LIMIT.min((PATIENCE + LAST_MOMENT).saturating_sub(age));
        let work = async move {
            let outcome = within(limit, store.append(&events)).await;
            (events, waiters, outcome)
        };
        ctx.spawn(work.into_actor(self).map(|(events, waiters, outcome), actor, ctx| {
            actor.at_work -= 1;
            match outcome {
                Ok(answers) => actor.stored(events, waiters, answers, ctx),
                Err(error) => actor.not_stored(events, waiters, error, ctx),
            }
            actor.write(ctx);
        }));
    }

    fn stored(
        &mut self,
        events: Vec<NewEvent>,
        waiters: Vec<Waiter>,
        answers: Vec<Appended>,
        ctx: &mut Context<Self>,
    ) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("[receiver] events are stored again");
        }
        let answer = async move {
            // What waits goes to the store first, which works while these are answered.
            tokio::task::yield_now().await;
            for ((event, waiter), appended) in events.iter().zip(waiters).zip(answers) {
                if appended == Appended::New {
                    tracing::debug!(
                        "[events] <- telemetry.custom id={} kind=usr persist=true",
                        &event.id.simple().to_string()[..8]
                    );
                }
                waiter.answer(Ok(appended));
            }
        };
        self.answering += 1;
        ctx.spawn(answer.into_actor(self).map(|(), actor, _| {
            actor.answering -= 1;
            actor.answer_if_drained();
        }));
        let _ = self.judge.as_ref().map(|judge| judge.try_send(News));
    }

    fn not_stored(
        &mut self,
        events: Vec<NewEvent>,
        waiters: Vec<Waiter>,
        error: StoreError,
        ctx: &mut Context<Self>,
    ) {
        self.metrics.store_failed();
        match error {
            StoreError::Refused(_) if events.len() == 1 => {
                tracing::error!("[receiver] an event cannot be stored: {}", causes::in_one_line(&error));
                waiters.into_iter().for_each(|waiter| waiter.answer(Err(NotStored::Refused)));
                return;
            }
            StoreError::NotYet(_) if events.len() == 1 => {
                tracing::warn!("[receiver] an event cannot be stored yet: {}", causes::in_one_line(&error));
                waiters.into_iter().for_each(|waiter| waiter.answer(Err(NotStored::Late)));
                return;
            }
            StoreError::Refused(_) | StoreError::NotYet(_) => self.one_by_one += events.len(),
            StoreError::Unavailable(_) => {
                self.log_once(events.len(), &error);
                self.pause(ctx);
            }
        }
        // Whether they were stored is not known where the connection broke at the commit; a second time does no harm.
        for (event, waiter) in events.into_iter().zip(waiters).rev() {
            self.waiting.push_front(Append { event, waiter });
        }
    }

    /// Logs a failure once: a store that is down would fill the log.
    fn log_once(&mut self, count: usize, error: &StoreError) {
        let error = causes::in_one_line(error);
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!("[receiver] {count} events could not be stored: {error}");
        } else {
            tracing::warn!(
                "[receiver] events cannot be stored, and are turned away with 503 until they can: {error}"
            );
        }
    }

    fn pause(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.pausing, true) {
            ctx.run_later(PAUSE, |actor, ctx| {
                actor.pausing = false;
                actor.write(ctx);
            });
        }
    }

    /// Answers events that have waited for too long. The oldest are in front.
    fn give_up_the_late(&mut self) {
        let now = self.clock.monotonic();
        let late =
            self.waiting.iter().take_while(|append| now.duration_since(append.waiter.since) >= PATIENCE);
        for late in self.waiting.drain(..late.count()) {
            late.waiter.answer(Err(NotStored::Late));
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::receiver::fixture;
    use crate::receiver::ingest::backlog::Backlog;
    use crate::receiver::store::{Schema, SqliteFleetStore};

    struct NoJudge;

    impl Actor for NoJudge {
        type Context = Context<Self>;
    }

    impl Handler<News> for NoJudge {
        type Result = ();

        fn handle(&mut self, _: News, _: &mut Context<Self>) {}
    }

    #[actix_web::test]
    async fn a_drained_writer_has_answered_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let clock = Clock::system();
        let writer = WriterActor::new(store, clock.clone(), Metrics::default()).start();
        writer.do_send(Ready { judge: NoJudge.start().recipient() });
        let (answer, mut answered) = oneshot::channel();
        let waiter = Waiter { since: clock.monotonic(), answer, slot: Backlog::new().enter().unwrap() };
        writer.do_send(Append { event: fixture::event(1, clock.timestamp()), waiter });
        let (drained, drain) = oneshot::channel();
        writer.do_send(Drain(drained));
        drain.await.unwrap();
        assert_eq!(answered.try_recv(), Ok(Ok(Appended::New)));
    }
}
