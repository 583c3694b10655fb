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

/// The license as the host knows it.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use deployment_telemetry::License;
///
/// let paid_until = SystemTime::now() + Duration::from_secs(30 * 86_400);
/// let licensed = License::valid("the license key").until(paid_until);
/// let expired = License::invalid("the license key");
/// let none = License::none();
/// ```
#[derive(Clone, Debug, Default)]
pub struct License {
    key: Option<LicenseKey>,
    is_valid: bool,
    valid_until: Option<SystemTime>,
}

impl License {
    /// No license is configured.
    pub fn none() -> Self {
        Self::default()
    }

    /// A license that the host accepts.
    pub fn valid(key: impl Into<LicenseKey>) -> Self {
        Self::new(Some(key.into()), true)
    }

    /// A license that the host does not accept, or no longer.
    pub fn invalid(key: impl Into<LicenseKey>) -> Self {
        Self::new(Some(key.into()), false)
    }

    /// A license with the key that is configured, if one is, and the host's verdict.
    pub fn new(key: Option<LicenseKey>, is_valid: bool) -> Self {
        Self { key, is_valid, valid_until: None }
    }

    /// The wall-clock time at which the license stops being valid by itself.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.valid_until = Some(time);
        self
    }

    /// The state with the key's hash in place of the key; the clock is not looked at yet.
    pub(crate) fn state(&self) -> LicenseState {
        let key_hash = self.key.as_ref().map(LicenseKey::hash);
        LicenseState { key_hash, valid: self.is_valid, valid_until: self.valid_until }
    }
}

/// What is known and told of the license. The key itself is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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
    /// The state of a license without an end, with the SHA-256 of its key if there is one.
    pub fn new(key_hash: Option<String>, valid: bool) -> Self {
        Self { key_hash, valid, valid_until: None }
    }

    /// As it is at `now`, which may be after the end of its validity.
    pub(crate) fn at(mut self, now: SystemTime) -> Self {
        self.valid &= self.valid_until.is_none_or(|until| now < until);
        self
    }

    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.key_hash == other.key_hash && self.valid == other.valid
    }
}
