//! The outbox of alerts.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::builder::select;
use super::rows::{self, Id, Time};
use crate::receiver::store::{
    Alert, Digest, LatestAlert, Outbox, SqliteFleetStore, StoreError, WaitingDigest,
};

#[async_trait]
impl Outbox for SqliteFleetStore {
    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError> {
        let until_second_try = next_try(1);
        loop {
            let due = self.read(move |transaction| due(transaction, now)).await?;
            let Some((id, tries)) = due else {
                return self.write(move |transaction| take_new(transaction, until_second_try, limit)).await;
            };
            let next = next_try(tries + 1);
            let taken = self.write(move |transaction| take_again(transaction, id, tries, next)).await?;
            // Otherwise another receiver took it, and a further digest may be due.
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }

    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql =
                "update telemetry_alert set delivered_at = ?2 where digest_id = ?1 and delivered_at is null";
            transaction.execute(sql, params![Id(id), Time(now)]).map(drop)
        })
        .await
    }

    async fn digest_failed(&self, id: Uuid, now: Timestamp, why: &str) -> Result<(), StoreError> {
        let why = why.to_owned();
        self.write(move |transaction| {
            let sql = "update telemetry_alert set failed_at = ?2, failure = ?3
                       where digest_id = ?1 and delivered_at is null";
            transaction.execute(sql, params![Id(id), Time(now), why]).map(drop)
        })
        .await
    }

    async fn give_up_digest(&self, id: Uuid) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "delete from telemetry_alert where digest_id = ?1 and delivered_at is null";
            transaction.execute(sql, [Id(id)])
        })
        .await
        .map(|rows| rows > 0)
    }

    async fn waiting_digests(&self, limit: i64) -> Result<Vec<WaitingDigest>, StoreError> {
        self.read(move |transaction| {
            let sql = "select digest_id, count(*), min(at), max(tries), max(next_try_at), max(failed_at), max(failure)
                       from telemetry_alert where delivered_at is null
                       group by digest_id order by min(at), digest_id limit ?1";
            select(transaction, sql, [limit], |row| {
                Ok(WaitingDigest {
                    id: row.get::<_, Option<Id>>(0)?.map(|id| id.0),
                    alerts: row.get(1)?,
                    since: rows::time(row, 2)?,
                    tries: row.get(3)?,
                    next_try_at: rows::optional_time(row, 4)?,
                    failure: rows::optional_time(row, 5)?.zip(row.get(6)?),
                })
            })
        })
        .await
    }

    async fn last_delivery(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|transaction| {
            let sql = "select max(delivered_at) from telemetry_alert where delivered_at is not null";
            transaction.query_row(sql, [], |row| rows::optional_time(row, 0))
        })
        .await
    }

    async fn latest_alert(&self, instance_id: Uuid) -> Result<Option<LatestAlert>, StoreError> {
        self.read(move |transaction| {
            let sql = format!(
                "select {}, delivered_at, failed_at, failure from telemetry_alert where instance_id = ?1
                 order by at desc, change, \"to\", id limit 1",
                rows::TRANSITION
            );
            let alert = |row: &Row<'_>| {
                Ok(LatestAlert {
                    transition: rows::transition(row, 0)?,
                    delivered_at: rows::optional_time(row, 4)?,
                    failure: rows::optional_time(row, 5)?.zip(row.get(6)?),
                })
            };
            transaction.query_row(&sql, [Id(instance_id)], alert).optional()
        })
        .await
    }

    async fn waiting_alerts(&self) -> Result<i64, StoreError> {
        self.read(|transaction| {
            let sql = "select count(*) from telemetry_alert where delivered_at is null";
            transaction.query_row(sql, [], |row| row.get(0))
        })
        .await
    }
}

/// A digest that was taken before and is due again, and the number of its tries.
fn due(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<Option<(Uuid, i32)>> {
    let sql = "select digest_id, tries from telemetry_alert
               where delivered_at is null and digest_id is not null and next_try_at <= ?1
               order by next_try_at, digest_id limit 1";
    transaction.query_row(sql, [Time(now)], |row| Ok((rows::id(row, 0)?, row.get(1)?))).optional()
}

/// Takes a digest again. `None` if it was taken or delivered in the meantime.
fn take_again(
    transaction: &Transaction<'_>,
    id: Uuid,
    tries: i32,
    next: Timestamp,
) -> rusqlite::Result<Option<Digest>> {
    let sql = "update telemetry_alert set tries = ?3, next_try_at = ?4
               where digest_id = ?1 and tries = ?2 and delivered_at is null";
    let taken = transaction.execute(sql, params![Id(id), tries, tries + 1, Time(next)])?;
    if taken == 0 { Ok(None) } else { digest(transaction, id, tries + 1).map(Some) }
}

/// Takes a new digest. `None` if every alert belongs to one.
fn take_new(transaction: &Transaction<'_>, next: Timestamp, limit: i64) -> rusqlite::Result<Option<Digest>> {
    let id = Uuid::new_v4();
    let sql =
        "update telemetry_alert set digest_id = ?1, tries = 1, next_try_at = ?2 where (instance_id, id) in (
                   select instance_id, id from telemetry_alert
                   where delivered_at is null and digest_id is null order by at, id limit ?3)";
    let taken = transaction.execute(sql, params![Id(id), Time(next), limit])?;
    if taken == 0 { Ok(None) } else { digest(transaction, id, 1).map(Some) }
}

fn digest(transaction: &Transaction<'_>, id: Uuid, tries: i32) -> rusqlite::Result<Digest> {
    let sql = format!(
        "select id, instance_id, custom_id, build_version, {} from telemetry_alert
         where digest_id = ?1 and delivered_at is null order by at, id",
        rows::TRANSITION
    );
    let alerts = select(transaction, &sql, [Id(id)], |row| {
        Ok(Alert {
            id: rows::id(row, 0)?,
            instance_id: rows::id(row, 1)?,
            custom_id: row.get(2)?,
            build_version: row.get(3)?,
            transition: rows::transition(row, 4)?,
        })
    })?;
    Ok(Digest { id, tries, alerts })
}
