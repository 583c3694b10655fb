//! The tables, version by version.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::receiver::store::{Schema, SqliteFleetStore, StoreError};

/// The schema, one script for each version. A script never changes; a change of the schema is a further
/// script.
const MIGRATIONS: [&str; 4] = [
    include_str!("../schema/sqlite_1.sql"),
    include_str!("../schema/sqlite_2.sql"),
    include_str!("../schema/sqlite_3.sql"),
    include_str!("../schema/sqlite_4.sql"),
];

#[async_trait]
impl Schema for SqliteFleetStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let version = self
            .write(|transaction| {
                let version: u32 = transaction.query_row("pragma user_version", [], |row| row.get(0))?;
                let version = version as usize;
                for migration in MIGRATIONS.iter().skip(version) {
                    transaction.execute_batch(migration)?;
                }
                if version < MIGRATIONS.len() {
                    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
                }
                Ok(version)
            })
            .await?;
        if version > MIGRATIONS.len() {
            return Err(StoreError::Refused(format!(
                "the file has the tables of a later version of this program ({version}, known is {}); update it",
                MIGRATIONS.len()
            )
            .into()));
        }
        Ok(())
    }

    async fn distribute(&self, _shards: Option<u32>) -> Result<(), StoreError> {
        Err(StoreError::Refused(
            "SQLite keeps its tables in one file; only a PostgreSQL with the extension citus can distribute them".into(),
        ))
    }

    async fn make_room(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn make_room_for(&self, _: &[Date]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rusqlite::Connection;

    use super::*;
    use crate::receiver::store::FleetStore;
    use crate::receiver::store::suite::migration::{OLD_FILTER, is_taken_over, licenses_are_told_apart};

    #[tokio::test]
    async fn servers_without_a_license_key_are_told_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fleet.sqlite");
        let owner = Connection::open(&file).unwrap();
        for migration in &MIGRATIONS[..2] {
            owner.execute_batch(migration).unwrap();
        }
        owner.pragma_update(None, "user_version", 2).unwrap();
        let insert = "insert into telemetry_mute (id, filter, reason, until, created_at)
                      values (zeroblob(16), ?1, '', 9, 1)";
        owner.execute(insert, [OLD_FILTER]).unwrap();
        for (number, hash, is_valid) in [(1_u8, None, true), (2, Some("0a"), false), (3, None, false)] {
            let mut id = [0; 16];
            id[15] = number;
            let insert = "insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank,
                    state_since, check_at, build_version, build_commit, build_time, build_mode, build_os, build_arch,
                    license_key_hash, license_valid)
                values (?1, 0, 0, ?1, 2, 0, 0, '', '', '', '', '', '', ?2, ?3)";
            owner.execute(insert, (id, hash, is_valid)).unwrap();
        }
        let store = SqliteFleetStore::new(&file);
        store.migrate().await.unwrap();
        licenses_are_told_apart(&store).await;
    }

    /// Receivers that start at the same time migrate it, while one of the version before still stores events.
    #[tokio::test]
    async fn a_dump_of_version_1_is_migrated_under_load() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fleet.sqlite");
        let owner = Connection::open(&file).unwrap();
        owner.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
        owner.pragma_update(None, "journal_mode", "wal").unwrap();
        owner.execute_batch(include_str!("../schema/dumps/sqlite_1.sql")).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let writer = std::thread::spawn(move || {
            let insert = "insert into telemetry_event (instance_id, id, ts, reason, run_id, sequence, data)
                          values (randomblob(16), randomblob(16), 1795719600000000, 'update', randomblob(16), 1, '{}')";
            let mut stored = 0;
            while stored == 0 || !seen.load(Ordering::Relaxed) {
                stored += owner.execute(insert, []).unwrap();
            }
            stored
        });
        let store: Arc<dyn FleetStore> = Arc::new(SqliteFleetStore::new(&file));
        let stores = [(); 3].map(|()| SqliteFleetStore::new(&file));
        // As a receiver that starts does: it tries again where others keep the file for longer than a call waits.
        let migrate = async |store: &SqliteFleetStore| {
            while let Err(error) = store.migrate().await {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            }
        };
        futures_util::future::join_all(stores.iter().map(migrate)).await;
        is_over.store(true, Ordering::Relaxed);
        let stored = writer.join().unwrap();
        is_taken_over(&store, 10 + stored).await;
    }
}
