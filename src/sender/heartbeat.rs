//! The tick: once a minute the supervisor asks every actor whether it responds.
//!
//! The tick also makes the actors that wait for a moment of wall-clock time look at the clock. An idle
//! subsystem therefore wakes once a minute and no more often.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Message, Recipient};

use super::status::StatusBoard;

/// Time between two ticks.
pub(crate) const ONE_MINUTE: Duration = Duration::from_secs(60);

/// Time without an answer after which an actor or thread is reported as frozen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Request to look at the clock, sent once a minute. The answer shows that the actor responds.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Tick;

/// Actor that is watched.
pub(crate) struct Watched {
    name: &'static str,
    actor: Recipient<Tick>,
    /// Whether a tick waits for its answer.
    asked: Rc<Cell<bool>>,
}

impl Watched {
    pub(crate) fn new(name: &'static str, actor: Recipient<Tick>) -> Self {
        Self { name, actor, asked: Rc::default() }
    }

    /// Sends a tick unless the last one still waits for its answer. Reports the actor as frozen when the answer
    /// takes longer than [`PATIENCE`], and again when it arrives.
    pub(crate) fn tick(&self, board: &StatusBoard) {
        if self.asked.replace(true) {
            return;
        }
        let (name, asked, board) = (self.name, self.asked.clone(), board.clone());
        let mut answer = Box::pin(self.actor.send(Tick));
        actix_rt::spawn(async move {
            let _question = OpenQuestion(asked);
            // A closed mailbox is an answer as well: panics are handled by the containment.
            if tokio::time::timeout(PATIENCE, &mut answer).await.is_err() {
                report_frozen(&board, name);
                let _ = answer.await;
                report_thawed(&board, name);
            }
        });
    }
}

/// Guard of a tick that waits for its answer. Its drop clears the mark even if the log, which belongs to the
/// host, panics.
struct OpenQuestion(Rc<Cell<bool>>);

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Reports that the actor or thread `name` does not respond.
pub(crate) fn report_frozen(board: &StatusBoard, name: &'static str) {
    board.update(|status| _ = status.frozen.insert(name));
    tracing::error!(
        "[telemetry] the {name} has not responded for {} s; events may be late or lost, the host continues; a log or \
         a disk that blocks is a likely cause; if this does not end, restart the server",
        PATIENCE.as_secs()
    );
}

/// Reports that the actor or thread `name` responds again.
pub(crate) fn report_thawed(board: &StatusBoard, name: &'static str) {
    board.update(|status| _ = status.frozen.remove(name));
    tracing::info!("[telemetry] the {name} responds again");
}

#[cfg(test)]
mod tests {
    use actix::{Actor, AsyncContext, Context, Handler, WrapFuture};

    use super::*;
    use crate::running::log::Log;

    /// Actor that answers its second tick after this time, and counts its ticks.
    struct Slow(Duration, u32);

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<Tick> for Slow {
        type Result = actix::ResponseFuture<()>;

        fn handle(&mut self, _: Tick, ctx: &mut Self::Context) -> Self::Result {
            self.1 += 1;
            let pause = if self.1 == 2 { self.0 } else { Duration::ZERO };
            ctx.wait(tokio::time::sleep(pause).into_actor(self));
            Box::pin(tokio::time::sleep(pause))
        }
    }

    async fn three_minutes_of(slow: Duration) -> (Log, StatusBoard, Watched) {
        let (log, board) = (Log::collect(), StatusBoard::new());
        let watched = Watched::new("slow one", Slow(slow, 0).start().recipient());
        for _ in 0..3 {
            watched.tick(&board);
            tokio::time::sleep(ONE_MINUTE).await;
        }
        (log, board, watched)
    }

    #[actix_rt::test]
    async fn an_actor_that_answers_is_not_reported() {
        tokio::time::pause();
        let (log, board, _) = three_minutes_of(Duration::from_secs(9)).await;
        assert_eq!(log.lines(), Vec::<String>::new());
        assert!(board.read().frozen.is_empty());
    }

    #[actix_rt::test]
    async fn an_actor_that_does_not_answer_is_reported_once_until_it_answers() {
        tokio::time::pause();
        let (log, board, watched) = three_minutes_of(Duration::from_secs(300)).await;
        assert_eq!(
            log.lines(),
            [
                "ERROR [telemetry] the slow one has not responded for 10 s; events may be late or lost, the host \
                 continues; a log or a disk that blocks is a likely cause; if this does not end, restart the server"
            ]
        );
        assert_eq!(board.read().frozen.iter().collect::<Vec<_>>(), [&"slow one"]);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(log.count("INFO [telemetry] the slow one responds again"), 1);
        assert!(board.read().frozen.is_empty());
        watched.tick(&board);
        tokio::time::sleep(ONE_MINUTE).await;
        assert_eq!(log.count("ERROR"), 1);
    }
}
