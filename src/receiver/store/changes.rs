//! The latest changes of the whole fleet.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::License;
use super::instance::{Change, State, Transition};

/// Number of changes of the fleet, one after the other, among which those of a key or of a kind are looked for at once.
pub(crate) const LOOKED_AT: i64 = 20_000;

/// What became of an instance by a change. A change of its state is told apart by where it led, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Down,
    Late,
    /// Up after it was down.
    Back,
    /// Up after it was late.
    InTime,
    /// Up after it had ended.
    Begun,
    /// Up, and never seen before.
    New,
    Ended,
    /// A run was lost.
    Crashed,
    LicenseLost,
    LicenseValid,
    Version,
    Product,
    Key,
    Id,
}

impl Turn {
    /// All turns: what is wrong first, then what is well again, then what is neither.
    pub(crate) const ALL: [Turn; 14] = [
        Turn::Down,
        Turn::Back,
        Turn::Crashed,
        Turn::Late,
        Turn::InTime,
        Turn::LicenseLost,
        Turn::LicenseValid,
        Turn::Version,
        Turn::New,
        Turn::Begun,
        Turn::Ended,
        Turn::Key,
        Turn::Product,
        Turn::Id,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Turn::Down => "down",
            Turn::Late => "late",
            Turn::Back => "back",
            Turn::InTime => "in-time",
            Turn::Begun => "begun",
            Turn::New => "new",
            Turn::Ended => "ended",
            Turn::Crashed => "crashed",
            Turn::LicenseLost => "license-lost",
            Turn::LicenseValid => "license-valid",
            Turn::Version => "version",
            Turn::Product => "product",
            Turn::Key => "key",
            Turn::Id => "id",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|turn| turn.as_str() == text)
    }

    /// What a change is; `None` of one that is not of an instance.
    pub(crate) fn of(change: Change, from: Option<&str>, to: &str) -> Option<Self> {
        Some(match change {
            Change::State => match (from.and_then(State::parse), State::parse(to)) {
                (_, Some(State::Down)) => Turn::Down,
                (_, Some(State::Late)) => Turn::Late,
                (_, Some(State::Ended)) => Turn::Ended,
                (None, _) => Turn::New,
                (Some(State::Down), _) => Turn::Back,
                (Some(State::Ended), _) => Turn::Begun,
                (Some(_), _) => Turn::InTime,
            },
            Change::License if to == "valid" => Turn::LicenseValid,
            Change::License => Turn::LicenseLost,
            Change::Version => Turn::Version,
            Change::Product => Turn::Product,
            Change::Key => Turn::Key,
            Change::Id => Turn::Id,
            Change::RunLost => Turn::Crashed,
            Change::NewInstances => return None,
        })
    }

    /// The condition that is the same as [`Turn::of`], for a row of `telemetry_transition`.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Turn::Down => "change = 'state' and \"to\" = 'down'",
            Turn::Late => "change = 'state' and \"to\" = 'late'",
            Turn::Back => "change = 'state' and \"to\" = 'up' and \"from\" = 'down'",
            Turn::InTime => "change = 'state' and \"to\" = 'up' and \"from\" in ('late', 'up')",
            Turn::Begun => "change = 'state' and \"to\" = 'up' and \"from\" = 'ended'",
            Turn::New => "change = 'state' and \"to\" = 'up' and \"from\" is null",
            Turn::Ended => "change = 'state' and \"to\" = 'ended'",
            Turn::Crashed => "change = 'run-lost'",
            Turn::LicenseLost => "change = 'license' and \"to\" <> 'valid'",
            Turn::LicenseValid => "change = 'license' and \"to\" = 'valid'",
            Turn::Version => "change = 'version'",
            Turn::Product => "change = 'product'",
            Turn::Key => "change = 'key'",
            Turn::Id => "change = 'id'",
        }
    }
}

/// The place of a change in the order of lists: by time, then by instance, by change and by the new value, each falling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChangeCursor {
    pub(crate) at: Timestamp,
    pub(crate) instance_id: Uuid,
    pub(crate) change: Change,
    pub(crate) to: String,
}

impl From<&FleetChange> for ChangeCursor {
    fn from(found: &FleetChange) -> Self {
        let FleetChange { instance_id, transition, .. } = found;
        let Transition { at, change, to, .. } = transition;
        Self { at: *at, instance_id: *instance_id, change: *change, to: to.clone() }
    }
}

/// A selection of changes: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChangeFilter {
    /// Of an instance of this key.
    pub(crate) key_id: Option<Uuid>,
    /// Of one of these kinds; of any where there are none.
    pub(crate) kinds: Vec<Change>,
    /// One of these; any where there are none.
    pub(crate) turns: Vec<Turn>,
    /// Only what somebody is told of unless it is muted: see [`Transition::is_told`].
    pub(crate) told: bool,
}

impl ChangeFilter {
    /// Whether every change matches.
    pub(crate) fn is_of_all(&self) -> bool {
        *self == Self::default()
    }

    /// The condition of the turns; empty where there are none.
    pub(super) fn of_turns(&self) -> String {
        let conditions: Vec<&str> = self.turns.iter().map(|turn| turn.condition()).collect();
        conditions.join(" or ")
    }
}

impl Transition {
    /// Whether the transition is told to somebody, where it left the instance in the state `left`: an instance goes down, or no
    /// longer is, be it up or ended; a run is lost after which none is left; a license is no longer valid.
    pub(crate) fn is_told(&self, left: State) -> bool {
        let was_down = || self.from.as_deref() == Some(State::Down.as_str());
        match (self.change, self.to.as_str()) {
            (Change::State, "down") => true,
            (Change::State, "up" | "ended") => was_down(),
            (Change::RunLost, _) => left == State::Ended,
            (Change::License, "invalid") => true,
            _ => false,
        }
    }
}

/// For a row of `telemetry_transition` that is named `latest` and is of a run that was lost: the state in which it left the
/// instance, which is the one that the instance changed to last until then. A judge that sees changes of several moments
/// at once takes the state after all of them, so that what it told of may differ.
pub(super) const LEFT: &str = "case when latest.change = 'run-lost' then (
        select state.\"to\" from telemetry_transition state
        where state.instance_id = latest.instance_id and state.change = 'state' and state.at <= latest.at
        order by state.at desc limit 1) end as left_in";

/// The condition that is the same as [`Transition::is_told`], for a row with [`LEFT`].
pub(super) const IS_TOLD: &str =
    "(change = 'state' and (\"to\" = 'down' or \"from\" = 'down' and \"to\" in ('up', 'ended'))
    or change = 'license' and \"to\" = 'invalid'
    or change = 'run-lost' and left_in = 'ended')";

/// A change, and the instance that it is about, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FleetChange {
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) key_id: Uuid,
    pub(crate) license: License,
    pub(crate) transition: Transition,
}

/// Answers what changed lately.
#[async_trait]
pub(crate) trait Changes: Send + Sync {
    /// Up to `limit` changes after a place, the latest first. With a filter, those of the [`LOOKED_AT`] changes after the
    /// place that match.
    async fn latest_changes(
        &self,
        filter: &ChangeFilter,
        after: Option<&ChangeCursor>,
        limit: i64,
    ) -> Result<Vec<FleetChange>, StoreError>;

    /// The last of the [`LOOKED_AT`] changes after a place; `None` where there are not so many.
    async fn last_looked_at(&self, after: Option<&ChangeCursor>) -> Result<Option<ChangeCursor>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_an_instance_is_one_turn() {
        for (change, from, to, turn) in [
            (Change::State, Some("late"), "down", Turn::Down),
            (Change::State, None, "down", Turn::Down),
            (Change::State, Some("up"), "late", Turn::Late),
            (Change::State, Some("down"), "up", Turn::Back),
            (Change::State, Some("late"), "up", Turn::InTime),
            (Change::State, Some("ended"), "up", Turn::Begun),
            (Change::State, None, "up", Turn::New),
            (Change::State, Some("down"), "ended", Turn::Ended),
            (Change::License, Some("valid"), "invalid", Turn::LicenseLost),
            (Change::License, Some("invalid"), "valid", Turn::LicenseValid),
            (Change::RunLost, None, "a run", Turn::Crashed),
            (Change::Version, Some("1.0"), "2.0", Turn::Version),
        ] {
            assert_eq!(Turn::of(change, from, to), Some(turn), "{from:?} to {to}");
        }
        assert_eq!(Turn::of(Change::NewInstances, None, "50"), None);
        for turn in Turn::ALL {
            assert_eq!(Turn::parse(turn.as_str()), Some(turn));
        }
        assert_eq!(Turn::parse("state"), None);
    }
}
