//! The error of every call to a store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Error of a call to a store. Its source is what the database said, where the database said something.
#[derive(Clone, Debug)]
pub(crate) enum StoreError {
    /// The call may succeed later: the store is down or busy, or another transaction was in the way.
    Unavailable(Fault),
    /// The store takes other events, but at least one of these only after somebody has repaired something.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite has no partitions"))]
    NotYet(Fault),
    /// The call will never succeed: the store does not take these values, or is not one that this program
    /// knows.
    Refused(Fault),
}

/// Description of a fault of a store, and the error behind it.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// The fault that `source` reports; `of` names the database.
    pub(crate) fn new(of: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { text: of.into(), source: Some(Arc::new(source)) }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self { text, source: None }
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, fault) = match self {
            Self::Unavailable(fault) => ("the store is not available", fault),
            Self::NotYet(fault) => ("the store cannot take an event yet", fault),
            Self::Refused(fault) => ("the store refused", fault),
        };
        write!(f, "{what}: {}", fault.text)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Self::Unavailable(fault) | Self::NotYet(fault) | Self::Refused(fault)) = self;
        fault.source.as_deref().map(|source| source as _)
    }
}
