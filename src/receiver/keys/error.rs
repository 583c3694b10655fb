//! Why a key was not made or changed.

use std::error::Error;

use crate::receiver::store::StoreError;

/// Why a key was not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name or the rate cannot be used: which, and what it accepts.
    #[error("the {0} of a key accepts {1}")]
    Unusable(&'static str, &'static str),
    /// Another key in use has this name.
    #[error("there is a key of this name; revoke it first or choose another name")]
    NameTaken,
    /// The key was made without a signing secret.
    #[error(
        "this key asks for no signature, so there is no secret to rotate; make a signed one beside it and revoke this"
    )]
    NotSigned,
    /// Two secrets are valid already, and senders may still use the older one.
    #[error(
        "a rotation of this key is under way: finish it, which ends the older secret, before another begins"
    )]
    Rotating,
    /// The store does not answer or refuses. The source is the error of the database, where it returned one.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}
