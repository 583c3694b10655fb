//! The state in the host's PostgreSQL.

use deadpool_postgres::{Config as PoolConfig, Object};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::{StateError, StateFuture, StateStore};
use crate::postgres::{Database, DatabaseError};

/// Keeps the state in the table `server_state(key text primary key, value jsonb not null)` of a
/// PostgreSQL database. The table is created where it is missing, by the first write.
///
/// No connection is held between calls, which are hours apart.
pub struct PostgresStateStore {
    database: Database,
}

impl PostgresStateStore {
    /// The database at `url`: a URL or a connection string as libpq takes it, several hosts and
    /// `target_session_attrs` included. `sslmode` is honoured as libpq does (`disable`, `allow`,
    /// `prefer`, `require`, `verify-ca`, `verify-full`), and so is `sslrootcert`; without one,
    /// `verify-ca` and `verify-full` trust the system's and the bundled roots.
    ///
    /// # Errors
    /// What is wrong with `url`. Nothing is connected yet.
    pub fn from_url(url: impl Into<String>) -> Result<Self, DatabaseError> {
        let mut config = PoolConfig::new();
        config.url = Some(url.into());
        Self::from_config(config)
    }

    /// The database of the host's own pool configuration. The sizes and time limits of its pool are
    /// not taken over: the telemetry has one connection at a time, for a moment.
    ///
    /// # Errors
    /// What is wrong with `config`. Nothing is connected yet.
    pub fn from_config(config: PoolConfig) -> Result<Self, DatabaseError> {
        Ok(Self { database: Database::new(config, 1)? })
    }

    /// A connection that is closed when the caller lets go of it.
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

/// Not run where the table exists: `create table if not exists` asks for the right to create even then.
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

/// Another process created the same table in the same moment.
fn is_lost_race(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT)
    )
}

fn refused(error: tokio_postgres::Error) -> StateError {
    StateError::new(format!("PostgreSQL: {}", StateError::new(error)))
}
