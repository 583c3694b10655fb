//! An instance and its runs, as a store returns them.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::facts::Facts;

/// A run of an instance: the sum of its events, in whatever order they arrived.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    pub(crate) run_id: Uuid,
    /// Time of its earliest event.
    pub(crate) first_seen_at: Timestamp,
    /// Time of its latest event.
    pub(crate) last_seen_at: Timestamp,
    /// Whether its `begin` was received.
    pub(crate) begun: bool,
    /// Time of its last `end`, unless the run was heard after it: by a higher number, or by a number that came again.
    pub(crate) ended_at: Option<Timestamp>,
    /// Highest number of its events.
    pub(crate) last_sequence: i64,
    /// `telemetry-frequency` of its latest event that had one, in seconds.
    pub(crate) frequency: Option<i32>,
    /// Number of its updates, and the times of the earliest and the latest of them.
    pub(crate) updates: i32,
    pub(crate) first_update_at: Option<Timestamp>,
    pub(crate) last_update_at: Option<Timestamp>,
    /// Facts of its latest event, and the time of that event. Of the events of an hour it is the one with the highest number.
    pub(crate) facts: Facts,
    pub(crate) facts_at: Timestamp,
    /// Time at which it was last judged to be lost. A run that was seen since then is not lost any more.
    pub(crate) lost_at: Option<Timestamp>,
    /// Time at which one of its numbers was last seen with another content: evidence of a clone.
    pub(crate) forked_at: Option<Timestamp>,
    /// Time of its latest event that was imported.
    pub(crate) imported_until: Option<Timestamp>,
}

impl Run {
    /// Whether its latest event was imported: nobody could have heard it since then.
    pub(crate) fn is_imported(&self) -> bool {
        self.imported_until.is_some_and(|until| until >= self.last_seen_at)
    }
}

/// State of an instance (receiver §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Silent for longer than two frequencies and the grace.
    Down,
    /// Silent for longer than a frequency and the grace.
    Late,
    /// Seen in time.
    Up,
    /// Its last run sent `end`.
    Ended,
}

impl State {
    /// All states, the worst first, which is the order in which people look at them.
    pub(crate) const ALL: [State; 4] = [State::Down, State::Late, State::Up, State::Ended];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Late => "late",
            State::Up => "up",
            State::Ended => "ended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Its position in [`ALL`](Self::ALL). Stores keep a state as this number and sort by it.
    pub(crate) fn rank(self) -> i16 {
        Self::ALL.iter().position(|state| *state == self).unwrap_or_default() as i16
    }

    pub(crate) fn of_rank(rank: i16) -> Option<Self> {
        usize::try_from(rank).ok().and_then(|rank| Self::ALL.get(rank).copied())
    }
}

/// Remarks on an instance besides its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Flags {
    /// A run was lost within the last seven days.
    pub(crate) crashed: bool,
    /// Two or more runs are alive, each of which was seen after the other began: replicas, or a clone.
    pub(crate) several_runs: bool,
    /// A run had two contents under one number within the last seven days: a clone, or a restored snapshot.
    pub(crate) cloned: bool,
    /// A process keeps dying and being started again.
    pub(crate) restarting: bool,
}

/// Runs of an instance that were lost within the last seven days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Losses {
    /// Number of the runs, of those that a judgement considers.
    pub(crate) count: i32,
    /// Time of the latest loss.
    pub(crate) last_at: Option<Timestamp>,
}

/// An instance as of its last judgement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    pub(crate) instance_id: Uuid,
    pub(crate) first_seen_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) state: State,
    /// Time since which it has been in that state.
    pub(crate) state_since: Timestamp,
    pub(crate) flags: Flags,
    pub(crate) losses: Losses,
    /// Time of the first of a chain of begins, each soon after the one before; see [`Flags::restarting`].
    pub(crate) begins_since: Option<Timestamp>,
    /// It is down, and nobody was told, because it was muted.
    pub(crate) untold: bool,
    /// Seconds between two updates that the judgement assumed.
    pub(crate) frequency: i32,
    pub(crate) facts: Facts,
    /// Time of the last judgement. Before the first, only the times at which the instance was seen are valid.
    pub(crate) judged_at: Option<Timestamp>,
}

/// Kind of a [`Transition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// The state changed: `up`, `late`, `down`, `ended`.
    State,
    /// The license changed: `valid`, `invalid`.
    License,
    /// The version changed.
    Version,
    /// The product changed.
    Product,
    /// It belongs to another key; the values are the names of the keys.
    Key,
    /// Its id was changed; both the instance of the old id and that of the new one have it.
    Id,
    /// A run was lost; the new value is its id.
    RunLost,
    /// Not of an instance: a key reports more new instances than it may. The new value is how many it may an hour.
    NewInstances,
}

impl Change {
    pub(crate) const ALL: [Change; 8] = [
        Change::State,
        Change::License,
        Change::Version,
        Change::Product,
        Change::Key,
        Change::Id,
        Change::RunLost,
        Change::NewInstances,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Change::State => "state",
            Change::License => "license",
            Change::Version => "version",
            Change::Product => "product",
            Change::Key => "key",
            Change::Id => "id",
            Change::RunLost => "run-lost",
            Change::NewInstances => "new-instances",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.as_str() == text)
    }
}

/// A change of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Transition {
    /// Time at which the change became true, which may be before it was noticed.
    pub(crate) at: Timestamp,
    pub(crate) change: Change,
    /// Value before the change; `None` when the instance was seen for the first time.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}
