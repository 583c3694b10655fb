//! The store of the instance id: a row of the host's database, behind a small trait (spec §6).

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

#[cfg(feature = "postgres")]
pub use postgres::PostgresStateStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStateStore;

use crate::running::causes;

/// Future that the methods of a [`StateStore`] return. It runs on the telemetry thread and need not be `Send`.
pub type StateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + 'a>>;

/// Store of JSON values by key: the table `server_state` of the host's database, or its equivalent.
///
/// The subsystem keeps the instance id under the key `instance_id`. It allows 5 seconds for
/// reading the id, including the writing of a new one, and survives a panic in the store. A method must not block its thread; blocking work belongs in
/// `tokio::task::spawn_blocking`.
///
/// The crate brings stores for PostgreSQL and SQLite. A host with another database implements the two methods,
/// here for a map in memory:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
///
/// use deployment_telemetry::{StateFuture, StateStore};
///
/// #[derive(Default)]
/// struct MemoryStore(Mutex<HashMap<String, String>>);
///
/// impl StateStore for MemoryStore {
///     fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>> {
///         Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
///     }
///
///     fn replace<'a>(
///         &'a self,
///         key: &'a str,
///         expected: Option<&'a str>,
///         value: &'a str,
///     ) -> StateFuture<'a, bool> {
///         Box::pin(async move {
///             let mut rows = self.0.lock().unwrap();
///             let is_as_expected = rows.get(key).map(String::as_str) == expected;
///             if is_as_expected {
///                 rows.insert(key.to_owned(), value.to_owned());
///             }
///             Ok(is_as_expected)
///         })
///     }
/// }
///
/// # futures_executor::block_on(async {
/// let store = MemoryStore::default();
/// assert!(store.replace("instance_id", None, r#""1""#).await?);
/// assert!(!store.replace("instance_id", None, r#""2""#).await?, "another process was faster");
/// assert_eq!(store.read("instance_id").await?.as_deref(), Some(r#""1""#));
/// # Ok::<(), deployment_telemetry::StateError>(())
/// # }).unwrap();
/// ```
pub trait StateStore: Send {
    /// Reads the JSON text under `key`; `None` where there is no row, or no table.
    ///
    /// # Errors
    /// The store cannot be read. The subsystem tries again later.
    fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>>;

    /// Stores the JSON text `value` under `key` if the stored text is still `expected` (compare and swap), and
    /// returns whether it did. `expected` is the text that [`read`](Self::read) returned; `None` stands for no
    /// row. Creates the table where it is missing.
    ///
    /// The comparison and the change must be atomic, so that only one of several processes succeeds.
    ///
    /// # Errors
    /// The store cannot be written. The subsystem tries again later.
    fn replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool>;
}

impl StateStore for Box<dyn StateStore> {
    fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>> {
        (**self).read(key)
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool> {
        (**self).replace(key, expected, value)
    }
}

/// Error of a store that could not be read or written. Its text is shown in the log and in the status, so it
/// must not contain a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(String);

impl StateError {
    /// Creates an error with the texts of `error` and of its sources.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(causes::in_one_line(&*error.into()))
    }
}
