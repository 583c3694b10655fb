//! The state store in the host's PostgreSQL database.

use deadpool_postgres::{Config as PoolConfig, Object};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::{StateError, StateFuture, StateStore};
use crate::postgres::{Database, DatabaseError};

/// Store in a PostgreSQL database, in the table `server_state(key text primary key, value jsonb not null)`.
/// The first write creates the table where it is missing.
///
/// The store holds no connection between calls, because these are hours apart.
///
/// ```
/// use deployment_telemetry::PostgresStateStore;
///
/// let store = PostgresStateStore::from_url("postgres://localhost/sirveo?sslmode=verify-full")?;
/// # Ok::<(), deployment_telemetry::DatabaseError>(())
/// ```
pub struct PostgresStateStore {
    database: Database,
}

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

    /// Opens a connection. It leaves the pool, so that it is closed when it is dropped.
    async fn connect(&self) -> Result<deadpool_postgres::ClientWrapper, StateError> {
        let pool = self.database.pool().await.map_err(StateError::new)?;
        let connection = pool
            .get()
            .await
            .map_err(|error| StateError::new(format!("PostgreSQL: {}", StateError::new(error))))?;
        Ok(Object::take(connection))
    }
}

impl StateStore for PostgresStateStore {
    fn read<'a>(&'a self, key: &'a str) -> StateFuture<'a, Option<String>> {
        Box::pin(async move {
            let client = self.connect().await?;
            let sql = "select value::text from server_state where key = $1";
            match client.query_typed(sql, &[(&key, Type::TEXT)]).await {
                Ok(rows) => Ok(rows.first().map(|row| row.get(0))),
                Err(error) if is_missing_table(&error) => Ok(None),
                Err(error) => Err(refused(error)),
            }
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a str>,
        value: &'a str,
    ) -> StateFuture<'a, bool> {
        Box::pin(async move {
            let client = self.connect().await?;
            match write(&client, key, expected, value).await {
                Err(error) if is_missing_table(&error) && expected.is_none() => {
                    create_table(&client).await?;
                    write(&client, key, expected, value).await.map_err(refused)
                }
                result => result.map_err(refused),
            }
        })
    }
}

/// Stores `value` if the stored value is `expected`. Returns whether it did.
async fn write(
    client: &Client,
    key: &str,
    expected: Option<&str>,
    value: &str,
) -> Result<bool, tokio_postgres::Error> {
    let rows = match expected {
        None => {
            let sql = "insert into server_state (key, value) values ($1, $2::text::jsonb)
                       on conflict (key) do nothing returning 1";
            client.query_typed(sql, &[(&key, Type::TEXT), (&value, Type::TEXT)]).await?
        }
        Some(expected) => {
            let sql = "update server_state set value = $2::text::jsonb
                       where key = $1 and value = $3::text::jsonb returning 1";
            let parameters =
                [(&key as _, Type::TEXT), (&value as _, Type::TEXT), (&expected as _, Type::TEXT)];
            client.query_typed(sql, &parameters).await?
        }
    };
    Ok(!rows.is_empty())
}

/// Creates the table. It is called only where the table is missing, because `create table if not exists`
/// requires the right to create tables even where the table exists.
async fn create_table(client: &Client) -> Result<(), StateError> {
    let sql = "create table if not exists server_state (key text primary key, value jsonb not null)";
    match client.batch_execute(sql).await {
        Err(error) if !is_lost_race(&error) => Err(refused(error)),
        _ => Ok(()),
    }
}

fn is_missing_table(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_TABLE)
}

/// Whether another process created the same table at the same moment.
fn is_lost_race(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT)
    )
}

fn refused(error: tokio_postgres::Error) -> StateError {
    StateError::new(format!("PostgreSQL: {}", StateError::new(error)))
}
