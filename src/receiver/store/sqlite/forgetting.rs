//! Deleting events and instances by hand, and everything by age.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, Transaction, params};
use uuid::Uuid;

use super::builder::{QueryBuilder, select};
use super::filter::narrow;
use super::rows::{self, Id, Time};
use crate::receiver::store::forgetting::KEPT_FREQUENCIES;
use crate::receiver::store::mutes::KEPT_DAYS;
use crate::receiver::store::time::before;
use crate::receiver::store::{
    DEFAULT_FREQUENCY, Doomed, Forgetting, Piece, SqliteFleetStore, State, StoreError,
};

/// Maximum number of rows that one transaction deletes, which takes about as long as a batch of events.
pub(super) const PIECE: usize = 1_000;

/// Maximum number of instances that are forgotten in one transaction, with all that belongs to them.
const FORGOTTEN_AT_ONCE: usize = 250;

/// Maximum number of keys that one scan collects, which bounds its memory.
const OLD_ROWS: usize = 50_000;

#[async_trait]
impl Forgetting for SqliteFleetStore {
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError> {
        self.forget_ended_mutes(now).await?;
        self.forget_old(now, before(now, retention)).await
    }

    async fn count_doomed(&self, doomed: &Doomed, now: Timestamp) -> Result<u64, StoreError> {
        let mut query = QueryBuilder::new("select count(*) from telemetry_instance where true".to_owned());
        narrow_to(&mut query, doomed, now);
        let counts =
            self.read(move |transaction| query.rows(transaction, |row| row.get::<_, i64>(0))).await?;
        Ok(counts.first().map_or(0, |count| count.unsigned_abs()))
    }

    async fn forget(
        &self,
        doomed: &Doomed,
        now: Timestamp,
        after: Option<Uuid>,
        with_events: bool,
    ) -> Result<Piece, StoreError> {
        let mut find = QueryBuilder::new("select instance_id from telemetry_instance where true".to_owned());
        narrow_to(&mut find, doomed, now);
        find.narrow("instance_id > ", after.map(Id));
        find.add(&format!(" order by instance_id limit {FORGOTTEN_AT_ONCE}"));
        let found = self.read(move |transaction| find.rows(transaction, |row| rows::id(row, 0))).await?;
        let next = found.last().copied().filter(|_| found.len() == FORGOTTEN_AT_ONCE);
        if found.is_empty() {
            return Ok(Piece { forgotten: 0, next });
        }
        let doomed = doomed.clone();
        let forgotten = self
            .write(move |transaction| {
                let mut forgotten = 0;
                for id in found {
                    forgotten += u64::from(forget_one(transaction, &doomed, now, id, with_events)?);
                }
                Ok(forgotten)
            })
            .await?;
        Ok(Piece { forgotten, next })
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

/// Adds the conditions of the instances that are to be forgotten.
fn narrow_to(query: &mut QueryBuilder, doomed: &Doomed, now: Timestamp) {
    match doomed {
        Doomed::Matching(filter) => narrow(query, filter),
        Doomed::One(id) => query.narrow("instance_id = ", Some(Id(*id))),
        Doomed::OfKey(id) => query.narrow("owner_id = ", Some(Id(*id))),
        Doomed::SilentOfKey(id, before) => {
            query.narrow("owner_id = ", Some(Id(*id)));
            query.add(&format!(" and state_rank in ({}, {})", State::Down.rank(), State::Ended.rank()));
            query.narrow("state_since < ", Some(Time(*before)));
        }
    }
    query.narrow("check_at > ", doomed.judged_beyond(now).map(Time));
}

/// Forgets an instance, if it still is to be forgotten.
fn forget_one(
    transaction: &Transaction<'_>,
    doomed: &Doomed,
    now: Timestamp,
    id: Uuid,
    with_events: bool,
) -> rusqlite::Result<bool> {
    let mut delete = QueryBuilder::new("delete from telemetry_instance where true".to_owned());
    delete.narrow("instance_id = ", Some(Id(id)));
    narrow_to(&mut delete, doomed, now);
    if delete.execute(transaction)? == 0 {
        return Ok(false);
    }
    let of_events = "delete from telemetry_event where instance_id = ?1";
    for sql in [
        "delete from telemetry_run where instance_id = ?1",
        "delete from telemetry_transition where instance_id = ?1",
        "delete from telemetry_alert where instance_id = ?1 and delivered_at is null",
    ]
    .into_iter()
    .chain(with_events.then_some(of_events))
    {
        transaction.prepare_cached(sql)?.execute([Id(id)])?;
    }
    Ok(true)
}

impl SqliteFleetStore {
    async fn forget_ended_mutes(&self, now: Timestamp) -> Result<(), StoreError> {
        let ended_before =
            now.saturating_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).unwrap_or(Timestamp::MIN);
        self.write(move |transaction| {
            transaction.execute("delete from telemetry_mute where until < ?1", [Time(ended_before)])
        })
        .await
        .map(drop)
    }

    async fn forget_old(&self, now: Timestamp, oldest: Timestamp) -> Result<(), StoreError> {
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
            "last_seen_at < ?1 and (state_rank in ({}, {}) and state_since < ?1 or exists (
                 select 1 from telemetry_run run where run.instance_id = telemetry_instance.instance_id
                     and run.imported_until >= run.last_seen_at and run.last_seen_at >= telemetry_instance.last_seen_at))",
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
