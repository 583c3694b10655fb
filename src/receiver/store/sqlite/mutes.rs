//! Mutes.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::FromSqlError;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::builder::select;
use super::rows::{Id, Time, id, time};
use crate::receiver::store::{MOST_MUTES, Mute, Muted, Mutes, SqliteFleetStore, StoreError};

#[async_trait]
impl Mutes for SqliteFleetStore {
    async fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        self.read(|transaction| {
            let sql = "select id, instance_id, key_id, filter, reason, until, created_at
                       from telemetry_mute order by until desc, id";
            select(transaction, sql, [], mute)
        })
        .await
    }

    async fn add_mute(&self, mute: &Mute) -> Result<bool, StoreError> {
        let mute = mute.clone();
        self.write(move |transaction| {
            let sql =
                "insert into telemetry_mute (id, instance_id, key_id, filter, reason, until, created_at)
                       select ?1, ?2, ?3, ?4, ?5, ?6, ?7
                       where (select count(*) from telemetry_mute where until > ?7) < ?8";
            let (instance_id, key_id, filter) = mute.of.columns();
            let (until, created_at) = (Time(mute.until), Time(mute.created_at));
            transaction.execute(
                sql,
                params![
                    Id(mute.id),
                    instance_id.map(Id),
                    key_id.map(Id),
                    filter,
                    mute.reason,
                    until,
                    created_at,
                    MOST_MUTES
                ],
            )
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn remove_mute(&self, id: Uuid) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            transaction.execute("delete from telemetry_mute where id = ?1", [Id(id)])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn wake_untold(&self, now: Timestamp) -> Result<u64, StoreError> {
        let find = "select count(*) from telemetry_instance where untold and check_at > ?1";
        let waiting: i64 =
            self.read(move |transaction| transaction.query_row(find, [Time(now)], |row| row.get(0))).await?;
        if waiting == 0 {
            return Ok(0);
        }
        self.write(move |transaction| {
            let sql = "update telemetry_instance set check_at = ?1 where untold and check_at > ?1";
            transaction.execute(sql, [Time(now)])
        })
        .await
        .map(|rows| rows as u64)
    }
}

fn mute(row: &Row<'_>) -> rusqlite::Result<Mute> {
    let optional = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<Id>>(column)?.map(|id| id.0));
    let of = Muted::of_columns(optional(1)?, optional(2)?, row.get(3)?);
    Ok(Mute {
        id: id(row, 0)?,
        of: of.ok_or(FromSqlError::InvalidType)?,
        reason: row.get(4)?,
        until: time(row, 5)?,
        created_at: time(row, 6)?,
    })
}
