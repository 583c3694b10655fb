//! Where a host keeps its instance id.

use std::sync::{Arc, Mutex, PoisonError};

use deployment_telemetry::{DatabaseError, PostgresStateStore, SqliteStateStore, StateFuture, StateStore};

/// What names the store that is gone with its process.
pub(crate) const MEMORY: &str = "memory";

pub(super) fn open(place: &str) -> Result<Box<dyn StateStore>, DatabaseError> {
    Ok(match place {
        MEMORY => Box::new(MemoryStore::default()),
        url if url.starts_with("postgres") => Box::new(PostgresStateStore::from_url(url)?),
        file => Box::new(SqliteStateStore::new(file)),
    })
}

#[derive(Default)]
struct MemoryStore(Arc<Mutex<Option<String>>>);

impl StateStore for MemoryStore {
    fn read<'a>(&'a self, _: &'a str) -> StateFuture<'a, Option<String>> {
        Box::pin(async { Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()) })
    }

    fn replace<'a>(&'a self, _: &'a str, expected: Option<&'a str>, value: &'a str) -> StateFuture<'a, bool> {
        Box::pin(async move {
            let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_as_expected = row.as_deref() == expected;
            if is_as_expected {
                *row = Some(value.to_owned());
            }
            Ok(is_as_expected)
        })
    }
}
