//! The health of a receiver, as its handle, its API, its pages and its metrics report it.

use serde::Serialize;
use tokio::sync::watch;

/// The health of a [`Receiver`](super::Receiver).
///
/// ```
/// use deployment_telemetry::receiver::{HealthState, Receiver};
///
/// fn is_ready(receiver: &Receiver) -> bool {
///     receiver.health().state == HealthState::Running
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the receiver does its work.
    pub state: HealthState,
    /// Number of panics of its actors that were contained since the start.
    pub panics: u64,
}

/// Whether a receiver does its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthState {
    /// The receiver takes events, or waits for its store to answer.
    #[default]
    Running,
    /// The receiver's thread has not answered for 10 seconds. It runs again when it answers.
    Frozen,
    /// The receiver gave up after more than 5 panics within a minute. Only a new start helps.
    Down,
    /// The receiver was stopped.
    Stopped,
}

impl HealthState {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Running, Self::Frozen, Self::Down, Self::Stopped];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Frozen => "frozen",
            Self::Down => "down",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nothing follows it.
    fn is_final(self) -> bool {
        matches!(self, Self::Down | Self::Stopped)
    }
}

/// Where the health is written and read. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthBoard(watch::Sender<Health>);

impl HealthBoard {
    pub(crate) fn read(&self) -> Health {
        *self.0.borrow()
    }

    /// Counts a panic that was contained.
    pub(crate) fn panicked(&self) {
        self.0.send_modify(|health| health.panics += 1);
    }

    /// Changes the state, unless the last one is final. Returns whether it did.
    pub(crate) fn change(&self, state: HealthState) -> bool {
        self.0.send_if_modified(|health| {
            let changes = !health.state.is_final() && health.state != state;
            if changes {
                health.state = state;
            }
            changes
        })
    }

    /// Resolves when the receiver is down or stopped.
    pub(crate) async fn ended(&self) {
        self.wait_for(HealthState::is_final).await;
    }

    /// Resolves when the receiver does not run, be it for a while only.
    pub(crate) async fn not_running(&self) {
        self.wait_for(|state| state != HealthState::Running).await;
    }

    async fn wait_for(&self, holds: impl Fn(HealthState) -> bool) {
        // The board itself keeps the channel open.
        let _ = self.0.subscribe().wait_for(|health| holds(health.state)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_stays() {
        let board = HealthBoard::default();
        assert!(board.change(HealthState::Frozen) && board.change(HealthState::Running));
        assert!(!board.change(HealthState::Running), "nothing changed");
        assert!(board.change(HealthState::Down));
        assert!(!board.change(HealthState::Stopped) && !board.change(HealthState::Running));
        board.panicked();
        assert_eq!(board.read(), Health { state: HealthState::Down, panics: 1 });
    }
}
