//! Why an import ended early.

use std::error::Error;
use std::io;

use crate::receiver::store::StoreError;

/// Why an import ended early. What it stored until then stays, and is not stored again by the next import.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No key in use has this id.
    #[error("no key in use has this id")]
    NoSuchKey,
    /// The clock shows a time before 2025, so it is not known which events lie in the future.
    #[error("the clock is not set yet: it shows a time before 2025")]
    ClockNotSet,
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// The reading of the file panicked.
    #[error("the reading of the file panicked")]
    Panicked,
    /// The store does not answer or refuses. The source is the error of the database, where it returned one.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}
