//! What is deleted by age.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use super::query::select;
use super::rows::{self, Id, Time};
use crate::receiver::store::{DEFAULT_FREQUENCY, RUN_OUTLIVES, SqliteFleetStore, State, StoreError};

/// Rows are deleted so many at a time: about as long as a batch of events takes.
pub(super) const PIECE: usize = 1_000;

/// Keys of old rows are looked for so many at a time, which bounds the memory they take.
const OLD_ROWS: usize = 50_000;

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
        let silent = format!(
            "state_rank in ({}, {}) and state_since < ?1 and last_seen_at < ?1",
            State::Down.rank(),
            State::Ended.rank()
        );
        let find = format!("select instance_id from telemetry_instance where {silent} limit ?2");
        let delete = format!("delete from telemetry_instance where {silent} and instance_id = ?2");
        self.delete_unseen(
            oldest,
            find,
            |row| rows::id(row, 0),
            move |transaction, instance_id, oldest| {
                transaction.prepare_cached(&delete)?.execute(params![Time(oldest), Id(*instance_id)])
            },
        )
        .await?;
        let silent = format!(
            "last_seen_at < min(?1, {} - 1000000 * {RUN_OUTLIVES} * coalesce(frequency, {DEFAULT_FREQUENCY}))
             and not exists (select 1 from telemetry_instance instance
                 where instance.instance_id = run.instance_id and instance.run_id = run.run_id)",
            now.as_microsecond()
        );
        let find = format!("select instance_id, run_id from telemetry_run run where {silent} limit ?2");
        let delete =
            format!("delete from telemetry_run as run where {silent} and instance_id = ?2 and run_id = ?3");
        self.delete_unseen(
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

    /// Deletes what `delete` deletes in pieces of [`PIECE`], between which others get to write.
    async fn delete_older(&self, than: Timestamp, delete: &'static str) -> Result<(), StoreError> {
        while self
            .write(move |transaction| transaction.execute(delete, params![Time(than), PIECE as i64]))
            .await?
            == PIECE
        {}
        Ok(())
    }

    /// Deletes rows that are found only by looking at all of them. Who writes does not wait for the looking.
    async fn delete_unseen<K: Send + 'static>(
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
