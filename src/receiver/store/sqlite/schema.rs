//! The tables, version by version.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::receiver::store::{Schema, SqliteFleetStore, StoreError};

/// The schema, one script for each version. A script never changes; a change of the schema is a further
/// script.
const MIGRATIONS: [&str; 2] =
    [include_str!("../schema/sqlite_1.sql"), include_str!("../schema/sqlite_2.sql")];

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
            )));
        }
        Ok(())
    }

    async fn make_room(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
