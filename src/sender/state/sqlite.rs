//! The state store in an SQLite file of its own.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params_from_iter};

use super::sql::{RunSql, SQLITE};
use super::{StateError, StateStore};

/// Time that a call waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// `?1` is the key, `?2` the value. Without `returning`, which SQLite runs as a trigger: most hosts store once, and its
/// code would stay in their memory.
const INSERT: &str = "insert into server_state (key, value) values (?1, ?2) on conflict (key) do nothing";

/// Store in an SQLite file, in the table `server_state(key text primary key, value text not null)`. The first
/// write creates the file and the table where they are missing.
///
/// The store opens the file for each call, on the blocking pool of tokio, and closes it again, because calls
/// are hours apart.
///
/// ```
/// let store = deployment_telemetry::SqliteStateStore::new("/var/lib/sirveo/state.sqlite");
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStateStore {
    file: PathBuf,
}

/// Names the file in front of what SQLite says of it.
#[derive(Debug, thiserror::Error)]
#[error("SQLite {}", file.display())]
struct SqliteError {
    file: PathBuf,
    source: rusqlite::Error,
}

impl SqliteStateStore {
    /// Creates a store in `file`, without opening it. The directory of the file must exist.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Opens the file, does `work`, and closes it, on the blocking pool of tokio.
    async fn open<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            work(&mut connection)
        });
        Ok(done.await?.map_err(|source| SqliteError { file: self.file.clone(), source })?)
    }
}

fn first_text(
    connection: &Connection,
    sql: &str,
    arguments: Vec<String>,
) -> rusqlite::Result<Option<String>> {
    connection.query_row(sql, params_from_iter(arguments), |row| row.get(0)).optional()
}

impl RunSql for SqliteStateStore {
    async fn run(&self, sql: &'static str, arguments: Vec<String>) -> Result<Option<String>, StateError> {
        self.open(move |connection| first_text(connection, sql, arguments)).await
    }
}

impl StateStore for SqliteStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        // Opening the file would create it, and reading must not.
        match self.file.exists() {
            true => SQLITE.read(self, key).await,
            false => Ok(None),
        }
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        if expected.is_some() {
            return SQLITE.replace(self, key, expected, value).await;
        }
        let arguments = vec![key.to_owned(), value.to_owned()];
        // The first value is stored in the transaction that creates the table: the disk is waited for once.
        self.open(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(SQLITE.create)?;
            let stored = transaction.execute(INSERT, params_from_iter(arguments))?;
            transaction.commit()?;
            Ok(stored == 1)
        })
        .await
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of transactions that changed a file (SQLite's file format, 1.3.8, "File change counter").
    fn changes(file: &std::path::Path) -> u32 {
        let bytes = std::fs::read(file).unwrap();
        u32::from_be_bytes(bytes[24..28].try_into().unwrap())
    }

    #[actix_rt::test]
    async fn the_first_value_takes_one_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStateStore::new(folder.path().join("state.sqlite"));
        assert!(store.replace("key", None, "\"1\"").await.unwrap());
        assert_eq!(changes(&store.file), 1);
        assert!(!store.replace("key", None, "\"2\"").await.unwrap(), "another one is stored");
        assert!(store.replace("key", Some("\"1\""), "\"2\"").await.unwrap());
        assert_eq!((store.read("key").await.unwrap().as_deref(), changes(&store.file)), (Some("\"2\""), 2));
    }
}
