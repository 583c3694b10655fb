//! The vendor's destination, as a host configures it.

use std::time::Duration;

use secrecy::SecretString;

use super::frequency::DEFAULT_FREQUENCY;

/// Destination of the vendor, compiled into the host and active in the modes `default` and `both`.
///
/// The operator's settings do not change it, with two exceptions: `DO_NOT_TRACK` disables it, and the
/// operator's proxy and CA file apply to it.
///
/// ```
/// use std::time::Duration;
///
/// use deployment_telemetry::Vendor;
///
/// let vendor = Vendor::new("https://telemetry.vendor.example/v1")
///     .auth("token")
///     .frequency(Duration::from_secs(12 * 60 * 60));
/// ```
#[derive(Clone, Debug)]
pub struct Vendor {
    pub(super) url: SecretString,
    pub(super) auth: Option<SecretString>,
    pub(super) frequency: Duration,
}

impl Vendor {
    /// Creates a destination without a token and with a frequency of 8 hours.
    ///
    /// `url` must be an absolute `http` or `https` URL. [`start`](crate::TelemetryBuilder::start) checks it, as
    /// it checks the other values.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: SecretString::from(url.into()), auth: None, frequency: DEFAULT_FREQUENCY }
    }

    /// Sets the value of the header `Authorization`: a token, which is sent as `Bearer <token>`, or
    /// `Scheme credentials`, which is sent unchanged.
    pub fn auth(mut self, token: impl Into<String>) -> Self {
        self.auth = Some(SecretString::from(token.into()));
        self
    }

    /// Sets the time between two updates, from 1 to 24 hours.
    pub fn frequency(mut self, frequency: Duration) -> Self {
        self.frequency = frequency;
        self
    }
}
