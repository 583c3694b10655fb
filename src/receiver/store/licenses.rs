//! The licenses of the fleet: keys that servers share, and licenses that were lost.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::changes::FleetChange;
use super::error::StoreError;

/// Number of servers of a shared key that are named.
pub(crate) const NAMED_SERVERS: i64 = 5;

/// A license key that several servers report which have not ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SharedLicense {
    pub(crate) hash: String,
    pub(crate) servers: i64,
    /// The ids and names of up to [`NAMED_SERVERS`] of them, the worst first.
    pub(crate) named: Vec<(Uuid, Option<String>)>,
}

/// Rows of a list that shows the first of them, and the number of all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted<Row> {
    pub(crate) total: i64,
    pub(crate) rows: Vec<Row>,
}

/// Answers what is known of licenses.
#[async_trait]
pub(crate) trait Licenses: Send + Sync {
    /// The license keys that several servers report, those of most servers first, up to `limit`.
    async fn shared_licenses(&self, limit: i64) -> Result<Counted<SharedLicense>, StoreError>;

    /// The changes since a time by which a license was no longer valid, the latest first, up to `limit`.
    async fn lost_licenses(&self, since: Timestamp, limit: i64) -> Result<Counted<FleetChange>, StoreError>;
}
