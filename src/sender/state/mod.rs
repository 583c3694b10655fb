//! Where the instance id is kept: a row of the host's database, behind one small trait (spec §6).

mod check;
mod file;
mod host_runtime;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

pub use check::{ContractError, check};
pub use file::FileStateStore;
pub(crate) use host_runtime::HostRuntime;
pub use memory::MemoryStateStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStateStore;
pub use sql::SqlStateStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStateStore;

/// Any error of a store. The operator `?` makes one from every error type, and `into()` from a text.
///
/// Its text and those of its sources appear in the log and in the status, so it must not contain a
/// password.
pub type StateError = Box<dyn Error + Send + Sync>;

/// Keeps JSON values by key, as the table `server_state` does.
///
/// A host needs an implementation of its own only where no store of this crate fits; for an SQL
/// database, [`SqlStateStore`] needs one closure. [`state::check`](crate::state::check) tests an
/// implementation.
///
/// The calls run on the tokio runtime in which [`start`](crate::TelemetryBuilder::start) was called,
/// so a connection that a call opens in the host's pool outlives telemetry. Where `start` was called
/// outside of a runtime, they run on telemetry's own. Telemetry limits each call to 5 seconds, drops
/// the future of a call that takes longer, and survives a panic in a call.
///
/// ```
/// use deployment_telemetry::{StateError, StateStore};
///
/// struct Redis(/* the host's client */);
///
/// # impl Redis {
/// #     async fn get(&self, _: &str) -> std::io::Result<Option<String>> { Ok(None) }
/// #     async fn compare_and_set(&self, _: &str, _: Option<&str>, _: &str) -> std::io::Result<bool> { Ok(true) }
/// # }
/// impl StateStore for Redis {
///     async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
///         Ok(self.get(key).await?)
///     }
///
///     async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
///         Ok(self.compare_and_set(key, expected, value).await?)
///     }
/// }
/// ```
pub trait StateStore: Send + Sync + 'static {
    /// Returns the JSON text stored under `key`, as the store writes it; `None` where there is none.
    ///
    /// Changes nothing: in particular it does not create a missing table or file.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<String>, StateError>> + Send;

    /// Stores the JSON text `value` under `key` if what is stored there is still `expected`: the text
    /// that [`read`](Self::read) returned, or `None` for nothing. Creates the table or the file where
    /// it is missing.
    ///
    /// Returns whether it stored. Of several processes that try at once, exactly one does.
    fn replace(
        &self,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> impl Future<Output = Result<bool, StateError>> + Send;

    /// Returns whether the calls must run on the host's runtime; the default is `true`.
    ///
    /// A store that shares nothing with the host and never blocks its thread can return `false`. Its
    /// calls then run on telemetry's own thread, however busy the host is.
    fn needs_host_runtime(&self) -> bool {
        true
    }
}

/// A [`StateStore`] of any type, for a host that chooses one at run time.
///
/// ```
/// use deployment_telemetry::{AnyStateStore, FileStateStore, MemoryStateStore};
///
/// let store = match std::env::var("STATE_FILE") {
///     Ok(file) => AnyStateStore::new(FileStateStore::new(file)),
///     Err(_) => AnyStateStore::new(MemoryStateStore::new()),
/// };
/// ```
#[derive(Clone)]
pub struct AnyStateStore(Arc<dyn DynStateStore>);

impl AnyStateStore {
    /// Takes any store. Clones share it.
    pub fn new(store: impl StateStore) -> Self {
        Self(Arc::new(store))
    }
}

impl StateStore for AnyStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        self.0.dyn_read(key).await
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        self.0.dyn_replace(key, expected, value).await
    }

    fn needs_host_runtime(&self) -> bool {
        self.0.dyn_needs_host_runtime()
    }
}

/// The future of a call of a store whose type is not known.
type StateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// [`StateStore`] as a trait object.
trait DynStateStore: Send + Sync {
    fn dyn_read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>>;

    fn dyn_replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool>;

    fn dyn_needs_host_runtime(&self) -> bool;
}

impl<S: StateStore> DynStateStore for S {
    fn dyn_read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>> {
        Box::pin(self.read(key))
    }

    fn dyn_replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool> {
        Box::pin(self.replace(key, expected, value))
    }

    fn dyn_needs_host_runtime(&self) -> bool {
        self.needs_host_runtime()
    }
}
