//! Mutes.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::columns::column;
use super::connection::failed;
use super::rows::unknown;
use crate::receiver::store::{MOST_MUTES, Mute, Muted, Mutes, PostgresFleetStore, StoreError};

#[async_trait]
impl Mutes for PostgresFleetStore {
    async fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        let sql = "select id, instance_id, key_id, filter, reason, until, created_at
                   from telemetry_mute order by until desc, id";
        self.connect().await?.rows(sql, &[]).await?.iter().map(mute_of).collect()
    }

    async fn add_mutes(&self, mutes: &[Mute]) -> Result<bool, StoreError> {
        let Some(first) = mutes.first() else { return Ok(true) };
        let sql = "insert into telemetry_mute (id, instance_id, key_id, filter, reason, until, created_at)
                   select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
                       $6::timestamptz[], $7::timestamptz[])
                   where (select count(*) from telemetry_mute where until > $8) + cardinality($1) <= $9";
        let mutes: Vec<&Mute> = mutes.iter().collect();
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &column(&mutes, |mute| mute.id),
            &column(&mutes, |mute| mute.of.columns().0),
            &column(&mutes, |mute| mute.of.columns().1),
            &column(&mutes, |mute| mute.of.columns().2),
            &column(&mutes, |mute| mute.reason.as_str()),
            &column(&mutes, |mute| mute.until),
            &column(&mutes, |mute| mute.created_at),
            &first.created_at,
            &MOST_MUTES,
        ];
        Ok(self.connect_to_change().await?.run(sql, &parameters).await? == mutes.len() as u64)
    }

    async fn remove_mute(&self, id: Uuid) -> Result<bool, StoreError> {
        Ok(self.connect_to_change().await?.run("delete from telemetry_mute where id = $1", &[&id]).await?
            == 1)
    }

    /// Locks in the order in which events do.
    async fn wake_untold(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (shards, connection) = (self.shards().await?, self.connect_to_change().await?);
        let find = "select instance_id from telemetry_instance where untold and check_at > $1";
        let found = connection.rows_alone(find, &[&now]).await.map_err(failed)?;
        let wake =
            "update telemetry_instance set check_at = $1 where instance_id = any($2) and instance_id in (
                        select instance_id from telemetry_instance
                        where instance_id = any($2) and untold and check_at > $1
                        order by instance_id for update)";
        let mut woken = 0;
        for ids in shards.divide(found.iter().map(|row| row.get::<_, Uuid>(0)), |id| *id) {
            woken += connection.run_alone(wake, &[&now, &ids]).await.map_err(failed)?;
        }
        connection.give_back();
        Ok(woken)
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
