//! The numbers of servers in each state at the top of a list, which lead to these servers. Pure.

use jiff::Timestamp;

use super::filters::{self, Link};
use super::words::{exact, number};
use crate::receiver::api::fleet::{Fleet, SinceRow};
use crate::receiver::counts::States;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::State;

/// A number at the top, which leads to the servers that it counts.
pub(super) struct Tile {
    pub(super) state: State,
    pub(super) count: i64,
    pub(super) note: Option<String>,
    pub(super) link: Link,
}

impl Tile {
    /// Whether it can need somebody.
    pub(super) fn may_alarm(&self) -> bool {
        matches!(self.state, State::Down | State::Late)
    }
}

/// What is said below the number of servers in a state.
#[derive(Default)]
pub(super) struct Notes {
    down: Option<String>,
    late: Option<String>,
    up: Option<String>,
    ended: Option<String>,
}

impl Notes {
    /// Of a list of some states alone, that the others are not in it.
    pub(super) fn outside(listed: &[State]) -> Self {
        let note = |state| {
            let is_outside = !listed.is_empty() && !listed.contains(&state);
            is_outside.then(|| "not in this list".to_owned())
        };
        Self {
            down: note(State::Down),
            late: note(State::Late),
            up: note(State::Up),
            ended: note(State::Ended),
        }
    }

    pub(super) fn of(fleet: &Fleet, now: Timestamp) -> Self {
        let Fleet { longest, new_up, ended_today, .. } = fleet;
        let lasts = |since: &Option<SinceRow>| {
            let length = |row: &SinceRow| exact(now.duration_since(row.last_seen_at.0));
            since.as_ref().map(|row| format!("longest silent for {}", length(row)))
        };
        Self {
            down: lasts(&longest.down),
            late: lasts(&longest.late),
            up: (*new_up > 0).then(|| format!("{} of them new since yesterday", number(new_up))),
            ended: (*ended_today > 0).then(|| format!("{} of them today", number(ended_today))),
        }
    }
}

/// The numbers at the top. What is said below one is not of the very moment at which it was counted: of nothing there is
/// nothing to say.
pub(super) fn tiles(states: States, notes: Notes, asked: &InstanceQuery) -> [Tile; 4] {
    let Notes { down, late, up, ended } = notes;
    let notes = [(State::Down, down), (State::Late, late), (State::Up, up), (State::Ended, ended)];
    notes.map(|(state, note)| {
        let count = states.in_state(state);
        Tile { state, count, note: note.filter(|_| count > 0), link: filters::of_state(asked, state) }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::api::fleet::Longest;
    use crate::receiver::api::moment::Moment;

    /// A fleet of which only the states are known.
    pub(in super::super) fn fleet(states: States) -> Fleet {
        Fleet {
            now: Moment(Timestamp::UNIX_EPOCH),
            total: states.total(),
            states,
            license_invalid: 0,
            license_none: 0,
            crashed: 0,
            several_runs: 0,
            cloned: 0,
            restarting: 0,
            new: 0,
            new_up: 0,
            active: 0,
            muted: None,
            ended_today: 0,
            longest: Longest::default(),
            versions: Vec::new(),
        }
    }

    #[test]
    fn of_nothing_there_is_nothing_to_say_below_its_number() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        let since = |hours| {
            let since = Moment(now - SignedDuration::from_hours(hours));
            let last_seen_at = Moment(since.0 - SignedDuration::from_hours(1));
            Some(SinceRow { instance_id: Uuid::nil(), custom_id: None, since, last_seen_at })
        };
        let notes = |states: States| {
            let longest = Longest { down: since(5), late: since(1), up: None, ended: None };
            let fleet = Fleet { now: Moment(now), new_up: 2, ended_today: 3, longest, ..fleet(states) };
            let notes = Notes::of(&fleet, now);
            tiles(states, notes, &InstanceQuery::default()).map(|tile| tile.note.unwrap_or_default())
        };
        assert_eq!(
            notes(States { down: 1, late: 1, up: 5, ended: 7 }),
            [
                "longest silent for 6 h",
                "longest silent for 2 h",
                "2 of them new since yesterday",
                "3 of them today"
            ]
        );
        assert_eq!(notes(States::default()), [""; 4]);
    }
}
