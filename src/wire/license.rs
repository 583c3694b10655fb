//! The license on the wire: the key, of which only the hash is sent, and the reported state.

use std::fmt;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::digest::{lower_hex, sha256};
use super::rfc3339::as_optional_rfc3339;

/// License key of the host.
///
/// The subsystem hashes the key as soon as it arrives and then wipes it from memory. Only the hash is sent;
/// `Debug` prints `LicenseKey([redacted])`.
///
/// ```
/// use deployment_telemetry::{License, LicenseKey};
///
/// let key = LicenseKey::new("the license key");
/// assert_eq!(format!("{key:?}"), "LicenseKey([redacted])");
/// let license = License::new(Some(key), true);
/// ```
#[derive(Clone)]
pub struct LicenseKey(SecretString);

impl LicenseKey {
    /// Creates a license key from its text. The hash covers the bytes of `key` unchanged: no trimming, no
    /// change of case.
    pub fn new(key: impl Into<String>) -> Self {
        Self(SecretString::from(key.into()))
    }

    /// SHA-256 of the key's bytes in lower-case hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        lower_hex(&sha256(self.0.expose_secret()))
    }
}

impl PartialEq for LicenseKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for LicenseKey {}

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

/// License of the host, as the host knows it.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use deployment_telemetry::License;
///
/// let paid_until = SystemTime::now() + Duration::from_secs(30 * 86_400);
/// let licensed = License::valid("the license key").until(paid_until);
/// assert!(!format!("{licensed:?}").contains("the license key"), "the key is never shown");
///
/// let expired = License::invalid("the license key");
/// let unlicensed = License::none();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// License that the host considers valid.
    pub fn valid(key: impl Into<LicenseKey>) -> Self {
        Self::new(Some(key.into()), true)
    }

    /// License that the host does not consider valid, or no longer.
    pub fn invalid(key: impl Into<LicenseKey>) -> Self {
        Self::new(Some(key.into()), false)
    }

    /// License from a key that may be missing and the host's verdict.
    pub fn new(key: Option<LicenseKey>, is_valid: bool) -> Self {
        Self { key, is_valid, valid_until: None }
    }

    /// Sets the wall-clock time at which the validity ends by itself. The subsystem reports the end without a
    /// further message from the host.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.valid_until = Some(time);
        self
    }

    /// State that the license describes, without regard to the current time: `valid` may be true although
    /// `valid_until` has passed.
    pub(crate) fn state(&self) -> LicenseState {
        let key_hash = self.key.as_ref().map(LicenseKey::hash);
        LicenseState { key_hash, valid: self.is_valid, valid_until: self.valid_until }
    }
}

/// State of the license as events report it. It holds the hash of the key, never the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LicenseState {
    /// SHA-256 of the key's bytes in lower-case hexadecimal digits; `None` where no license is configured.
    pub key_hash: Option<String>,
    /// Whether the license is valid now.
    pub valid: bool,
    /// Time at which the validity ends by itself; `None` where it does not. Events do not carry it.
    #[serde(serialize_with = "as_optional_rfc3339::serialize")]
    pub valid_until: Option<SystemTime>,
}

impl LicenseState {
    /// State without an end, with the SHA-256 of the license key if there is one.
    pub fn new(key_hash: Option<String>, valid: bool) -> Self {
        Self { key_hash, valid, valid_until: None }
    }

    /// State at the time `now`: no longer valid once `valid_until` has passed.
    pub(crate) fn at(mut self, now: SystemTime) -> Self {
        self.valid &= self.valid_until.is_none_or(|until| now < until);
        self
    }

    /// Whether both states make the same payload; `valid_until` is not part of one.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.key_hash == other.key_hash && self.valid == other.valid
    }
}
