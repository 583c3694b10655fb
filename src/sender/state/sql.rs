//! The SQL of the table `server_state`, and a store on whatever runs SQL for the host.

use std::pin::Pin;

use super::{StateError, StateStore};

/// The statements of one kind of database. Each binds nothing but text and returns at most one row of
/// one text column, `value`.
pub(super) struct Dialect {
    /// Returns a row if the table exists. Asked instead of reading error codes, which differ with every
    /// driver.
    exists: &'static str,
    /// `$1` is the key.
    read: &'static str,
    /// Run only where the table is missing: it asks for the right to create even where it exists.
    pub(super) create: &'static str,
    /// `$1` is the key, `$2` the value. Returns a row if it stored.
    pub(super) insert: &'static str,
    /// `$1` is the key, `$2` the value, `$3` the value expected. Returns a row if it stored.
    update: &'static str,
    /// Lets the host's role use a table that another role has created.
    grant: Option<&'static str>,
}

pub(super) const POSTGRES: Dialect = Dialect {
    exists: "select 'server_state' as value where to_regclass('server_state') is not null",
    read: "select value::text as value from server_state where key = $1",
    create: SqlStateStore::POSTGRES_TABLE,
    insert: "insert into server_state (key, value) values ($1, $2::text::jsonb) \
             on conflict (key) do nothing returning value::text as value",
    update: "update server_state set value = $2::text::jsonb \
             where key = $1 and value = $3::text::jsonb returning value::text as value",
    grant: Some("grant select, insert, update on server_state to <role of this server>"),
};

pub(super) const SQLITE: Dialect = Dialect {
    exists: "select name as value from sqlite_master where name = 'server_state'",
    read: "select cast(value as text) as value from server_state where key = ?1",
    create: SqlStateStore::SQLITE_TABLE,
    insert: "insert into server_state (key, value) values (?1, ?2) \
             on conflict (key) do nothing returning cast(value as text) as value",
    update: "update server_state set value = ?2 \
             where key = ?1 and cast(value as text) = ?3 returning cast(value as text) as value",
    grant: None,
};

/// The table is missing, and the database refused to create it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the table server_state is missing and could not be created; let a role that may create tables run: {create}{}",
    grant.map(|grant| format!("; {grant}")).unwrap_or_default()
)]
struct CannotCreate {
    create: &'static str,
    grant: Option<&'static str>,
    source: StateError,
}

/// Runs a statement and returns the first column of its first row.
pub(super) trait RunSql: Sync {
    fn run(
        &self,
        sql: &'static str,
        arguments: Vec<String>,
    ) -> impl Future<Output = Result<Option<String>, StateError>> + Send;
}

impl Dialect {
    pub(super) async fn read(&self, database: &impl RunSql, key: &str) -> Result<Option<String>, StateError> {
        match database.run(self.read, vec![key.to_owned()]).await {
            Err(_) if self.is_table_missing(database).await => Ok(None),
            result => result,
        }
    }

    pub(super) async fn replace(
        &self,
        database: &impl RunSql,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> Result<bool, StateError> {
        let mut arguments = vec![key.to_owned(), value.to_owned()];
        let Some(expected) = expected else {
            return match database.run(self.insert, arguments.clone()).await {
                Err(_) if self.is_table_missing(database).await => {
                    self.create(database).await?;
                    Ok(database.run(self.insert, arguments).await?.is_some())
                }
                result => Ok(result?.is_some()),
            };
        };
        arguments.push(expected.to_owned());
        match database.run(self.update, arguments).await {
            Err(_) if self.is_table_missing(database).await => Ok(false),
            result => Ok(result?.is_some()),
        }
    }

    async fn create(&self, database: &impl RunSql) -> Result<(), StateError> {
        match database.run(self.create, Vec::new()).await {
            // Another process may have created it in the same moment.
            Err(error) if self.is_table_missing(database).await => {
                Err(CannotCreate { create: self.create, grant: self.grant, source: error }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether the database answers that there is no such table.
    async fn is_table_missing(&self, database: &impl RunSql) -> bool {
        matches!(database.run(self.exists, Vec::new()).await, Ok(None))
    }
}

/// Keeps the state in the table `server_state` of the host's own database, through the host's own pool.
///
/// This crate keeps the SQL; the host brings a closure that runs it. The closure receives one of five
/// statements and the texts to bind to its parameters, in order. It runs the statement to its end and
/// returns the text column `value` of the row, or `None` where there is no row. It needs no transaction.
///
/// With sqlx, on PostgreSQL; the repository has the closures for sea-orm, diesel, rusqlite and deadpool as well,
/// in `examples/hosts/recipes`:
/// ```ignore
/// let pool = sqlx::PgPool::connect("postgres://localhost/host").await?;
/// let store = SqlStateStore::postgres(move |sql, arguments| {
///     let pool = pool.clone();
///     let query = arguments.into_iter().fold(sqlx::query_scalar(sql), |query, text| query.bind(text));
///     async move { query.fetch_optional(&pool).await }
/// });
/// ```
pub struct SqlStateStore {
    dialect: Dialect,
    closure: Closure,
}

type Answer = Pin<Box<dyn Future<Output = Result<Option<String>, StateError>> + Send>>;

struct Closure(Box<dyn Fn(&'static str, Vec<String>) -> Answer + Send + Sync>);

impl RunSql for Closure {
    async fn run(&self, sql: &'static str, arguments: Vec<String>) -> Result<Option<String>, StateError> {
        (self.0)(sql, arguments).await
    }
}

impl SqlStateStore {
    /// Creates the table in PostgreSQL, for the host's migrations. The store runs it where the table is
    /// missing, if the host's role may create tables. Where another role creates it, the host's role needs
    /// `grant select, insert, update on server_state`.
    pub const POSTGRES_TABLE: &str =
        "create table if not exists server_state (key text primary key, value jsonb not null)";

    /// Creates the table in SQLite, for the host's migrations. The store runs it where the table is
    /// missing.
    pub const SQLITE_TABLE: &str =
        "create table if not exists server_state (key text primary key, value text not null)";

    /// Takes the closure that runs a statement on the host's PostgreSQL. Parameters are `$1` to `$3`.
    pub fn postgres<Run, Running, E>(run: Run) -> Self
    where
        Run: Fn(&'static str, Vec<String>) -> Running + Send + Sync + 'static,
        Running: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<StateError>,
    {
        Self::new(POSTGRES, run)
    }

    /// Takes the closure that runs a statement on the host's SQLite, 3.35 (2021) or later. Parameters are
    /// `?1` to `?3`.
    pub fn sqlite<Run, Running, E>(run: Run) -> Self
    where
        Run: Fn(&'static str, Vec<String>) -> Running + Send + Sync + 'static,
        Running: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<StateError>,
    {
        Self::new(SQLITE, run)
    }

    fn new<Run, Running, E>(dialect: Dialect, run: Run) -> Self
    where
        Run: Fn(&'static str, Vec<String>) -> Running + Send + Sync + 'static,
        Running: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<StateError>,
    {
        let closure = move |sql, arguments| -> Answer {
            let running = run(sql, arguments);
            Box::pin(async move { running.await.map_err(Into::into) })
        };
        Self { dialect, closure: Closure(Box::new(closure)) }
    }
}

impl StateStore for SqlStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        self.dialect.read(&self.closure, key).await
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        self.dialect.replace(&self.closure, key, expected, value).await
    }
}
