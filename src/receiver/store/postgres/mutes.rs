//! Mutes.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::unknown;
use crate::receiver::store::{MOST_MUTES, Mute, Muted, Mutes, PostgresFleetStore, StoreError};

#[async_trait]
impl Mutes for PostgresFleetStore {
    async fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        let sql = "select id, instance_id, key_id, filter, reason, until, created_at
                   from telemetry_mute order by until desc, id";
        self.connect().await?.rows(sql, &[]).await?.iter().map(mute_of).collect()
    }

    async fn add_mute(&self, mute: &Mute) -> Result<bool, StoreError> {
        let sql = "insert into telemetry_mute (id, instance_id, key_id, filter, reason, until, created_at)
                   select $1, $2, $3, $4, $5, $6, $7
                   where (select count(*) from telemetry_mute where until > $7) < $8";
        let (instance_id, key_id, filter) = mute.of.columns();
        let parameters: [&(dyn ToSql + Sync); 8] = [
            &mute.id,
            &instance_id,
            &key_id,
            &filter,
            &mute.reason,
            &mute.until,
            &mute.created_at,
            &MOST_MUTES,
        ];
        Ok(self.connect().await?.run(sql, &parameters).await? == 1)
    }

    async fn remove_mute(&self, id: Uuid) -> Result<bool, StoreError> {
        Ok(self.connect().await?.run("delete from telemetry_mute where id = $1", &[&id]).await? == 1)
    }

    /// Locks in the order in which events do.
    async fn wake_untold(&self, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "update telemetry_instance set check_at = $1 where instance_id in (
                       select instance_id from telemetry_instance where untold and check_at > $1
                       order by instance_id for update)";
        self.connect().await?.run(sql, &[&now]).await
    }
}

fn mute_of(row: &Row) -> Result<Mute, StoreError> {
    Ok(Mute {
        id: row.get(0),
        of: Muted::of_columns(row.get(1), row.get(2), row.get(3)).ok_or_else(|| unknown("mute"))?,
        reason: row.get(4),
        until: row.get(5),
        created_at: row.get(6),
    })
}
