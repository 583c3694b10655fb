//! The mark of receivers that are at work, and the outages that its absence proves.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::error::StoreError;

/// Time for which an outage is remembered. A frequency may be as long as a month.
pub(super) const OUTAGES_REMEMBERED: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// A period in which no receiver could store events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outage {
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// Keeps the mark and the outages.
#[async_trait]
pub(crate) trait Outages: Send + Sync {
    /// Marks that a receiver is at work at `now`. Fails where an event could not be stored.
    ///
    /// Where the last mark of any receiver is older than `outage_after`, the time since then was an outage.
    /// Returns the outages that ended within the last 60 days, oldest first.
    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError>;
}
