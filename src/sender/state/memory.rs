//! The state in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::{StateError, StateStore};
use crate::sender::instance_id;

/// Keeps the state in memory; clones share it. For tests: a server that keeps its state in memory is
/// another instance after each start.
///
/// ```
/// use deployment_telemetry::{MemoryStateStore, StateStore, Uuid};
///
/// # futures_executor::block_on(async {
/// let store = MemoryStateStore::with_instance_id(Uuid::from_u128(7));
/// let stored = store.read("instance_id").await?;
/// assert_eq!(stored.as_deref(), Some("\"00000000-0000-0000-0000-000000000007\""));
/// assert_eq!(MemoryStateStore::new().read("instance_id").await?, None);
/// # Ok::<(), deployment_telemetry::StateError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStateStore(Arc<Mutex<HashMap<String, String>>>);

impl MemoryStateStore {
    /// Holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds the instance id `id`.
    pub fn with_instance_id(id: Uuid) -> Self {
        let value = instance_id::to_json(id);
        Self(Arc::new(Mutex::new(HashMap::from([(instance_id::KEY.to_owned(), value)]))))
    }
}

impl StateStore for MemoryStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_as_expected = values.get(key).map(String::as_str) == expected;
        if is_as_expected {
            values.insert(key.to_owned(), value.to_owned());
        }
        Ok(is_as_expected)
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}
