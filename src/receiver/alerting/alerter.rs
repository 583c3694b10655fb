//! The AlerterActor: delivers the alerts that the judge put into the outbox in the store (receiver §5). A digest is delivered at least once: it stays in the outbox until it was taken, over any restart, and
//! every try of it has the same id and content.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised, WrapFuture,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::board::{AlertBoard, Answered, SendTest};
use crate::outgoing::client::HttpTransport;
use crate::outgoing::request::Request;
use crate::outgoing::target::Target;
use crate::outgoing::{TIME_LIMIT, Transport};
use crate::receiver::clock::ReceiverClock;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{Change, Digest, FleetStore, StoreError, Transition, within};
use crate::running::causes;

const USER_AGENT: &str = concat!("deployment-telemetry/", env!("CARGO_PKG_VERSION"));

/// Time between two looks into the outbox, for alerts that another receiver decided or whose next try is due.
const TICK: Duration = Duration::from_secs(5);

/// How long alerts are gathered for one digest.
const GATHER: Duration = Duration::from_secs(1);

/// Most alerts of one digest.
const LARGEST_DIGEST: i64 = 500;

/// Time limit of a question to the store; it is asked again later.
const STORE_LIMIT: Duration = Duration::from_secs(10);

/// Pause after the first try of a digest; it doubles with each try.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(15);

/// Longest pause between two tries.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// There may be alerts to deliver.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Alerts;

/// Deliver a digest, where one is due. From the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver;

pub(crate) struct AlerterActor {
    store: Arc<dyn FleetStore>,
    clock: ReceiverClock,
    metrics: Metrics,
    board: AlertBoard,
    to: Rc<Target>,
    transport: Rc<dyn Transport>,
    /// Whether a look into the outbox is planned already.
    look_is_planned: bool,
    /// The last delivery failed.
    failing: bool,
}

impl AlerterActor {
    pub(crate) fn new(
        store: Arc<dyn FleetStore>,
        clock: ReceiverClock,
        metrics: Metrics,
        board: AlertBoard,
        to: Target,
    ) -> Self {
        let transport = HttpTransport::to(&to);
        let to = Rc::new(to);
        Self { store, clock, metrics, board, to, transport, look_is_planned: false, failing: false }
    }

    fn look(&mut self, after: Duration, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.look_is_planned, true) {
            ctx.notify_later(Deliver, after);
        }
    }

    /// Delivers one digest, and then looks for the next.
    fn deliver(&mut self, ctx: &mut Context<Self>) {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let (to, transport, board) = (self.to.clone(), self.transport.clone(), self.board.clone());
        let work = async move {
            let now = clock.timestamp();
            let next_try = |tries| now.saturating_add(pause(tries)).unwrap_or(Timestamp::MAX);
            let taken = within(STORE_LIMIT, store.take_digest(now, &next_try, LARGEST_DIGEST)).await?;
            let Some(digest) = taken else { return Ok(None) };
            let request = compose(&to, &digest, &clock);
            let answered = send(&*transport, request, &clock, digest.alerts.len()).await;
            board.note(answered.clone());
            let noted = match &answered.failure {
                None => store.digest_delivered(digest.id, answered.at),
                Some(why) => store.digest_failed(digest.id, answered.at, why),
            };
            within(STORE_LIMIT, noted).await?;
            Ok(Some((digest, answered.failure)))
        };
        ctx.spawn(work.into_actor(self).map(|outcome, actor, ctx| {
            actor.look_is_planned = false;
            if actor.finish(outcome) {
                actor.look(Duration::ZERO, ctx);
            }
        }));
    }

    /// Logs the outcome of a delivery. Returns whether there may be more to deliver at once.
    fn finish(&mut self, outcome: Result<Option<(Digest, Option<String>)>, StoreError>) -> bool {
        match outcome {
            Ok(None) => false,
            Ok(Some((digest, None))) => {
                let count = digest.alerts.len();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("[receiver] alerts arrive again: {count} sent");
                } else {
                    tracing::debug!("[receiver] {count} alerts sent id={}", digest.id);
                }
                true
            }
            Ok(Some((digest, Some(why)))) => {
                let count = digest.alerts.len();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        "[receiver] {count} alerts could not be sent to {}: {why}; they are kept and tried again",
                        self.to.endpoint.host()
                    );
                } else {
                    tracing::debug!(
                        "[receiver] {count} alerts could not be sent, try {}: {why}",
                        digest.tries
                    );
                }
                false
            }
            Err(error) => {
                self.metrics.store_failed();
                let error = causes::in_one_line(&error);
                tracing::debug!("[receiver] the outbox of alerts cannot be read: {error}");
                false
            }
        }
    }
}

impl Actor for AlerterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, |actor, ctx| actor.look(Duration::ZERO, ctx));
        self.look(Duration::ZERO, ctx);
    }
}

impl Supervised for AlerterActor {
    /// A delivery under way is lost. Its digest is in the store and due again after a pause, with the same id.
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.look_is_planned = false;
    }
}

impl Handler<Alerts> for AlerterActor {
    type Result = ();

    fn handle(&mut self, _: Alerts, ctx: &mut Context<Self>) {
        tracing::trace!("takes Alerts");
        self.look(GATHER, ctx);
    }
}

impl Handler<Deliver> for AlerterActor {
    type Result = ();

    fn handle(&mut self, _: Deliver, ctx: &mut Context<Self>) {
        tracing::trace!("takes Deliver");
        self.deliver(ctx);
    }
}

impl Handler<SendTest> for AlerterActor {
    type Result = ResponseFuture<Answered>;

    fn handle(&mut self, _: SendTest, _: &mut Context<Self>) -> Self::Result {
        tracing::trace!("takes SendTest");
        let request = compose_test(&self.to, &self.clock);
        let (transport, clock, board) = (self.transport.clone(), self.clock.clone(), self.board.clone());
        Box::pin(async move {
            let answered = send(&*transport, request, &clock, 0).await;
            board.note(answered.clone());
            answered
        })
    }
}

/// Sends a request with this many alerts.
async fn send(transport: &dyn Transport, request: Request, clock: &ReceiverClock, alerts: usize) -> Answered {
    let (status, failure) = match transport.send(request, TIME_LIMIT).await {
        Ok(answer) if answer.is_success() => (Some(answer.status), None),
        Ok(answer) => (Some(answer.status), Some(format!("status {}", answer.status))),
        Err(failure) => (None, Some(failure.message)),
    };
    Answered { at: clock.timestamp(), alerts, status, failure }
}

/// The pause after this many tries.
fn pause(tries: i32) -> SignedDuration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(16);
    (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE)
}

/// The body of an alert, one or many, as Standard Webhooks recommends it. `docs/receiver.md` explains it.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    summary: String,
    alerts: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: Uuid,
    instance_id: Uuid,
    custom_id: Option<&'a str>,
    build_version: &'a str,
    #[serde(flatten)]
    transition: &'a Transition,
}

fn compose(to: &Target, digest: &Digest, clock: &ReceiverClock) -> Request {
    let count = |change, to: &str| {
        let is_one = |transition: &Transition| transition.change == change && transition.to == to;
        digest.alerts.iter().filter(|alert| is_one(&alert.transition)).count()
    };
    let count_any = |change| digest.alerts.iter().filter(|alert| alert.transition.change == change).count();
    let parts = [
        (count(Change::State, "down"), "down"),
        (count(Change::State, "up"), "up again"),
        (count(Change::State, "ended"), "ended that had been down"),
        (count(Change::License, "invalid"), "with a license that is no longer valid"),
        (count_any(Change::RunLost), "of which the last process was lost"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let of_instances = (!parts.is_empty()).then(|| format!("instances: {}", parts.join(", ")));
    let floods = digest.alerts.iter().filter(|alert| alert.transition.change == Change::NewInstances);
    let floods = floods.map(|alert| {
        let (count, key) = (&alert.transition.to, alert.custom_id.as_deref().unwrap_or_default());
        format!("{count} new servers of the key {key} within an hour; more of them are refused")
    });
    let body = Body {
        r#type: "telemetry.alert",
        timestamp: digest.alerts.iter().map(|alert| alert.transition.at).max().unwrap_or_default(),
        data: Data {
            summary: of_instances.into_iter().chain(floods).collect::<Vec<_>>().join("; "),
            alerts: digest
                .alerts
                .iter()
                .map(|alert| Item {
                    id: alert.id,
                    instance_id: alert.instance_id,
                    custom_id: alert.custom_id.as_deref(),
                    build_version: &alert.build_version,
                    transition: &alert.transition,
                })
                .collect(),
        },
    };
    request(to, digest.id, &body, clock)
}

/// A test, which is an alert about nothing.
fn compose_test(to: &Target, clock: &ReceiverClock) -> Request {
    let data = Data { summary: "a test of alerts: nothing has happened".to_owned(), alerts: Vec::new() };
    let body = Body { r#type: "telemetry.alert", timestamp: clock.timestamp(), data };
    request(to, Uuid::new_v4(), &body, clock)
}

fn request(to: &Target, id: Uuid, body: &Body<'_>, clock: &ReceiverClock) -> Request {
    let body = serde_json::to_vec(body).expect("text and times always serialize");
    Request::post(to, USER_AGENT, None, &id.to_string(), body, clock.now())
}
