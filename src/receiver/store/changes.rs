//! The latest changes of the whole fleet.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::License;
use super::instance::{Change, State, Transition};

/// Number of changes, the latest of the fleet, among which those of a key or of a kind are looked for.
pub(crate) const LOOKED_AT: i64 = 20_000;

/// A selection of changes: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChangeFilter {
    /// Of an instance of this key.
    pub(crate) key_id: Option<Uuid>,
    /// Of one of these kinds; of any where there are none.
    pub(crate) kinds: Vec<Change>,
    /// Only what somebody is told of unless it is muted: see [`Transition::is_told`].
    pub(crate) told: bool,
}

impl Transition {
    /// Whether somebody is told of the change, which left the instance in the state `left`: an instance goes down, or no
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
    /// Up to `limit` changes, the latest first. With a filter, those of the latest [`LOOKED_AT`] that match.
    async fn latest_changes(&self, filter: &ChangeFilter, limit: i64)
    -> Result<Vec<FleetChange>, StoreError>;
}
