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

    async fn add_mutes(&self, mutes: &[Mute]) -> Result<bool, StoreError> {
        let Some(first) = mutes.first() else { return Ok(true) };
        let (mutes, created_at) = (mutes.to_vec(), Time(first.created_at));
        self.write(move |transaction| {
            let count = "select count(*) from telemetry_mute where until > ?1";
            let kept: i64 = transaction.query_row(count, [created_at], |row| row.get(0))?;
            if kept + mutes.len() as i64 > MOST_MUTES {
                return Ok(false);
            }
            let sql =
                "insert into telemetry_mute (id, instance_id, key_id, filter, reason, until, created_at)
                       values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let mut statement = transaction.prepare_cached(sql)?;
            for mute in &mutes {
                let (instance_id, key_id, filter) = mute.of.columns();
                statement.execute(params![
                    Id(mute.id),
                    instance_id.map(Id),
                    key_id.map(Id),
                    filter,
                    mute.reason,
                    Time(mute.until),
                    Time(mute.created_at)
                ])?;
            }
            Ok(true)
        })
        .await
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
