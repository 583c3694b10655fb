//! Queries of people and programs that look at the fleet.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::License;
use super::filter::InstanceFilter;
use super::instance::{Flags, Instance, Run, State, Transition};
use super::order::{InstanceCursor, Sort};

/// Time for which an instance is new after it was first seen.
pub(crate) const NEW_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A stored event. Its kind is always `usr`, its type `telemetry.custom`, and it is persistent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEvent {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) received_at: Timestamp,
    pub(crate) reason: String,
    pub(crate) frequency: Option<i32>,
    /// The key that it came with; nil where an earlier version stored it.
    pub(crate) key_id: Uuid,
    pub(crate) product: String,
    pub(crate) is_imported: bool,
    pub(crate) data: String,
}

/// A stored event without what it said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventMark {
    pub(crate) id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) received_at: Timestamp,
    pub(crate) reason: String,
}

/// A stored event as a sign that its instance was heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sight {
    pub(crate) instance_id: Uuid,
    pub(crate) key_id: Uuid,
    pub(crate) product: String,
    pub(crate) at: Timestamp,
    /// It comes from a file: nobody heard it then.
    pub(crate) is_imported: bool,
}

/// The number of instances that agree in all the other fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) state: State,
    pub(crate) license: License,
    pub(crate) flags: Flags,
    /// Whether they were first seen within [`NEW_FOR`].
    pub(crate) is_new: bool,
    pub(crate) build_version: String,
    pub(crate) count: i64,
}

/// Number of events, the latest, among which those of a key are looked for at once: no index has the key, for it would cost
/// every event that is stored.
pub(crate) const EVENTS_LOOKED_AT: i64 = 10_000;

/// A selection of events: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventFilter {
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) reason: Option<String>,
    /// Received at or after this time.
    pub(crate) from: Option<Timestamp>,
    /// Received before this time.
    pub(crate) to: Option<Timestamp>,
    /// Came with this key.
    pub(crate) key_id: Option<Uuid>,
}

/// The last event of a page, after which the next one begins. Pages are sorted by time, then by instance,
/// then by id, each falling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EventCursor {
    pub(crate) received_at: Timestamp,
    pub(crate) instance_id: Uuid,
    pub(crate) id: Uuid,
}

/// Answers queries.
#[async_trait]
pub(crate) trait Queries: Send + Sync {
    /// The fleet in numbers, in no order.
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError>;

    /// Up to `limit` instances in an order, of which `after` is a place.
    async fn instances(
        &self,
        filter: &InstanceFilter,
        sort: Sort,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError>;

    /// Numbers of the instances that match, by state; a state without any is left out.
    async fn count_by_state(&self, filter: &InstanceFilter) -> Result<Vec<(State, i64)>, StoreError>;

    /// Number of the instances that have been ended since this time or later.
    async fn count_ended(&self, since: Timestamp) -> Result<i64, StoreError>;

    /// One instance.
    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError>;

    /// The latest `limit` runs of an instance, the last seen first.
    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError>;

    /// The latest `limit` transitions of an instance, the latest first.
    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError>;

    /// Up to `limit` events after a place, in the order of [`EventCursor`]. Those of a key are looked for among the next
    /// [`EVENTS_LOOKED_AT`] events that match otherwise.
    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// The last of the [`EVENTS_LOOKED_AT`] events after a place among which those of a key are looked for; `None` where
    /// there are not so many.
    async fn last_event_looked_at(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
    ) -> Result<Option<EventCursor>, StoreError>;

    /// The latest `limit` events of an instance since a time, without what they said, the latest first.
    async fn event_marks(
        &self,
        instance_id: Uuid,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<EventMark>, StoreError>;

    /// The latest `limit` events of the whole fleet after a time, the latest first.
    async fn sights(&self, after: Timestamp, limit: i64) -> Result<Vec<Sight>, StoreError>;

    /// One event.
    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError>;
}
