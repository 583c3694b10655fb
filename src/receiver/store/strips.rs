//! The changes of state that the strips of a list are drawn from.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::instance::Transition;

/// Maximum number of changes of one instance that are looked at: the latest.
pub(crate) const MOST_CHANGES: usize = 1_000;

/// Answers what the strips of a list are drawn from.
#[async_trait]
pub(crate) trait Strips: Send + Sync {
    /// The changes of state of these instances from `from` to `now`, the earliest first; of each instance the latest
    /// [`MOST_CHANGES`]. Instances without any are left out.
    async fn strips(
        &self,
        ids: &[Uuid],
        from: Timestamp,
        now: Timestamp,
    ) -> Result<HashMap<Uuid, Vec<Transition>>, StoreError>;
}
