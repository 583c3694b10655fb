//! The destination that a vendor compiles into the host.

use std::time::Duration;

use secrecy::SecretString;

use super::frequency::DEFAULT_FREQUENCY;

/// The vendor's own destination, compiled into the host: the operator's variables do not change it.
#[derive(Clone, Debug)]
pub struct Vendor {
    pub(super) url: SecretString,
    pub(super) auth: Option<SecretString>,
    pub(super) frequency: Duration,
}

impl Vendor {
    /// `url` is absolute, `http` or `https`; checked by [`start`](crate::TelemetryBuilder::start).
    /// The frequency is 8 hours.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: SecretString::from(url.into()), auth: None, frequency: DEFAULT_FREQUENCY }
    }

    /// Sends `Authorization: Bearer <token>`, or `Scheme credentials` as it stands.
    pub fn auth(mut self, token: impl Into<String>) -> Self {
        self.auth = Some(SecretString::from(token.into()));
        self
    }

    /// How often an update is sent: 1 to 24 hours.
    pub fn frequency(mut self, frequency: Duration) -> Self {
        self.frequency = frequency;
        self
    }
}
