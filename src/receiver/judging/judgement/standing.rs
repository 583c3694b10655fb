//! The state of an instance.

use jiff::Timestamp;

use super::judged::{Judged, by_last_sight};
use crate::receiver::store::State;

/// The state of an instance, since when it holds, and when it passed or will pass into others.
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) since: Timestamp,
    /// When the instance became, or will become, late; `None` for one that has ended.
    pub(super) late_at: Option<Timestamp>,
    /// The next moment at which time alone changes the state.
    pub(super) next: Option<Timestamp>,
}

pub(super) fn standing(runs: &[Judged<'_>], now: Timestamp) -> Standing {
    let open = || runs.iter().filter(|run| run.is_open());
    let late_at = open().map(|run| run.deadlines.late).max();
    let remaining = open().filter(|run| run.superseded_at.is_none()).max_by_key(|run| by_last_sight(run));
    match (late_at, remaining) {
        (Some(late_at), _) if now < late_at => {
            let since = open().map(|run| run.run.last_seen_at).max().unwrap_or(now);
            Standing { state: State::Up, since, late_at: Some(late_at), next: Some(late_at) }
        }
        (Some(late_at), Some(last)) => {
            let down_at = last.deadlines.down.max(late_at);
            match now < down_at {
                true => Standing {
                    state: State::Late,
                    since: late_at,
                    late_at: Some(late_at),
                    next: Some(down_at),
                },
                false => Standing { state: State::Down, since: down_at, late_at: Some(late_at), next: None },
            }
        }
        // Every run has ended, or was lost: the last one said `end`.
        (late_at, _) => {
            let ended_at = runs.iter().filter_map(|run| run.run.ended_at).max();
            let since = ended_at.max(late_at).unwrap_or(now);
            Standing { state: State::Ended, since, late_at: None, next: None }
        }
    }
}
