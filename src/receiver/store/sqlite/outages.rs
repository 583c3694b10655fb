//! The mark of receivers that are at work.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::builder::select;
use super::rows::{self, Time};
use crate::receiver::store::outages::OUTAGES_REMEMBERED;
use crate::receiver::store::time::before;
use crate::receiver::store::{Outage, Outages, SqliteFleetStore, StoreError};

#[async_trait]
impl Outages for SqliteFleetStore {
    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError> {
        self.write(move |transaction| {
            let last = transaction
                .query_row("select at from telemetry_mark", [], |row| rows::time(row, 0))
                .optional()?
                .unwrap_or(now);
            if last < before(now, outage_after) {
                let sql = "insert into telemetry_outage (began_at, ended_at) values (?1, ?2) on conflict do nothing";
                transaction.execute(sql, params![Time(last), Time(now)])?;
            }
            let sql = "insert into telemetry_mark (only_one, at) values (1, ?1) on conflict do update set at = max(at, ?1)";
            transaction.execute(sql, [Time(now)])?;
            let forgotten = Time(before(now, OUTAGES_REMEMBERED));
            transaction.execute("delete from telemetry_outage where ended_at < ?1", [forgotten])?;
            select(transaction, "select began_at, ended_at from telemetry_outage order by began_at", [], |row| {
                Ok(Outage { began_at: rows::time(row, 0)?, ended_at: rows::time(row, 1)? })
            })
        })
        .await
    }
}
