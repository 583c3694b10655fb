//! Queries whose conditions depend on a filter. Their statements are not kept: there are as many texts as there are
//! filters, and a connection, and its backend, would keep each for as long as they last.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Connection, failed};
use crate::receiver::store::StoreError;

/// A query whose conditions are added one by one.
pub(super) struct QueryBuilder<'a> {
    sql: String,
    parameters: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> QueryBuilder<'a> {
    pub(super) fn new(sql: String) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    pub(super) fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a parameter, and returns its name in the query.
    pub(super) fn parameter(&mut self, value: &'a (impl ToSql + Sync)) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    /// Adds a condition that compares with `value`, if there is one.
    pub(super) fn narrow(&mut self, condition: &str, value: Option<&'a (impl ToSql + Sync)>) {
        if let Some(value) = value {
            let parameter = self.parameter(value);
            self.add(&format!(" and {condition}{parameter}"));
        }
    }

    /// Runs the query in the transaction that is open on a connection.
    pub(super) async fn rows_on(&self, connection: &Connection) -> Result<Vec<Row>, tokio_postgres::Error> {
        connection.query(&self.sql, &self.parameters).await
    }

    /// Runs the query as a transaction of its own.
    pub(super) async fn rows_alone(
        &self,
        connection: &Connection,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let query = async {
            let statement = connection.prepare(&self.sql).await?;
            connection.commit_with(connection.query(&statement, &self.parameters)).await
        };
        connection.begin_with(query).await
    }

    /// [`rows_alone`](Self::rows_alone), after which the connection goes back.
    pub(super) async fn rows(self, connection: Connection) -> Result<Vec<Row>, StoreError> {
        let rows = self.rows_alone(&connection).await.map_err(failed)?;
        connection.give_back();
        Ok(rows)
    }
}
