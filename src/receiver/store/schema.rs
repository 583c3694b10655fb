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

    /// Creates what events of the days around `now` need, such as partitions.
    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Creates what events of these days need.
    async fn make_room_for(&self, days: &[Date]) -> Result<(), StoreError>;
}
