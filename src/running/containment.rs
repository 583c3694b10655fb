//! Containment: it runs an actor, catches its panics and restarts it (spec §8).
//!
//! `actix::Supervisor` does not restart an actor after a panic. A contained actor restarts with the same
//! address, the same mailbox and the messages that wait in it. The actor's own [`Supervised::restarting`]
//! decides which of its fields survive the restart.

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::dev::ContextFut;
use actix::{Actor, Addr, Context, Supervised};
use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::Clock;

/// Number of panics within [`WINDOW`], over all actors, that a subsystem survives.
const MOST_PANICS: usize = 5;

/// Period over which panics are counted against [`MOST_PANICS`].
const WINDOW: Duration = Duration::from_secs(60);

/// Pause between a panic and the restart, so that an actor that panics in `started` does not use up a core.
const PAUSE: Duration = Duration::from_millis(100);

/// Event in the life of a contained actor, reported to the subsystem that the actor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    /// An actor panicked.
    Panicked,
    /// More than [`MOST_PANICS`] panics occurred within [`WINDOW`]: all actors end and stay down.
    GivenUp,
}

/// Supervision that all actors of a subsystem share. Clones refer to the same subsystem.
#[derive(Clone)]
pub(crate) struct Containment {
    /// Name of the subsystem in the log.
    subsystem: &'static str,
    clock: Clock,
    /// Told of every incident.
    report: Rc<dyn Fn(Incident)>,
    /// Times of the panics within [`WINDOW`].
    recent_panics: Rc<std::cell::RefCell<VecDeque<Instant>>>,
    /// Set to true to end all actors.
    ended: Rc<watch::Sender<bool>>,
}

impl Containment {
    pub(crate) fn new(subsystem: &'static str, clock: Clock, report: impl Fn(Incident) + 'static) -> Self {
        Self {
            subsystem,
            clock,
            report: Rc::new(report),
            recent_panics: Rc::default(),
            ended: Rc::new(watch::Sender::new(false)),
        }
    }

    /// Starts `actor` in containment. The log calls it `name`.
    pub(crate) fn start<A>(&self, name: &'static str, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let running = Context::new().into_future(actor);
        let address = running.address();
        actix_rt::spawn(self.clone().run(name, running));
        address
    }

    /// Ends all actors.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Resolves when all actors have to end: after [`end`](Self::end), or after too many panics.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    async fn run<A>(self, name: &'static str, mut running: ContextFut<A, Context<A>>)
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        loop {
            let outcome = tokio::select! {
                biased;
                () = self.ended() => break,
                outcome = poll_fn(|cx| poll_contained(&mut running, cx)) => outcome,
            };
            let Err(panic) = outcome else { break };
            // The log belongs to the host and may panic itself.
            let _ = catch_unwind(AssertUnwindSafe(|| self.count(name, &panic_message(panic))));
            if *self.ended.borrow() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            let restarted = catch_unwind(AssertUnwindSafe(|| running.restart()));
            if !matches!(restarted, Ok(true)) {
                break;
            }
        }
        // Dropping the actor's future polls it once more, so the drop can panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(running)));
    }

    /// Counts and logs a panic. After too many of them, ends the subsystem.
    fn count(&self, name: &'static str, message: &str) {
        let now = self.clock.monotonic();
        let mut recent = self.recent_panics.borrow_mut();
        recent.push_back(now);
        recent.retain(|at| now.duration_since(*at) < WINDOW);
        (self.report)(Incident::Panicked);
        if recent.len() <= MOST_PANICS {
            tracing::warn!(
                "[{}] the {name} panicked and is restarted: {message}; please report this",
                self.subsystem
            );
            return;
        }
        if !self.ended.send_replace(true) {
            (self.report)(Incident::GivenUp);
            tracing::error!(
                "[{subsystem}] the {name} panicked: {message}; more than {MOST_PANICS} panics in a minute, \
                 so the {subsystem} stays down until the server is started again; the host is not affected; please \
                 report this",
                subsystem = self.subsystem
            );
        }
    }
}

type Panic = Box<dyn Any + Send>;

fn poll_contained<F: Future + Unpin>(
    future: &mut F,
    cx: &mut TaskContext<'_>,
) -> Poll<Result<F::Output, Panic>> {
    match catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

fn panic_message(panic: Panic) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    // The payload of a panic may panic when it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    message
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use actix::{ActorContext, AsyncContext, Handler, Message, WrapFuture};

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::clock::fake::start_of_tests;
    use crate::running::log::Log;

    #[derive(Clone, Copy, Message, PartialEq)]
    #[rtype(result = "u32")]
    enum Order {
        Count,
        Panic,
        PanicInFuture,
        PanicWhileWaiting,
        Stop,
    }

    #[derive(Default)]
    struct Counter {
        count: u32,
        panics_in_started: bool,
    }

    impl Actor for Counter {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            assert!(!self.panics_in_started, "told to panic in started");
        }
    }

    impl Supervised for Counter {}

    impl Handler<Order> for Counter {
        type Result = u32;

        fn handle(&mut self, order: Order, ctx: &mut Self::Context) -> u32 {
            match order {
                Order::Count => self.count += 1,
                Order::Panic => panic!("told to panic"),
                Order::PanicInFuture => _ = ctx.spawn(async { panic!("told to panic") }.into_actor(self)),
                Order::PanicWhileWaiting => ctx.wait(async { panic!("told to panic") }.into_actor(self)),
                Order::Stop => ctx.stop(),
            }
            self.count
        }
    }

    /// Incidents that were reported.
    #[derive(Clone, Default)]
    struct Reported(Rc<RefCell<Vec<Incident>>>);

    impl Reported {
        fn containment(&self, clock: Clock) -> Containment {
            let reported = self.0.clone();
            Containment::new("telemetry", clock, move |incident| reported.borrow_mut().push(incident))
        }

        fn count(&self, incident: Incident) -> usize {
            self.0.borrow().iter().filter(|reported| **reported == incident).count()
        }
    }

    fn containment() -> (Containment, Reported) {
        tokio::time::pause();
        let reported = Reported::default();
        (reported.containment(FakeClock::at(start_of_tests()).clock()), reported)
    }

    #[actix_rt::test]
    async fn after_a_panic_the_same_address_answers_and_waiting_messages_are_not_lost() {
        for order in [Order::Panic, Order::PanicInFuture, Order::PanicWhileWaiting] {
            let reported = Reported::default();
            let containment = reported.containment(Clock::system());
            let actor = containment.start("counter", Counter::default());
            assert_eq!(actor.send(Order::Count).await, Ok(1));
            actor.do_send(order);
            let waiting = [actor.send(Order::Count), actor.send(Order::Count)];
            let answers = futures_util::future::join_all(waiting).await;
            assert_eq!(answers, [Ok(2), Ok(3)]);
            assert_eq!(*reported.0.borrow(), [Incident::Panicked]);
        }
    }

    #[actix_rt::test]
    async fn more_than_five_panics_in_a_minute_end_all_actors_and_are_logged_once() {
        let log = Log::collect();
        let (containment, reported) = containment();
        let sibling = containment.start("sibling", Counter::default());
        let actor = containment.start("counter", Counter::default());
        for _ in 0..5 {
            assert!(actor.send(Order::Panic).await.is_err());
        }
        assert_eq!(actor.send(Order::Count).await, Ok(1), "five are survived");
        assert!(actor.send(Order::Panic).await.is_err());
        containment.ended().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!actor.connected() && !sibling.connected());
        assert_eq!((reported.count(Incident::Panicked), reported.count(Incident::GivenUp)), (6, 1));
        assert_eq!((log.count("WARN"), log.count("ERROR")), (5, 1), "{:?}", log.lines());
        assert_eq!(log.count("stays down"), 1);
    }

    #[actix_rt::test]
    async fn a_log_that_panics_while_a_panic_is_logged_does_no_further_harm() {
        let _log = Log::collect();
        let (containment, reported) = containment();
        let actor = containment.start("counter", Counter::default());
        Log::panic_at("panicked and is restarted");
        assert!(actor.send(Order::Panic).await.is_err());
        assert_eq!(actor.send(Order::Count).await, Ok(1));
        assert_eq!(reported.count(Incident::Panicked), 1);
    }

    #[actix_rt::test]
    async fn rare_panics_are_survived_without_a_limit() {
        let (containment, reported) = containment();
        let actor = containment.start("counter", Counter::default());
        for _ in 0..100 {
            assert!(actor.send(Order::Panic).await.is_err());
            tokio::time::sleep(Duration::from_secs(13)).await;
        }
        assert_eq!(actor.send(Order::Count).await, Ok(1));
        assert_eq!((reported.count(Incident::Panicked), reported.count(Incident::GivenUp)), (100, 0));
    }

    #[actix_rt::test]
    async fn an_actor_that_panics_at_every_start_is_given_up_without_spinning() {
        let (containment, reported) = containment();
        let began = Clock::system().monotonic();
        let _actor = containment.start("counter", Counter { panics_in_started: true, ..Counter::default() });
        containment.ended().await;
        assert_eq!(began.elapsed().as_millis() / 100, 5, "a pause before each restart");
        assert_eq!(reported.count(Incident::Panicked), 6);
    }

    #[actix_rt::test]
    async fn an_actor_that_stops_by_itself_is_not_restarted() {
        let (containment, _) = containment();
        let actor = containment.start("counter", Counter::default());
        let _ = actor.send(Order::Stop).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!actor.connected());
    }
}
