//! Where a host keeps its instance id.

use deployment_telemetry::{
    AnyStateStore, DatabaseError, MemoryStateStore, PostgresStateStore, SqliteStateStore,
};

/// What names the store that is gone with its process.
pub(crate) const MEMORY: &str = "memory";

pub(super) fn open(place: &str) -> Result<AnyStateStore, DatabaseError> {
    Ok(match place {
        MEMORY => AnyStateStore::new(MemoryStateStore::new()),
        url if url.starts_with("postgres") => AnyStateStore::new(PostgresStateStore::from_url(url)?),
        file => AnyStateStore::new(SqliteStateStore::new(file)),
    })
}
