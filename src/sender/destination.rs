//! A DestinationActor sends events to one destination: in order, one request at a time, with a bounded queue
//! (spec §3, §4, §7).
//!
//! The scheduler hands each event over with [`Deliver`]. The actor answers with [`Delivered`] when the outcome of
//! the event is known.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::attempt_log::AttemptLog;
use super::clock_hint::clock_hint;
use super::config::DestinationSettings;
use super::heartbeat::Tick;
use super::outcome::{Delivered, Outcome};
use super::request::{Event, Run};
use super::status::StatusBoard;
use crate::outgoing::failure::{Cause, Failure};
use crate::outgoing::{Answer, TIME_LIMIT, Transport};
use crate::running::clock::Clock;
use crate::wire::payload::Reason;

/// Maximum number of events that wait for a destination.
const LONGEST_QUEUE: usize = 64;

/// Grace at the end of a run: the time that events before `end` have to be delivered before `end` displaces them.
const GRACE: Duration = Duration::from_millis(500);

/// Request to deliver an event. The answer follows when the outcome is known.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Delivered")]
pub(crate) struct Deliver {
    pub(crate) event: Event,
    /// Time at which the delivery is given up. It is set for the `end` of the run only, after which no event is
    /// accepted. The `end` of an instance id that was replaced has none.
    pub(crate) deadline: Option<Instant>,
}

impl Deliver {
    /// Whether this is the last event of the run.
    fn is_last(&self) -> bool {
        self.deadline.is_some()
    }
}

/// Request of the actor to itself to send the next event.
#[derive(Message)]
#[rtype(result = "()")]
struct SendNext;

/// Event that waits to be sent.
struct Pending {
    deliver: Deliver,
    answer: oneshot::Sender<Delivered>,
}

/// Event whose request is under way.
struct InFlight {
    reason: Reason,
    /// Whether the event is the last of the run.
    is_last: bool,
    answer: oneshot::Sender<Delivered>,
    /// Start of the attempt, in wall-clock and in monotonic time.
    began: (SystemTime, Instant),
    /// Abandons the request; `None` once that happened.
    abandon: Option<oneshot::Sender<()>>,
}

/// Actor that delivers events to one destination.
pub(crate) struct DestinationActor {
    run: Rc<Run>,
    settings: Rc<DestinationSettings>,
    transport: Rc<dyn Transport>,
    board: StatusBoard,
    clock: Clock,
    log: AttemptLog,
    /// Events that wait, oldest first.
    waiting: VecDeque<Pending>,
    in_flight: Option<InFlight>,
    /// The `end` of the run, which waits for the events before it.
    end: Option<Pending>,
    /// Whether `end` was handed over. No event is accepted after it.
    is_closed: bool,
    /// Instance id for which an attempt was made to send `begin`. Without one, `end` is not sent either.
    begun: Option<Uuid>,
}

impl DestinationActor {
    pub(crate) fn new(
        run: Rc<Run>,
        settings: Rc<DestinationSettings>,
        transport: Rc<dyn Transport>,
        board: StatusBoard,
        clock: Clock,
    ) -> Self {
        let log = AttemptLog::new(settings.name, &settings.target.endpoint);
        Self {
            run,
            settings,
            transport,
            board,
            clock,
            log,
            waiting: VecDeque::new(),
            in_flight: None,
            end: None,
            is_closed: false,
            begun: None,
        }
    }
}

impl Actor for DestinationActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.send_next(ctx);
        if self.end.is_some() {
            ctx.run_later(GRACE, Self::make_way_for_end);
        }
    }
}

impl Supervised for DestinationActor {
    /// Keeps the waiting events. The event under way is lost with its request, and is reported as failed.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.finish(Err(Failure::new(Cause::Internal, "the sender panicked; please report it")));
    }
}

impl Handler<Deliver> for DestinationActor {
    type Result = ResponseFuture<Delivered>;

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        let (destination, reason, clock) = (self.settings.name, deliver.event.reason, self.clock.clone());
        let is_last = deliver.is_last();
        let pending = Pending { deliver, answer };
        if self.is_closed {
            if is_last {
                self.answer_end_to(pending.answer);
            }
        } else if is_last {
            self.is_closed = true;
            self.end = Some(pending);
            ctx.run_later(GRACE, Self::make_way_for_end);
        } else {
            self.enqueue(pending);
        }
        // The event is sent from a handler of its own: a panic in this one would lose the answer.
        ctx.notify(SendNext);
        tracing::trace!("takes Deliver");
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Delivered {
                destination,
                reason,
                at: clock.now(),
                outcome: Outcome::Failed(Failure::new(Cause::Abandoned, "telemetry was stopped")),
                hint: None,
                duration: Duration::ZERO,
            })
        })
    }
}

impl Handler<SendNext> for DestinationActor {
    type Result = ();

    fn handle(&mut self, _: SendNext, ctx: &mut Self::Context) {
        tracing::trace!("takes SendNext");
        self.send_next(ctx);
    }
}

impl Handler<Tick> for DestinationActor {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Self::Context) {
        tracing::trace!("takes Tick");
    }
}

impl DestinationActor {
    /// Adds an event to the queue. A full queue drops its oldest `update` or `license-state-change` first. If it
    /// holds none, because the instance id changed dozens of times, it drops the oldest event but not the first
    /// `begin`.
    fn enqueue(&mut self, pending: Pending) {
        if self.waiting.len() >= LONGEST_QUEUE {
            let is_superseded = |pending: &Pending| {
                matches!(pending.deliver.event.reason, Reason::Update | Reason::LicenseStateChange)
            };
            let oldest = self.waiting.iter().position(is_superseded);
            let oldest = oldest.unwrap_or(usize::from(self.begun.is_none()));
            if let Some(oldest) = self.waiting.remove(oldest) {
                self.board.update_destination(self.settings.name, |status| status.dropped += 1);
                let failure =
                    Failure::new(Cause::Dropped, format!("{LONGEST_QUEUE} newer events were waiting"));
                self.give_up(oldest, failure);
            }
        }
        self.waiting.push_back(pending);
    }

    /// Sends the next event unless a request is under way.
    fn send_next(&mut self, ctx: &mut Context<Self>) {
        if self.in_flight.is_none() {
            let now = (self.clock.now(), self.clock.monotonic());
            if let Some(next) = self.waiting.pop_front() {
                self.send(next, now, ctx);
            } else if let Some(end) = self.end.take() {
                match self.begun == Some(end.deliver.event.instance_id) {
                    true => self.send(end, now, ctx),
                    false => {
                        self.give_up(end, Failure::new(Cause::Abandoned, "stopped before begin was sent"))
                    }
                }
            }
        }
        let waiting = self.waiting.len();
        self.board.update_destination(self.settings.name, |status| status.waiting = waiting);
    }

    /// Sends an event.
    fn send(&mut self, pending: Pending, began: (SystemTime, Instant), ctx: &mut Context<Self>) {
        let is_last = pending.deliver.is_last();
        let Pending { deliver: Deliver { event, deadline }, answer } = pending;
        let (abandon, abandoned) = oneshot::channel();
        if event.reason == Reason::Begin {
            self.begun = Some(event.instance_id);
        }
        self.in_flight =
            Some(InFlight { reason: event.reason, is_last, answer, began, abandon: Some(abandon) });

        let limit = deadline
            .map_or(TIME_LIMIT, |deadline| deadline.saturating_duration_since(began.1).min(TIME_LIMIT));
        let request = self.run.compose(&self.settings, &event, began.0);
        let answered = self.transport.send(request, limit);
        let answer = async move {
            tokio::select! {
                answer = answered => answer,
                Ok(()) = abandoned => {
                    Err(Failure::new(Cause::Abandoned, "telemetry was stopped before the answer came"))
                }
            }
        };
        ctx.spawn(answer.into_actor(self).map(|answer, actor, ctx| {
            actor.finish(answer);
            actor.send_next(ctx);
        }));
    }

    /// Publishes, answers and logs the outcome of the event under way.
    fn finish(&mut self, answered: Result<Answer, Failure>) {
        let Some(InFlight { reason, answer, began: (at, began), .. }) = self.in_flight.take() else { return };
        let duration = self.clock.monotonic().duration_since(began);
        let hint = answered.as_ref().ok().and_then(|answer| clock_hint(*answer, at + duration));
        let outcome = answered.map_or_else(Outcome::Failed, |answer| Outcome::Status(answer.status));
        let delivered = Delivered { destination: self.settings.name, reason, at, outcome, hint, duration };
        self.board.update_destination(self.settings.name, |status| status.remember(&delivered));
        let _ = answer.send(delivered.clone());
        // The log comes last: it belongs to the host and may panic.
        self.log.attempted(&delivered);
    }

    /// Answers and logs an event that was never sent.
    fn give_up(&mut self, pending: Pending, failure: Failure) {
        let delivered = Delivered {
            destination: self.settings.name,
            reason: pending.deliver.event.reason,
            at: self.clock.now(),
            outcome: Outcome::Failed(failure),
            hint: None,
            duration: Duration::ZERO,
        };
        self.log.given_up(&delivered);
        let _ = pending.answer.send(delivered);
    }

    /// Gives up the events before `end`, because the grace is over.
    fn make_way_for_end(&mut self, ctx: &mut Context<Self>) {
        if self.end.is_none() {
            return;
        }
        for pending in std::mem::take(&mut self.waiting) {
            self.board.update_destination(self.settings.name, |status| status.dropped += 1);
            self.give_up(
                pending,
                Failure::new(Cause::Abandoned, "telemetry was stopped before the event was sent"),
            );
        }
        match self.in_flight.as_mut().and_then(|in_flight| in_flight.abandon.take()) {
            Some(abandon) => _ = abandon.send(()),
            None => self.send_next(ctx),
        }
    }

    /// Sends the outcome of `end` to `answer` instead. The scheduler hands `end` over again where a panic lost its
    /// answer but not the event.
    fn answer_end_to(&mut self, answer: oneshot::Sender<Delivered>) {
        match (&mut self.end, &mut self.in_flight) {
            (Some(end), _) => end.answer = answer,
            (None, Some(in_flight)) if in_flight.is_last => in_flight.answer = answer,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::Addr;

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::clock::fake::start_of_tests;
    use crate::running::containment::Containment;
    use crate::running::log::Log;
    use crate::sender::config::DestinationName;
    use crate::sender::simulation::fakes::{self, FakeTransport, Fault, deliver, settle};

    struct Scene {
        transport: FakeTransport,
        board: StatusBoard,
        clock: Clock,
        fake_clock: FakeClock,
        actor: Addr<DestinationActor>,
    }

    impl Scene {
        fn new() -> Self {
            tokio::time::pause();
            let transport = FakeTransport::new();
            let board = StatusBoard::new();
            board.show(&fakes::settings());
            let fake_clock = FakeClock::at(start_of_tests());
            let clock = fake_clock.clock();
            let actor = DestinationActor::new(
                Rc::new(fakes::run()),
                Rc::new(fakes::destination(DestinationName::Custom)),
                Rc::new(transport.clone()),
                board.clone(),
                clock.clone(),
            );
            let actor = Containment::new("telemetry", clock.clone(), board.incidents())
                .start("custom destination", actor);
            Self { transport, board, clock, fake_clock, actor }
        }

        fn status(&self) -> crate::sender::status::DestinationStatus {
            self.board.read().destinations[0].clone()
        }

        /// Sends an event and waits for its outcome.
        async fn send(&self, reason: Reason, sequence: u64) -> Delivered {
            self.actor.send(deliver(reason, sequence)).await.unwrap()
        }

        async fn end(&self, sequence: u64) -> Delivered {
            let deadline = Some(self.clock.monotonic() + Duration::from_millis(4_900));
            self.actor.send(Deliver { deadline, ..deliver(Reason::End, sequence) }).await.unwrap()
        }
    }

    #[actix_rt::test]
    async fn events_leave_in_order_and_one_at_a_time() {
        let scene = Scene::new();
        scene.transport.takes.set(Duration::from_secs(1));
        for sequence in 1..=5 {
            scene
                .actor
                .do_send(deliver(if sequence == 1 { Reason::Begin } else { Reason::Update }, sequence));
        }
        settle().await;
        assert_eq!(scene.transport.sequences(), [1]);
        assert_eq!(scene.status().waiting, 4);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(scene.transport.sequences(), [1, 2, 3]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(scene.transport.sequences(), [1, 2, 3, 4, 5]);
        assert_eq!((scene.status().sent, scene.status().waiting), (5, 0));
    }

    #[actix_rt::test]
    async fn a_request_that_hangs_is_given_up_after_five_seconds_and_not_repeated() {
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Hang);
        let delivered = scene.send(Reason::Begin, 1).await;
        assert!(matches!(&delivered.outcome, Outcome::Failed(failure) if failure.cause == Cause::TimedOut));
        assert_eq!(delivered.duration.as_secs(), 5);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(scene.transport.sequences(), [1]);
    }

    #[actix_rt::test]
    async fn a_full_queue_drops_its_oldest_event_but_never_begin() {
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Hang);
        scene.actor.do_send(deliver(Reason::Update, 1));
        settle().await;
        scene.actor.do_send(deliver(Reason::Begin, 2));
        for sequence in 3..=67 {
            scene.actor.do_send(deliver(Reason::LicenseStateChange, sequence));
        }
        settle().await;
        assert_eq!((scene.status().waiting, scene.status().dropped), (64, 2));
        scene.transport.fault.set(Fault::None);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let expected: Vec<u64> = [1, 2].into_iter().chain(5..=67).collect();
        assert_eq!(scene.transport.sequences(), expected);
    }

    #[actix_rt::test]
    async fn the_end_waits_for_events_that_are_delivered_within_the_grace() {
        let scene = Scene::new();
        scene.transport.takes.set(Duration::from_millis(100));
        for sequence in 1..=3 {
            scene
                .actor
                .do_send(deliver(if sequence == 1 { Reason::Begin } else { Reason::Update }, sequence));
        }
        let end = scene.end(4).await;
        assert_eq!(end.outcome, Outcome::Status(200));
        assert_eq!(scene.transport.sequences(), [1, 2, 3, 4]);
        assert_eq!(scene.status().sent, 4);
    }

    #[actix_rt::test]
    async fn the_end_waits_no_longer_than_the_grace() {
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Hang);
        let begin = scene.actor.send(deliver(Reason::Begin, 1));
        let update = scene.actor.send(deliver(Reason::Update, 2));
        let started = scene.clock.monotonic();
        let (begin, update, end) = tokio::join!(begin, update, scene.end(3));
        let cause = |delivered: Delivered| match delivered.outcome {
            Outcome::Failed(failure) => failure.cause,
            Outcome::Status(code) => panic!("status {code}"),
        };
        assert_eq!(cause(begin.unwrap()), Cause::Abandoned);
        assert_eq!(cause(update.unwrap()), Cause::Abandoned);
        assert_eq!(cause(end.clone()), Cause::TimedOut);
        let took = scene.clock.monotonic().duration_since(started);
        assert!((4_900..4_910).contains(&took.as_millis()), "{took:?}");
        assert!(
            (4_390..=4_410).contains(&end.duration.as_millis()),
            "the rest of the time: {:?}",
            end.duration
        );
        assert_eq!(scene.transport.sequences(), [1, 3]);
        assert_eq!(scene.status().dropped, 1);
    }

    #[actix_rt::test]
    async fn an_end_that_is_handed_over_again_is_sent_once_and_answered() {
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        scene.transport.takes.set(Duration::from_millis(100));
        // A panic may lose the answer before the event is sent, and while its request is under way.
        let deadline = Some(scene.clock.monotonic() + Duration::from_secs(5));
        for _ in 0..2 {
            drop(scene.actor.send(Deliver { deadline, ..deliver(Reason::End, 2) }));
        }
        settle().await;
        assert_eq!(scene.end(2).await.outcome, Outcome::Status(200));
        assert_eq!(scene.transport.sequences(), [1, 2]);
    }

    #[actix_rt::test]
    async fn the_end_of_a_replaced_instance_id_is_not_the_last_event() {
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        let mut begin = deliver(Reason::Begin, 3);
        begin.event.instance_id = Uuid::from_u128(7);
        let mut end = deliver(Reason::End, 4);
        end.event.instance_id = Uuid::from_u128(7);
        end.deadline = Some(scene.clock.monotonic() + Duration::from_secs(5));
        scene.transport.takes.set(Duration::from_millis(100));
        let old_end = scene.actor.send(deliver(Reason::End, 2));
        let begin = scene.actor.send(begin);
        settle().await;
        let end = scene.actor.send(end);
        let (old_end, begin, end) = tokio::join!(old_end, begin, end);
        for delivered in [old_end, begin, end] {
            assert_eq!(delivered.unwrap().outcome, Outcome::Status(200));
        }
        assert_eq!(scene.transport.sequences(), [1, 2, 3, 4]);
    }

    #[actix_rt::test]
    async fn a_queue_of_changed_ids_alone_has_a_bound_and_keeps_the_first_begin() {
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Hang);
        for sequence in 1..=80 {
            let reason = if sequence % 2 == 1 { Reason::Begin } else { Reason::End };
            scene.actor.do_send(deliver(reason, sequence));
        }
        settle().await;
        let status = scene.status();
        assert!(status.waiting <= 64, "{}", status.waiting);
        assert_eq!(status.waiting as u64 + status.dropped, 79);
        assert_eq!(scene.transport.sequences(), [1]);
    }

    #[actix_rt::test]
    async fn nothing_is_sent_after_the_end() {
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        scene.end(2).await;
        let late = scene.send(Reason::Update, 3).await;
        assert!(matches!(late.outcome, Outcome::Failed(failure) if failure.cause == Cause::Abandoned));
        assert_eq!(scene.transport.sequences(), [1, 2]);
    }

    #[actix_rt::test]
    async fn a_panic_while_sending_costs_one_event() {
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Panic);
        let begin = scene.actor.send(deliver(Reason::Begin, 1));
        let update = scene.actor.send(deliver(Reason::Update, 2));
        let (begin, ()) = tokio::join!(begin, async {
            settle().await;
            scene.transport.fault.set(Fault::None);
        });
        assert!(begin.is_err() || !begin.unwrap().outcome.is_success());
        let _ = update.await;
        settle().await;
        assert_eq!(scene.transport.sequences(), [1, 2]);
        assert_eq!((scene.status().failed, scene.status().sent), (1, 1));
        assert_eq!(scene.board.read().panics, 1);
    }

    #[actix_rt::test]
    async fn a_panic_before_sending_costs_no_event_and_no_end() {
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        scene.transport.takes.set(Duration::from_millis(100));
        scene.actor.do_send(deliver(Reason::Update, 2));
        settle().await;
        scene.actor.do_send(deliver(Reason::LicenseStateChange, 3));
        settle().await;
        scene.fake_clock.panic_next(1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.transport.sequences(), [1, 2, 3]);
        let end = scene.end(4);
        scene.fake_clock.panic_next(1);
        assert_eq!(end.await.outcome, Outcome::Status(200));
        assert_eq!(scene.transport.sequences(), [1, 2, 3, 4]);
        assert_eq!((scene.board.read().panics, scene.status().sent), (2, 4));
    }

    #[actix_rt::test]
    async fn the_status_holds_fifty_attempts_newest_first() {
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        for sequence in 2..=60 {
            scene.send(Reason::Update, sequence).await;
        }
        let status = scene.status();
        assert_eq!((status.attempts.len(), status.sent), (50, 60));
        assert!(status.attempts.iter().all(|attempt| attempt.reason == Reason::Update));
        assert!(status.attempts[0].at >= status.attempts[49].at);
    }

    #[actix_rt::test]
    async fn the_log_reports_the_first_failure_and_the_recovery_once_each() {
        let log = Log::collect();
        let scene = Scene::new();
        scene.send(Reason::Begin, 1).await;
        assert_eq!(log.lines(), ["DEBUG [telemetry:custom] sent reason=begin status=200"]);
        scene.transport.status.set(401);
        scene.send(Reason::Update, 2).await;
        scene.send(Reason::Update, 3).await;
        scene.transport.fault.set(Fault::Fail);
        scene.send(Reason::Update, 4).await;
        scene.transport.fault.set(Fault::None);
        scene.transport.status.set(204);
        scene.send(Reason::Update, 5).await;
        assert_eq!(
            log.lines()[1..],
            [
                "DEBUG [telemetry:custom] sent reason=update status=401",
                "WARN [telemetry:custom] operator.example refused event update: status 401, check the settings AUTH and SIGNING_SECRET, and the clock of this machine; further failures are logged at debug",
                "DEBUG [telemetry:custom] sent reason=update status=401",
                "DEBUG [telemetry:custom] failed reason=update cause=refused error=\"connection refused\"",
                "DEBUG [telemetry:custom] sent reason=update status=204",
                "INFO [telemetry:custom] operator.example accepts events again",
            ]
        );
    }

    #[actix_rt::test]
    async fn a_refusal_that_a_wrong_clock_explains_names_the_clock() {
        let log = Log::collect();
        let scene = Scene::new();
        scene.transport.status.set(401);
        scene.transport.date.set(Some(scene.clock.now() + Duration::from_secs(7_500)));
        let delivered = scene.send(Reason::Begin, 1).await;
        let words = "the clock of this machine is 2h5m behind the clock of the destination; set it, because a \
                     signature or a token may count as expired";
        assert_eq!(delivered.hint.as_deref(), Some(words));
        assert_eq!(log.count(&format!("refused event begin: status 401, {words}; further failures")), 1);
        assert_eq!(scene.status().attempts[0].hint.as_deref(), Some(words));
    }

    #[actix_rt::test]
    async fn a_failure_of_the_first_attempt_is_logged_as_a_warning() {
        let log = Log::collect();
        let scene = Scene::new();
        scene.transport.fault.set(Fault::Fail);
        scene.send(Reason::Begin, 1).await;
        scene.send(Reason::Update, 2).await;
        assert_eq!(log.count("WARN"), 1);
        assert_eq!(log.count("event begin to operator.example failed (refused): connection refused"), 1);
    }
}
