//! The license as the wire knows it: a key that is only ever hashed, and the state that is told.

use std::fmt;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::digest::{lower_hex, sha256};
use super::rfc3339::as_optional_rfc3339;

/// A license key. It is hashed as soon as it arrives, then wiped from memory, and never shown.
#[derive(Clone)]
pub struct LicenseKey(SecretString);

impl LicenseKey {
    /// Takes the key as the license holds it; its bytes are what is hashed.
    pub fn new(key: impl Into<String>) -> Self {
        Self(SecretString::from(key.into()))
    }

    /// Lower-case hex SHA-256 of the key's bytes.
    pub(crate) fn hash(&self) -> String {
        lower_hex(&sha256(self.0.expose_secret()))
    }
}

impl From<&str> for LicenseKey {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}

impl From<String> for LicenseKey {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LicenseKey([redacted])")
    }
}

/// What is known and told of the license. The key itself is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LicenseState {
    /// Lower-case hex SHA-256 of the key's bytes, `None` where no license is configured.
    pub key_hash: Option<String>,
    /// Whether the license is valid now.
    pub valid: bool,
    /// When the validity ends by itself, if it does.
    #[serde(serialize_with = "as_optional_rfc3339::serialize")]
    pub valid_until: Option<SystemTime>,
}

impl LicenseState {
    /// As it is at `now`, which may be after the end of its validity.
    pub(crate) fn at(mut self, now: SystemTime) -> Self {
        self.valid &= self.valid_until.is_none_or(|until| now < until);
        self
    }

    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.key_hash == other.key_hash && self.valid == other.valid
    }
}
