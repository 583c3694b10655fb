//! The tables.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::error::StoreError;

/// Makes and keeps the tables.
#[async_trait]
pub(crate) trait Schema: Send + Sync {
    /// Creates the tables where they are missing, and brings those of an earlier version up to this one.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Does the same, and divides the tables that grow with the fleet by instances over the nodes of a distributed database, into
    /// so many shards; what is stored already moves there. Refused where the database cannot be distributed.
    async fn distribute(&self, shards: Option<u32>) -> Result<(), StoreError>;

    /// Creates what events of the days around `now` need, such as partitions.
    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Creates what events of these days need.
    async fn make_room_for(&self, days: &[Date]) -> Result<(), StoreError>;
}
