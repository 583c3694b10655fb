//! Once a minute every actor is asked whether it is alive; the question also wakes those who wait
//! for a moment of wall-clock time, so that an idle subsystem wakes once a minute and not more often.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix::{Message, Recipient};

use crate::status::StatusBoard;

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
            // A closed mailbox is no freeze: the supervision sees to panics.
            if tokio::time::timeout(PATIENCE, &mut answer).await.is_err() {
                report_frozen(&board, name);
                let _ = answer.await;
                report_thawed(&board, name);
            }
            asked.set(false);
        });
    }
}

pub(crate) fn report_frozen(board: &StatusBoard, name: &'static str) {
    tracing::error!(
        "[telemetry] the {name} has answered nothing for {} s; the host is not affected",
        PATIENCE.as_secs()
    );
    board.update(|status| _ = status.frozen.insert(name));
}

pub(crate) fn report_thawed(board: &StatusBoard, name: &'static str) {
    tracing::info!("[telemetry] the {name} answers again");
    board.update(|status| _ = status.frozen.remove(name));
}
