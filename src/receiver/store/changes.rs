//! The latest changes of the whole fleet.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::License;
use super::instance::{Change, Transition};

/// Number of changes, the latest of the fleet, among which those of a key or of a kind are looked for.
pub(crate) const LOOKED_AT: i64 = 20_000;

/// A selection of changes: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChangeFilter {
    /// Of an instance of this key.
    pub(crate) key_id: Option<Uuid>,
    /// Of one of these kinds; of any where there are none.
    pub(crate) kinds: Vec<Change>,
}

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
