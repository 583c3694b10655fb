//! The keys of the webhook.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{exposed, key_of, state_of};
use crate::receiver::store::{KeyCount, Keys, PostgresFleetStore, StoreError, StoredKey};

#[async_trait]
impl Keys for PostgresFleetStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let sql = "select id, name, hash, token_hash, secrets, rate, created_at, last_used_at, revoked_at, old_hash, old_hash_until,
                       any_frequency, new_per_hour, forget_after from telemetry_key order by created_at, id";
        let rows = self.connect().await?.rows(sql, &[]).await?;
        rows.iter().map(key_of).collect()
    }

    async fn count_by_key(&self) -> Result<Vec<KeyCount>, StoreError> {
        let sql = "select key_id, state_rank, count(*) from telemetry_instance group by key_id, state_rank";
        let rows = self.connect().await?.rows(sql, &[]).await?;
        let count =
            |row: &Row| Ok(KeyCount { key_id: row.get(0), state: state_of(row.get(1))?, count: row.get(2) });
        rows.iter().map(count).collect()
    }

    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let sql = "insert into telemetry_key (id, name, hash, token_hash, secrets, rate, created_at, any_frequency, new_per_hour,
                       forget_after)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing";
        let secrets = exposed(&key.secrets);
        let (hash, token_hash) = (&key.hash[..], key.token_hash.as_ref().map(|hash| &hash[..]));
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &key.id,
            &key.name,
            &hash,
            &token_hash,
            &secrets,
            &key.rate,
            &key.created_at,
            &key.takes_any_frequency,
            &key.new_per_hour,
            &key.forget_after,
        ];
        Ok(self.connect_to_change().await?.run(sql, &parameters).await? == 1)
    }

    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set revoked_at = $2 where id = $1 and revoked_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id, &now]).await? == 1)
    }

    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError> {
        let sql =
            "update telemetry_key set secrets = $2 where id = $1 and secrets = $3 and revoked_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id, &exposed(secrets), &exposed(before)]).await? == 1)
    }

    async fn change_key(&self, id: Uuid, hash: [u8; 32], old_until: Timestamp) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set old_hash = hash, old_hash_until = $3, hash = $2
                   where id = $1 and revoked_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id, &&hash[..], &old_until]).await? == 1)
    }

    async fn set_key_limits(
        &self,
        id: Uuid,
        takes_any_frequency: bool,
        new_per_hour: Option<i32>,
    ) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set any_frequency = $2, new_per_hour = $3
                   where id = $1 and revoked_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id, &takes_any_frequency, &new_per_hour]).await? == 1)
    }

    async fn end_old_key(&self, id: Uuid) -> Result<bool, StoreError> {
        let sql = "update telemetry_key set old_hash = null, old_hash_until = null
                   where id = $1 and revoked_at is null";
        Ok(self.connect_to_change().await?.run(sql, &[&id]).await? == 1)
    }

    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let sql = "update telemetry_key key set last_used_at = greatest(key.last_used_at, used.at)
                   from unnest($1::uuid[], $2::timestamptz[]) as used (id, at) where key.id = used.id";
        let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = used.iter().copied().unzip();
        self.connect_to_change().await?.run(sql, &[&ids, &times]).await?;
        Ok(())
    }
}
