//! A fleet in PostgreSQL.

/// A fleet in PostgreSQL.
pub struct PostgresFleetStore {}
