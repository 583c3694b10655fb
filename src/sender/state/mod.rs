//! Where the instance id is kept: a row of the host's database, behind one small trait (spec §6).

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

/// The future of a [`StateStore`]. It runs on the telemetry thread, so it need not be `Send`.
pub type StateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + 'a>>;

/// Keeps JSON values by key, as the table `server_state` does.
///
/// The subsystem limits each call to 5 seconds and survives a panic in one. A call must not block
/// its thread: blocking work belongs on `tokio::task::spawn_blocking`.
pub trait StateStore: Send {
    /// The JSON text stored under `key`, as the store writes it; `None` where there is no row.
    fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>>;

    /// Stores the JSON text `value` under `key`, provided what is stored still is `expected`: the
    /// text that [`read`](Self::read) gave, or `None` for no row. Creates the table where it is
    /// missing. Returns whether it stored; of several processes that try at once, one does.
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

/// The store could not be read or written. Its text holds the causes, never a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StateError(String);

impl StateError {
    /// With the texts of `error` and of its sources.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(causes::in_one_line(&*error.into()))
    }
}
