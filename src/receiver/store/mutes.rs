//! Mutes: of whose changes nobody is told for a time.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;

/// Maximum number of mutes that have not ended.
pub(crate) const MOST_MUTES: i64 = 1_000;

/// For how long a mute is kept after its end, in days.
pub(super) const KEPT_DAYS: i64 = 7;

/// A mute: until its end, nobody is told of what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mute {
    pub(crate) id: Uuid,
    pub(crate) of: Muted,
    /// Why, for people.
    pub(crate) reason: String,
    pub(crate) until: Timestamp,
    pub(crate) created_at: Timestamp,
}

/// What a mute is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Muted {
    /// One instance.
    Instance(Uuid),
    /// The instances whose latest event came with this key.
    Key(Uuid),
    /// The instances that match this query, which is written as the API has it.
    Filter(String),
}

impl Muted {
    /// The values of the columns `instance_id`, `key_id` and `filter`.
    pub(super) fn columns(&self) -> (Option<Uuid>, Option<Uuid>, Option<&str>) {
        match self {
            Self::Instance(id) => (Some(*id), None, None),
            Self::Key(id) => (None, Some(*id), None),
            Self::Filter(query) => (None, None, Some(query)),
        }
    }

    pub(super) fn of_columns(
        instance_id: Option<Uuid>,
        key_id: Option<Uuid>,
        filter: Option<String>,
    ) -> Option<Self> {
        match (instance_id, key_id, filter) {
            (Some(id), None, None) => Some(Self::Instance(id)),
            (None, Some(id), None) => Some(Self::Key(id)),
            (None, None, Some(query)) => Some(Self::Filter(query)),
            _ => None,
        }
    }
}

/// Keeps the mutes.
#[async_trait]
pub(crate) trait Mutes: Send + Sync {
    /// All mutes, also those that ended lately, the last to end first.
    async fn mutes(&self) -> Result<Vec<Mute>, StoreError>;

    /// Adds mutes that are created at the same time: all of them, or none. Returns `false` if there would be more than
    /// [`MOST_MUTES`] that have not ended then.
    async fn add_mutes(&self, mutes: &[Mute]) -> Result<bool, StoreError>;

    /// Removes a mute. Returns `false` if there is no such mute.
    async fn remove_mute(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Makes every instance due at `now` that is down and of which nobody was told because it was muted. Returns their
    /// number.
    async fn wake_untold(&self, now: Timestamp) -> Result<u64, StoreError>;
}
