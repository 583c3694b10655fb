//! Queries, including those whose conditions depend on a filter.

use rusqlite::types::ToSql;
use rusqlite::{Params, Row, Transaction};

/// All rows of a query.
pub(super) fn select<T>(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    transaction.prepare_cached(sql)?.query_map(parameters, row)?.collect()
}

/// A query whose conditions are added one by one.
pub(super) struct QueryBuilder {
    sql: String,
    parameters: Vec<Box<dyn ToSql + Send>>,
}

impl QueryBuilder {
    pub(super) fn new(sql: String) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    pub(super) fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a parameter, and returns its name in the query.
    pub(super) fn parameter(&mut self, value: impl ToSql + Send + 'static) -> String {
        self.parameters.push(Box::new(value));
        format!("?{}", self.parameters.len())
    }

    /// Adds a condition that compares with `value`, if there is one.
    pub(super) fn narrow(&mut self, condition: &str, value: Option<impl ToSql + Send + 'static>) {
        if let Some(value) = value {
            let parameter = self.parameter(value);
            self.add(&format!(" and {condition}{parameter}"));
        }
    }

    /// Runs a statement, and returns the number of rows that it changed.
    pub(super) fn execute(&self, transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
        transaction.prepare_cached(&self.sql)?.execute(rusqlite::params_from_iter(&self.parameters))
    }

    pub(super) fn rows<T>(
        &self,
        transaction: &Transaction<'_>,
        row: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        select(transaction, &self.sql, rusqlite::params_from_iter(&self.parameters), row)
    }
}
