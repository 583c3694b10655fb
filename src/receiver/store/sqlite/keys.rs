//! The keys of the webhook.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;
use secrecy::SecretString;
use uuid::Uuid;

use super::builder::select;
use super::rows::{self, Id, Secrets, Time};
use crate::receiver::store::{KeyCount, Keys, SqliteFleetStore, StoreError, StoredKey};

#[async_trait]
impl Keys for SqliteFleetStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.read(|transaction| {
            let sql = format!("select {} from telemetry_key order by created_at, id", rows::KEY);
            select(transaction, &sql, [], rows::key)
        })
        .await
    }

    async fn count_by_key(&self) -> Result<Vec<KeyCount>, StoreError> {
        self.read(|transaction| {
            let sql =
                "select key_id, state_rank, count(*) from telemetry_instance group by key_id, state_rank";
            select(transaction, sql, [], |row| {
                Ok(KeyCount { key_id: rows::id(row, 0)?, state: row.get(1)?, count: row.get(2)? })
            })
        })
        .await
    }

    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |transaction| {
            let sql = "insert into telemetry_key (id, name, hash, token_hash, secrets, rate, created_at, any_frequency,
                           new_per_hour, forget_after) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict do nothing";
            let StoredKey { name, hash, token_hash, rate, takes_any_frequency, new_per_hour, forget_after, .. } = &key;
            let (id, secrets, created_at) = (Id(key.id), Secrets(key.secrets.clone()), Time(key.created_at));
            transaction.execute(
                sql,
                params![
                    id, name, hash, token_hash, secrets, rate, created_at, takes_any_frequency, new_per_hour, forget_after
                ],
            )
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "update telemetry_key set revoked_at = ?2 where id = ?1 and revoked_at is null";
            transaction.execute(sql, params![Id(id), Time(now)])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError> {
        let (before, secrets) = (Secrets(before.to_vec()), Secrets(secrets.to_vec()));
        self.write(move |transaction| {
            let sql =
                "update telemetry_key set secrets = ?2 where id = ?1 and secrets = ?3 and revoked_at is null";
            transaction.execute(sql, params![Id(id), secrets, before])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn change_key(&self, id: Uuid, hash: [u8; 32], old_until: Timestamp) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "update telemetry_key set old_hash = hash, old_hash_until = ?3, hash = ?2
                       where id = ?1 and revoked_at is null";
            transaction.execute(sql, params![Id(id), hash, Time(old_until)])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn set_key_limits(
        &self,
        id: Uuid,
        takes_any_frequency: bool,
        new_per_hour: Option<i32>,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "update telemetry_key set any_frequency = ?2, new_per_hour = ?3
                       where id = ?1 and revoked_at is null";
            transaction.execute(sql, params![Id(id), takes_any_frequency, new_per_hour])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn end_old_key(&self, id: Uuid) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "update telemetry_key set old_hash = null, old_hash_until = null
                       where id = ?1 and revoked_at is null";
            transaction.execute(sql, [Id(id)])
        })
        .await
        .map(|rows| rows == 1)
    }

    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError> {
        let used = used.to_vec();
        self.write(move |transaction| {
            let sql = "update telemetry_key set last_used_at = ?2
                       where id = ?1 and (last_used_at is null or last_used_at < ?2)";
            let mut update = transaction.prepare_cached(sql)?;
            used.iter().try_for_each(|(id, at)| update.execute(params![Id(*id), Time(*at)]).map(drop))
        })
        .await
    }
}
