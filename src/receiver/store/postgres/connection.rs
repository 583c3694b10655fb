//! Connections that go back to their pool only in the state in which they came from it.

use std::ops::Deref;

use deadpool_postgres::{Client, ClientWrapper, Object};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::postgres::Database;
use crate::receiver::store::{Fault, StoreError};

/// Name of the database in errors.
const NAME: &str = "PostgreSQL";

pub(super) async fn connect(database: &Database) -> Result<Connection, StoreError> {
    let pool = database.pool().await.map_err(|error| StoreError::Unavailable(Fault::new(NAME, error)))?;
    let client = pool.get().await.map_err(|error| StoreError::Unavailable(Fault::new(NAME, error)))?;
    Ok(Connection(Some(client)))
}

/// A connection that goes back to its pool only if its call has succeeded. A call that failed or was
/// abandoned may have left a transaction open, so its connection is closed.
pub(super) struct Connection(Option<Client>);

impl Connection {
    pub(super) fn give_back(mut self) {
        self.0.take();
    }

    pub(super) async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.prepare_cached(sql).await
    }

    /// Runs one statement as a transaction of its own, and returns its rows.
    pub(super) async fn rows(
        self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql).await.map_err(failed)?;
        let rows = self.query(&statement, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(rows)
    }

    /// Runs one statement as a transaction of its own, and returns the number of rows that it changed.
    pub(super) async fn run(self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql).await.map_err(failed)?;
        let count = self.execute(&statement, parameters).await.map_err(failed)?;
        self.give_back();
        Ok(count)
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("the client is taken only when this value is dropped")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// Sorts errors: PostgreSQL refuses some values for good, and everything else may succeed later. The only
/// check in the tables is that a row has a partition.
pub(super) fn failed(error: tokio_postgres::Error) -> StoreError {
    let code = error.code().cloned();
    let fault = Fault::new(NAME, error);
    match code {
        Some(code) if code == SqlState::CHECK_VIOLATION => StoreError::NotYet(fault),
        Some(code) if matches!(&code.code()[..2], "22" | "23") => StoreError::Refused(fault),
        _ => StoreError::Unavailable(fault),
    }
}
