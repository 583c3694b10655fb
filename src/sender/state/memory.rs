//! The state in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::{StateError, StateStore};
use crate::sender::instance_id;

/// Keeps the state in memory; clones share it. For tests: a server that keeps its state in memory is
/// another instance after each start.
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
