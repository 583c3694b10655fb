//! The mark of receivers that are at work.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::builder::select;
use super::rows::{self, Time};
use crate::receiver::store::outages::{Writes, standing, with_history, writes};
use crate::receiver::store::{Marked, Outage, Outages, Reading, SqliteFleetStore, Standing, StoreError};

#[async_trait]
impl Outages for SqliteFleetStore {
    fn has_clock(&self) -> bool {
        false
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn mark(&self, reading: Reading, outage_after: Duration) -> Result<Marked, StoreError> {
        self.write(move |transaction| {
            let (last, known) = (last_mark(transaction)?, outages(transaction)?);
            let mut standing = standing(reading.at, reading.is_given, last, &known);
            if matches!(standing, Standing::Behind { .. }) && reading.counted.is_none() {
                standing = with_history(standing, last, oldest(transaction)?);
            }
            let writes = writes(&reading, reading.at, standing, last, &known, outage_after);
            write(transaction, writes)?;
            Ok(Marked {
                at: reading.at,
                mark: last_mark(transaction)?.unwrap_or(reading.at),
                standing,
                outages: outages(transaction)?,
            })
        })
        .await
    }
}

pub(super) fn last_mark(transaction: &Transaction<'_>) -> rusqlite::Result<Option<Timestamp>> {
    transaction.query_row("select at from telemetry_mark", [], |row| rows::time(row, 0)).optional()
}

pub(super) fn outages(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Outage>> {
    select(transaction, "select began_at, ended_at from telemetry_outage order by began_at", [], |row| {
        Ok(Outage { began_at: rows::time(row, 0)?, ended_at: rows::time(row, 1)? })
    })
}

/// When the oldest instance was first seen.
fn oldest(transaction: &Transaction<'_>) -> rusqlite::Result<Option<Timestamp>> {
    transaction
        .query_row("select min(first_seen_at) from telemetry_instance", [], |row| rows::optional_time(row, 0))
}

fn write(transaction: &Transaction<'_>, writes: Writes) -> rusqlite::Result<()> {
    if let Some(outage) = writes.outage {
        let sql = "insert into telemetry_outage (began_at, ended_at) values (?1, ?2) on conflict do nothing";
        transaction.execute(sql, params![Time(outage.began_at), Time(outage.ended_at)])?;
    }
    if let Some(mark) = writes.mark {
        let sql = "insert into telemetry_mark (only_one, at) values (1, ?1) on conflict do update set at = max(at, ?1)";
        transaction.execute(sql, [Time(mark)])?;
    }
    if let Some(forgotten) = writes.forgotten {
        transaction.execute("delete from telemetry_outage where ended_at < ?1", [Time(forgotten)])?;
    }
    Ok(())
}
