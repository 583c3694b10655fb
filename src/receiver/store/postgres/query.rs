//! Queries that depend on which filters are set.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::Connection;
use crate::receiver::store::StoreError;

/// A query that is put together from what is asked for.
pub(super) struct Query<'a> {
    sql: String,
    parameters: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Query<'a> {
    pub(super) fn new(sql: String) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    pub(super) fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// The name of a further parameter.
    pub(super) fn parameter(&mut self, value: &'a (impl ToSql + Sync)) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    pub(super) fn narrow(&mut self, condition: &str, value: Option<&'a (impl ToSql + Sync)>) {
        if let Some(value) = value {
            let parameter = self.parameter(value);
            self.add(&format!(" and {condition}{parameter}"));
        }
    }

    pub(super) async fn rows(self, connection: Connection) -> Result<Vec<Row>, StoreError> {
        connection.rows(&self.sql, &self.parameters).await
    }
}

/// A text that `like` takes by the letter.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
