//! Storing events.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::Facts;

/// A valid event that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEvent {
    /// Derived from the `webhook-id` in its first half and from the time and the content in its second, so that the same
    /// request has the same id, and another one under the same number has an id beside it. Random where the event came
    /// without a `webhook-id`.
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    /// Nil where the `webhook-id` names no run.
    pub(crate) run_id: Uuid,
    /// Number of the event, which rises within a run. Where the `webhook-id` has no number, the microseconds
    /// of `received_at`.
    pub(crate) sequence: i64,
    /// Whether `sequence` was set by the sender. Then an event with a number above the run's highest is new.
    pub(crate) is_numbered: bool,
    /// By the receiver's clock; of an event that was imported, the time at which its sender wrote it to the file.
    pub(crate) received_at: Timestamp,
    /// It comes from an event file, not from the network.
    pub(crate) is_imported: bool,
    /// Partition of the event. The same for a repeated event that is received within a day.
    pub(crate) day: Date,
    pub(crate) reason: String,
    /// `telemetry-frequency`, in seconds.
    pub(crate) frequency: Option<i32>,
    /// With the key and the product of the request.
    pub(crate) facts: Facts,
    /// Number of instances that the key may report for the first time within an hour; any number if `None`.
    pub(crate) new_per_hour: Option<i32>,
    /// The payload, byte for byte as it was received; JSON in UTF-8 without U+0000.
    pub(crate) data: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is stored.
    New,
    /// It had been stored before.
    Before,
    /// Its instance belongs to another key.
    OtherKey,
    /// Its instance would be one new instance more than its key may report within an hour.
    TooManyNew,
}

#[cfg(feature = "postgres")]
impl Appended {
    /// What becomes of the same event after this became of it.
    pub(super) fn again(self) -> Self {
        match self {
            Self::New => Self::Before,
            other => other,
        }
    }
}

/// Stores events.
#[async_trait]
pub(crate) trait Ingest: Send + Sync {
    /// Number of concurrent calls of [`append`](Self::append) that are faster than fewer.
    fn writers(&self) -> usize;

    /// Number of the shard that has the events of an instance. Events of one shard are stored in one transaction, those
    /// of several in as many. All instances of a store that is not divided are on one.
    fn shard_of(&self, _instance_id: Uuid) -> usize {
        0
    }

    /// Stores events durably, each as a whole or not at all, and answers for each of them, in their order, what
    /// became of it. A repeated event changes nothing, and so does one that is refused.
    ///
    /// A run takes up the events by the rules of [`merge`](super::merge). An instance becomes due to be
    /// judged unless all its new events are updates of the run by which it was last judged to be up, with the
    /// facts of that judgement, and with its frequency or none, and no other open run began when that run was
    /// last seen or later.
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError>;
}
