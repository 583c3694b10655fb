//! The state store in an SQLite file, for hosts that have no other database.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::{StateError, StateFuture, StateStore};

/// Time that a call waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Store in an SQLite file, in the table `server_state(key text primary key, value text not null)`. The first
/// write creates the file and the table where they are missing.
///
/// The store opens the file for each call, on the blocking pool of tokio, and closes it again, because calls
/// are hours apart.
///
/// ```
/// use deployment_telemetry::SqliteStateStore;
///
/// let store = SqliteStateStore::new("/var/lib/sirveo/state.db");
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStateStore {
    file: PathBuf,
}

impl SqliteStateStore {
    /// Creates a store in `file`, without opening it. The directory of the file must exist.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Runs `work` with a connection, on the blocking pool of tokio.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let file = self.file.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            work(&mut connection)
        });
        let shown = self.file.display();
        done.await
            .map_err(|error| StateError::new(format!("SQLite {shown}: {error}")))?
            .map_err(|error| StateError::new(format!("SQLite {shown}: {error}")))
    }
}

impl StateStore for SqliteStateStore {
    fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>> {
        let key = key.to_owned();
        Box::pin(async move {
            // Opening a missing file would create it, and a reading must not do that.
            if !self.file.exists() {
                return Ok(None);
            }
            self.run(move |connection| match select(connection, &key) {
                Err(error) if is_missing_table(&error) => Ok(None),
                result => result,
            })
            .await
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool> {
        let (key, expected, value) = (key.to_owned(), expected.map(str::to_owned), value.to_owned());
        Box::pin(self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(
                "create table if not exists server_state (key text primary key, value text not null)",
            )?;
            let is_as_expected = select(&transaction, &key)? == expected;
            if is_as_expected {
                transaction.execute(
                    "insert into server_state (key, value) values (?1, ?2)
                     on conflict (key) do update set value = excluded.value",
                    params![key, value],
                )?;
            }
            transaction.commit()?;
            Ok(is_as_expected)
        }))
    }
}

/// Reads the value under `key`.
fn select(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let sql = "select cast(value as text) from server_state where key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional()
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::Unknown) && error.to_string().contains("no such table")
}
