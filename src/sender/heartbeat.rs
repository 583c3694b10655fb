//! Once a minute every actor is asked whether it is alive; the question also wakes those who wait
//! for a moment of wall-clock time, so that an idle subsystem wakes once a minute and not more often.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Message, Recipient};

use super::status::StatusBoard;

pub(crate) const ONE_MINUTE: Duration = Duration::from_secs(60);

/// An actor that answers nothing for this long is reported.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A minute has passed: look at the clock. The answer shows that the actor is alive.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Tick;

/// One actor under watch.
pub(crate) struct Watched {
    name: &'static str,
    actor: Recipient<Tick>,
    /// A tick has not been answered yet.
    asked: Rc<Cell<bool>>,
}

impl Watched {
    pub(crate) fn new(name: &'static str, actor: Recipient<Tick>) -> Self {
        Self { name, actor, asked: Rc::default() }
    }

    /// Sends a tick, and reports the actor where the answer does not come.
    pub(crate) fn tick(&self, board: &StatusBoard) {
        if self.asked.replace(true) {
            return;
        }
        let (name, asked, board) = (self.name, self.asked.clone(), board.clone());
        let mut answer = Box::pin(self.actor.send(Tick));
        actix_rt::spawn(async move {
            let _asked = Asked(asked);
            // A closed mailbox is no freeze: the supervision sees to panics.
            if tokio::time::timeout(PATIENCE, &mut answer).await.is_err() {
                report_frozen(&board, name);
                let _ = answer.await;
                report_thawed(&board, name);
            }
        });
    }
}

/// An open question; it is closed also where the log, which is the host's, panics meanwhile.
struct Asked(Rc<Cell<bool>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

pub(crate) fn report_frozen(board: &StatusBoard, name: &'static str) {
    board.update(|status| _ = status.frozen.insert(name));
    tracing::error!(
        "[telemetry] the {name} has answered nothing for {} s; the host is not affected",
        PATIENCE.as_secs()
    );
}

pub(crate) fn report_thawed(board: &StatusBoard, name: &'static str) {
    board.update(|status| _ = status.frozen.remove(name));
    tracing::info!("[telemetry] the {name} answers again");
}

#[cfg(test)]
mod tests {
    use actix::{Actor, AsyncContext, Context, Handler, WrapFuture};

    use super::*;
    use crate::running::log::Log;

    /// Takes this long to answer its second tick.
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
    async fn an_actor_that_answers_nothing_is_reported_once_until_it_answers() {
        tokio::time::pause();
        let (log, board, watched) = three_minutes_of(Duration::from_secs(300)).await;
        assert_eq!(
            log.lines(),
            ["ERROR [telemetry] the slow one has answered nothing for 10 s; the host is not affected"]
        );
        assert_eq!(board.read().frozen.iter().collect::<Vec<_>>(), [&"slow one"]);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(log.count("INFO [telemetry] the slow one answers again"), 1);
        assert!(board.read().frozen.is_empty());
        watched.tick(&board);
        tokio::time::sleep(ONE_MINUTE).await;
        assert_eq!(log.count("ERROR"), 1);
    }
}
