//! A fleet in SQLite.

/// A fleet in SQLite.
pub struct SqliteFleetStore {}
