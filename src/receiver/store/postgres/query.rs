//! Queries that are put together from what is asked for.

use tokio_postgres::types::ToSql;

use super::connection::Connection;
use super::rows::instance_of;
use crate::receiver::store::{Instance, StoreError};

/// A query that is put together from what is asked for.
pub(super) struct Query<'a> {
    pub(super) sql: String,
    pub(super) parameters: Vec<&'a (dyn ToSql + Sync)>,
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

    pub(super) async fn instances(self, connection: Connection) -> Result<Vec<Instance>, StoreError> {
        connection.rows(&self.sql, &self.parameters).await?.iter().map(instance_of).collect()
    }
}

/// A text that `like` takes by the letter.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
