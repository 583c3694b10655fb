//! To whom instances belong.

use std::sync::LazyLock;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::{Connection, failed};
use crate::receiver::store::ownership::NEW_WITHIN;
use crate::receiver::store::time::before;
use crate::receiver::store::{Change, HOST_KEY, HOST_KEY_NAME, Ownership, PostgresFleetStore, StoreError};

/// The name of the key with the id in the column `id`.
fn name_of(id: &str) -> String {
    format!(
        "case {id} when '{HOST_KEY}' then '{HOST_KEY_NAME}'
            else coalesce((select name from telemetry_key where telemetry_key.id = {id}), {id}::text) end"
    )
}

/// Notes that instances went from one key to another. The first owner of an instance is no news.
pub(super) static INSERT_TAKE_OVERS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
         select taken.instance_id, taken.at, '{}', {}, {}
         from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[]) as taken (instance_id, at, old, new)
         where taken.old <> '{}'
         on conflict do nothing",
        Change::Key.as_str(),
        name_of("taken.old"),
        name_of("taken.new"),
        Uuid::nil()
    )
});

#[async_trait]
impl Ownership for PostgresFleetStore {
    async fn move_instance(
        &self,
        instance_id: Uuid,
        key_id: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let connection = self.connect_to_write().await?;
        let is_moved = move_instance(&connection, instance_id, key_id, now).await.map_err(failed)?;
        connection.give_back();
        Ok(is_moved)
    }

    async fn note_flood(
        &self,
        key_id: Uuid,
        limit: i32,
        now: Timestamp,
        tells: bool,
    ) -> Result<bool, StoreError> {
        let sql = "with flooded as (
                       update telemetry_key set flooded_at = $2
                       where id = $1 and coalesce(flooded_at <= $3, true) returning name
                   ), told as (
                       insert into telemetry_alert (instance_id, id, at, change, \"to\", custom_id, build_version)
                       select $4, $5, $2, $6, $7, name, '' from flooded where $8
                   )
                   select count(*) > 0 from flooded";
        let (nobody, id) = (Uuid::nil(), Uuid::new_v4());
        let (since, change, limit) =
            (before(now, NEW_WITHIN), Change::NewInstances.as_str(), limit.to_string());
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&key_id, &now, &since, &nobody, &id, &change, &limit, &tells];
        Ok(self.connect_to_change().await?.rows(sql, &parameters).await?[0].get(0))
    }
}

async fn move_instance(
    connection: &Connection,
    instance_id: Uuid,
    key_id: Uuid,
    now: Timestamp,
) -> Result<bool, tokio_postgres::Error> {
    connection.begin().await?;
    let lock = "select owner_id from telemetry_instance where instance_id = $1 for update";
    let owner: Option<Uuid> = connection.query_opt(lock, &[&instance_id]).await?.map(|row| row.get(0));
    let is_in_use = "select from telemetry_key where id = $1 and revoked_at is null for share";
    let is_in_use = key_id == HOST_KEY || connection.query_opt(is_in_use, &[&key_id]).await?.is_some();
    if let Some(owner) = owner.filter(|owner| is_in_use && *owner != key_id) {
        // Its runs are steady no more: their next event looks for the owner.
        let release = "update telemetry_run set is_steady = false, key_id = $2 where instance_id = $1";
        connection.execute(release, &[&instance_id, &key_id]).await?;
        let update = "update telemetry_instance set owner_id = $2, key_id = $2 where instance_id = $1";
        connection.execute(update, &[&instance_id, &key_id]).await?;
        let insert = connection.prepared(&INSERT_TAKE_OVERS).await?;
        connection.execute(&insert, &[&vec![instance_id], &vec![now], &vec![owner], &vec![key_id]]).await?;
    }
    connection.commit().await?;
    Ok(owner.is_some() && is_in_use)
}
