//! The error of every call to a store.

/// Why a store did not do what it was asked to do.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The call may succeed later: the store is down or busy, or another transaction was in the way.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store takes other events, but at least one of these only after somebody has repaired something.
    #[error("the store cannot take an event yet: {0}")]
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite has no partitions"))]
    NotYet(String),
    /// The call will never succeed: the store does not take these values, or is not one that this program
    /// knows.
    #[error("the store refused: {0}")]
    Refused(String),
}
