//! Deleting events by hand, and everything by age.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;

/// Number of its frequencies for which a silent run is kept at least, however short the retention. After
/// three of them any judgement takes the run for silent.
pub(super) const KEPT_FREQUENCIES: i32 = 3;

/// Deletes what is no longer needed.
#[async_trait]
pub(crate) trait Forgetting: Send + Sync {
    /// Deletes what is older than `retention` at `now`: events, transitions and delivered alerts; instances
    /// that were down or had ended before that; and silent runs, except the one by which an instance was last
    /// judged. A store may keep events for up to a day longer.
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError>;

    /// Deletes an event; what was concluded from it stays. Returns `false` if there is no such event.
    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError>;
}
