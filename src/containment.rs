//! Runs an actor so that its panics stay inside, and restarts it (spec §8).
//!
//! `actix::Supervisor` does not restart after a panic; this does, with the same address, the same
//! mailbox and the messages that wait in it. What the actor's value keeps over a restart is its own
//! [`Supervised::restarting`]'s decision.

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

use crate::clock::Clock;
use crate::status::{Health, StatusBoard};
use crate::watch::ONE_MINUTE;

/// More panics than this within a minute, over all actors, and the subsystem stays down.
const PANICS_A_MINUTE: usize = 5;

/// Between a panic and the restart, so that an actor that panics at once cannot spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What all contained actors share.
#[derive(Clone)]
pub(crate) struct Containment {
    clock: Clock,
    board: StatusBoard,
    recent_panics: Rc<std::cell::RefCell<VecDeque<Instant>>>,
    /// True ends every actor.
    ended: Rc<watch::Sender<bool>>,
}

impl Containment {
    pub(crate) fn new(clock: Clock, board: StatusBoard) -> Self {
        Self { clock, board, recent_panics: Rc::default(), ended: Rc::new(watch::Sender::new(false)) }
    }

    /// Starts `actor` as `name`, contained.
    pub(crate) fn start<A>(&self, name: &'static str, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let running = Context::new().into_future(actor);
        let address = running.address();
        actix_rt::spawn(self.clone().run(name, running));
        address
    }

    /// Ends every actor.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Resolves when every actor is to end: after [`end`](Self::end), or after too many panics.
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
            self.count(name, &panic_message(panic));
            if *self.ended.borrow() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            let restarted = catch_unwind(AssertUnwindSafe(|| running.restart()));
            if !matches!(restarted, Ok(true)) {
                break;
            }
        }
        // Dropping it polls it once more.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(running)));
    }

    /// Counts a panic; one too many ends the subsystem.
    fn count(&self, name: &'static str, message: &str) {
        let now = self.clock.monotonic();
        let mut recent = self.recent_panics.borrow_mut();
        recent.push_back(now);
        recent.retain(|at| now.duration_since(*at) < ONE_MINUTE);
        self.board.update(|status| status.panics += 1);
        if recent.len() <= PANICS_A_MINUTE {
            tracing::warn!("[telemetry] the {name} panicked and is restarted: {message}");
            return;
        }
        if !self.ended.send_replace(true) {
            self.board.update(|status| status.health = Health::Down);
            tracing::error!(
                "[telemetry] the {name} panicked: {message}; more than {PANICS_A_MINUTE} panics in a minute, \
                 so telemetry stays down until the next start; the host is not affected"
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
    // A panic's payload may itself panic when it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    message
}
