//! Deleting events by hand, and everything by age.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use uuid::Uuid;

use super::builder::select;
use super::rows::{self, Id, Time};
use crate::receiver::store::forgetting::KEPT_FREQUENCIES;
use crate::receiver::store::time::before;
use crate::receiver::store::{DEFAULT_FREQUENCY, Forgetting, SqliteFleetStore, State, StoreError};

/// Maximum number of rows that one transaction deletes, which takes about as long as a batch of events.
pub(super) const PIECE: usize = 1_000;

/// Maximum number of keys that one scan collects, which bounds its memory.
const OLD_ROWS: usize = 50_000;

#[async_trait]
impl Forgetting for SqliteFleetStore {
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        self.forget(now, before(now, retention)).await
    }

    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "delete from telemetry_event where instance_id = ?1 and id = ?2";
            transaction.execute(sql, [Id(instance_id), Id(id)])
        })
        .await
        .map(|rows| rows == 1)
    }
}

impl SqliteFleetStore {
    pub(super) async fn forget(&self, now: Timestamp, oldest: Timestamp) -> Result<(), StoreError> {
        self.delete_older(
            oldest,
            "delete from telemetry_event where rowid in (
                 select rowid from telemetry_event indexed by telemetry_event_newest where ts < ?1 limit ?2)",
        )
        .await?;
        self.delete_older(
            oldest,
            "delete from telemetry_transition where (instance_id, at, change, \"to\") in (
                 select instance_id, at, change, \"to\" from telemetry_transition where at < ?1 limit ?2)",
        )
        .await?;
        self.delete_older(
            oldest,
            "delete from telemetry_alert where (instance_id, id) in (
                 select instance_id, id from telemetry_alert where delivered_at < ?1 limit ?2)",
        )
        .await?;
        let is_old = format!(
            "state_rank in ({}, {}) and state_since < ?1 and last_seen_at < ?1",
            State::Down.rank(),
            State::Ended.rank()
        );
        let find = format!("select instance_id from telemetry_instance where {is_old} limit ?2");
        let delete = format!("delete from telemetry_instance where {is_old} and instance_id = ?2");
        self.delete_scanned(
            oldest,
            find,
            |row| rows::id(row, 0),
            move |transaction, instance_id, oldest| {
                transaction.prepare_cached(&delete)?.execute(params![Time(oldest), Id(*instance_id)])
            },
        )
        .await?;
        let is_old = format!(
            "last_seen_at < min(?1, {} - 1000000 * {KEPT_FREQUENCIES} * coalesce(frequency, {DEFAULT_FREQUENCY}))
             and not exists (select 1 from telemetry_instance instance
                 where instance.instance_id = run.instance_id and instance.run_id = run.run_id)",
            now.as_microsecond()
        );
        let find = format!("select instance_id, run_id from telemetry_run run where {is_old} limit ?2");
        let delete =
            format!("delete from telemetry_run as run where {is_old} and instance_id = ?2 and run_id = ?3");
        self.delete_scanned(
            oldest,
            find,
            |row| Ok((rows::id(row, 0)?, rows::id(row, 1)?)),
            move |transaction, (instance_id, run_id), oldest| {
                let key = params![Time(oldest), Id(*instance_id), Id(*run_id)];
                transaction.prepare_cached(&delete)?.execute(key)
            },
        )
        .await
    }

    /// Runs `delete` until nothing is left to delete. Between two pieces of [`PIECE`] rows others can write.
    async fn delete_older(&self, than: Timestamp, delete: &'static str) -> Result<(), StoreError> {
        while self
            .write(move |transaction| transaction.execute(delete, params![Time(than), PIECE as i64]))
            .await?
            == PIECE
        {}
        Ok(())
    }

    /// Deletes rows that only a scan of their table finds. Writers do not wait for the scan.
    async fn delete_scanned<K: Send + 'static>(
        &self,
        since: Timestamp,
        find: String,
        key: fn(&Row<'_>) -> rusqlite::Result<K>,
        delete: impl Fn(&Transaction<'_>, &K, Timestamp) -> rusqlite::Result<usize> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        loop {
            let find = find.clone();
            let mut old = self
                .read(move |transaction| {
                    select(transaction, &find, params![Time(since), OLD_ROWS as i64], key)
                })
                .await?;
            let found = old.len();
            while !old.is_empty() {
                let piece = old.split_off(old.len().saturating_sub(PIECE));
                let delete = delete.clone();
                self.write(move |transaction| {
                    piece.iter().try_for_each(|key| delete(transaction, key, since).map(drop))
                })
                .await?;
            }
            if found < OLD_ROWS {
                return Ok(());
            }
        }
    }
}
