//! The licenses of the fleet: license keys that servers share, who has none that is valid, and licenses that were lost.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::changes::FleetChange;
use super::error::StoreError;
use super::instance::State;

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

/// The licenses of the servers of a key of the webhook that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyLicenses {
    pub(crate) key_id: Uuid,
    /// Number of those with a license that is not valid.
    pub(crate) invalid: i64,
    /// Number of those without a license.
    pub(crate) none: i64,
    /// Number of all of them.
    pub(crate) servers: i64,
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

    /// The keys of the webhook that have servers without a valid license, up to `limit`: those with most invalid ones first,
    /// then those with most that have none.
    async fn unlicensed_keys(&self, limit: i64) -> Result<Counted<KeyLicenses>, StoreError>;

    /// The changes since a time by which a license was no longer valid, the latest first, up to `limit`.
    async fn lost_licenses(&self, since: Timestamp, limit: i64) -> Result<Counted<FleetChange>, StoreError>;
}

/// The query of [`Licenses::unlicensed_keys`], with a parameter for its limit.
pub(super) fn unlicensed(limit: &str) -> String {
    format!(
        "select key_id, count(*) filter (where not license_valid and license_key_hash is not null) as invalid,
             count(*) filter (where not license_valid and license_key_hash is null) as none, count(*) as servers,
             count(*) over () as total
         from telemetry_instance where state_rank <> {}
         group by key_id having count(*) filter (where not license_valid) > 0
         order by 2 desc, 3 desc, 1 limit {limit}",
        State::Ended.rank()
    )
}
