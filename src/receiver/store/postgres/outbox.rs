//! The outbox of alerts.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::{Connection, failed};
use super::rows::transition_of;
use crate::receiver::store::{
    Alert, Digest, LatestAlert, Outbox, PostgresFleetStore, StoreError, WaitingDigest,
};

#[async_trait]
impl Outbox for PostgresFleetStore {
    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError> {
        let connection = self.connect_to_change().await?;
        let digest = take(&connection, now, next_try, limit).await.map_err(failed)?;
        connection.give_back();
        Ok(digest)
    }

    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "update telemetry_alert set delivered_at = $2 where digest_id = $1 and delivered_at is null";
        self.connect_to_change().await?.run(sql, &[&id, &now]).await?;
        Ok(())
    }

    async fn digest_failed(&self, id: Uuid, now: Timestamp, why: &str) -> Result<(), StoreError> {
        let sql = "update telemetry_alert set failed_at = $2, failure = $3
                   where digest_id = $1 and delivered_at is null";
        self.connect_to_change().await?.run(sql, &[&id, &now, &why]).await?;
        Ok(())
    }

    async fn give_up_digest(&self, id: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from telemetry_alert where digest_id = $1 and delivered_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id]).await? > 0)
    }

    async fn waiting_digests(&self, limit: i64) -> Result<Vec<WaitingDigest>, StoreError> {
        let sql =
            "select digest_id, count(*), min(at), max(tries), max(next_try_at), max(failed_at), max(failure)
                   from telemetry_alert where delivered_at is null
                   group by digest_id order by min(at), digest_id nulls first limit $1";
        let rows = self.connect().await?.rows(sql, &[&limit]).await?;
        let digest = |row: &Row| WaitingDigest {
            id: row.get(0),
            alerts: row.get(1),
            since: row.get(2),
            tries: row.get(3),
            next_try_at: row.get(4),
            failure: row.get::<_, Option<Timestamp>>(5).zip(row.get(6)),
        };
        Ok(rows.iter().map(digest).collect())
    }

    async fn last_delivery(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "select max(delivered_at) from telemetry_alert where delivered_at is not null";
        Ok(self.connect().await?.rows(sql, &[]).await?[0].get(0))
    }

    async fn latest_alert(&self, instance_id: Uuid) -> Result<Option<LatestAlert>, StoreError> {
        let sql = "select at, change, \"from\", \"to\", delivered_at, failed_at, failure from telemetry_alert
                   where instance_id = $1 order by at desc, change collate \"C\", \"to\" collate \"C\", id limit 1";
        let rows = self.connect().await?.rows(sql, &[&instance_id]).await?;
        let alert = |row: &Row| {
            Ok(LatestAlert {
                transition: transition_of(row, 0)?,
                delivered_at: row.get(4),
                failure: row.get::<_, Option<Timestamp>>(5).zip(row.get(6)),
            })
        };
        rows.first().map(alert).transpose()
    }

    async fn waiting_alerts(&self) -> Result<i64, StoreError> {
        let sql = "select count(*) from telemetry_alert where delivered_at is null";
        Ok(self.connect().await?.rows(sql, &[]).await?[0].get(0))
    }
}

/// `ALRT` in ASCII: only one receiver at a time takes a digest.
const ALERT_LOCK: i64 = 0x414c_5254;

async fn take(
    connection: &Connection,
    now: Timestamp,
    next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
    limit: i64,
) -> Result<Option<Digest>, tokio_postgres::Error> {
    connection.begin().await?;
    connection.batch_execute(&format!("select pg_advisory_xact_lock({ALERT_LOCK})")).await?;
    let due = "select digest_id, tries from telemetry_alert
               where delivered_at is null and digest_id is not null and next_try_at <= $1
               order by next_try_at, digest_id limit 1";
    let due = connection.query_opt(due, &[&now]).await?;
    let (id, tries) = match due {
        Some(row) => (row.get(0), row.get::<_, i32>(1).saturating_add(1)),
        None => {
            let id = Uuid::new_v4();
            let fresh = "update telemetry_alert set digest_id = $1 where (instance_id, id) in (
                             select instance_id, id from telemetry_alert
                             where delivered_at is null and digest_id is null order by at, id limit $2)";
            if connection.execute(fresh, &[&id, &limit]).await? == 0 {
                connection.commit().await?;
                return Ok(None);
            }
            (id, 1)
        }
    };
    let take = "update telemetry_alert set tries = $2, next_try_at = $3 where digest_id = $1 and delivered_at is null";
    connection.execute(take, &[&id, &tries, &next_try(tries)]).await?;
    let content = "select id, instance_id, custom_id, build_version, at, change, \"from\", \"to\"
                   from telemetry_alert where digest_id = $1 and delivered_at is null order by at, id";
    let rows = connection.query(content, &[&id]).await?;
    connection.commit().await?;
    let alerts = rows
        .iter()
        .filter_map(|row| {
            Some(Alert {
                id: row.get(0),
                instance_id: row.get(1),
                custom_id: row.get(2),
                build_version: row.get(3),
                transition: transition_of(row, 4).ok()?,
            })
        })
        .collect();
    Ok(Some(Digest { id, tries, alerts }))
}
