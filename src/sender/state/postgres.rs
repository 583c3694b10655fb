//! The state store in the host's PostgreSQL database.

use deadpool_postgres::{ClientWrapper, Config as PoolConfig, Object};
use tokio_postgres::types::{ToSql, Type};

use super::sql::{POSTGRES, RunSql};
use super::{StateError, StateStore};
use crate::postgres::{Database, DatabaseError};

/// Store in a PostgreSQL database, in the table `server_state(key text primary key, value jsonb not null)`.
/// The first write creates the table where it is missing.
///
/// The store holds no connection between calls, because these are hours apart. The role needs the right to create
/// tables, or a table that the host's migrations have created by
/// [`POSTGRES_TABLE`](super::SqlStateStore::POSTGRES_TABLE) and
/// `grant select, insert, update on server_state`.
///
/// ```
/// use deployment_telemetry::{PostgresConfig, PostgresStateStore};
///
/// let by_url = PostgresStateStore::from_url("postgres://sirveo@localhost/sirveo?sslmode=prefer")?;
///
/// // From parts: a password may contain any character.
/// let mut parts = PostgresConfig::new();
/// parts.host = Some("localhost".to_owned());
/// parts.user = Some("sirveo".to_owned());
/// parts.password = Some("p@ss/w%rd".to_owned());
/// parts.dbname = Some("sirveo".to_owned());
/// let by_parts = PostgresStateStore::from_config(parts)?;
/// # Ok::<(), deployment_telemetry::DatabaseError>(())
/// ```
pub struct PostgresStateStore {
    database: Database,
}

/// Names the database in front of what it says.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL")]
struct PostgresError(#[source] StateError);

impl PostgresStateStore {
    /// Creates a store in the database at `url`, without connecting to it.
    ///
    /// `url` is a URL or a connection string as libpq reads them, including several hosts and
    /// `target_session_attrs`. `sslmode` (`disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`) and
    /// `sslrootcert` have the meaning that libpq gives them; `allow` is treated as `prefer`. Without
    /// `sslrootcert`, `verify-ca` and `verify-full` trust the system's and the bundled roots.
    ///
    /// # Errors
    /// [`DatabaseError::Url`] if `url` is malformed or a parameter has an unknown value.
    pub fn from_url(url: impl Into<String>) -> Result<Self, DatabaseError> {
        let mut config = PoolConfig::new();
        config.url = Some(url.into());
        Self::from_config(config)
    }

    /// Creates a store in the database of the host's own pool configuration, without connecting to it. The
    /// sizes and time limits of the host's pool are ignored: the store opens one connection at a time, for a
    /// moment.
    ///
    /// # Errors
    /// [`DatabaseError::Url`] if `config` is incomplete or holds an unknown value.
    pub fn from_config(config: PoolConfig) -> Result<Self, DatabaseError> {
        Ok(Self { database: Database::new(config, 1)? })
    }

    async fn connect(&self) -> Result<Connection, StateError> {
        let pool = self.database.pool().await?;
        let connection =
            pool.get().await.map_err(|error| PostgresError(self.database.explain(error).into()))?;
        Ok(Connection(Object::take(connection)))
    }
}

/// A connection that is closed when it is dropped.
struct Connection(ClientWrapper);

impl RunSql for Connection {
    /// Prepares nothing, so it works behind a pooler of transactions such as PgBouncer.
    async fn run(&self, sql: &'static str, arguments: Vec<String>) -> Result<Option<String>, StateError> {
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            arguments.iter().map(|text| (text as _, Type::TEXT)).collect();
        let rows = self.0.query_typed(sql, &parameters).await.map_err(|error| PostgresError(error.into()))?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }
}

impl StateStore for PostgresStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        POSTGRES.read(&self.connect().await?, key).await
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        POSTGRES.replace(&self.connect().await?, key, expected, value).await
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}
