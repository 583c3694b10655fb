//! Where alerts go, as a host or an operator says it.

use secrecy::SecretString;

use crate::config::{Config, ConfigErrors, DestinationSettings, Reading, Settings};
use crate::product::Product;

/// A webhook that is told of instances that go down, are up again or have ended from there, or lose a valid license
/// (Standard Webhooks).
///
/// The way there is that of telemetry itself: the proxies of the environment, the system's and the bundled roots.
#[derive(Clone, Debug)]
pub struct AlertDestination {
    config: Config,
}

impl AlertDestination {
    /// The webhook at `url`, `http://` or `https://`. Checked when the receiver starts.
    pub fn new(url: impl Into<SecretString>) -> Self {
        let config = Config { mode: Some("custom".to_owned()), url: Some(url.into()), ..Config::default() };
        Self { config }
    }

    /// A token, sent as `Authorization: Bearer <token>`; `Scheme credentials` are sent as they stand.
    pub fn auth(mut self, token: impl Into<SecretString>) -> Self {
        self.config.auth = Some(token.into());
        self
    }

    /// Signs each alert with this `whsec_…` secret.
    pub fn signing_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.config.signing_secret = Some(secret.into());
        self
    }

    /// A PEM file that is trusted besides the system's and the bundled roots.
    pub fn ca_file(mut self, path: impl Into<String>) -> Self {
        self.config.ca_file = Some(path.into());
        self
    }

    /// Says what of it cannot be used, so that a host can tell it together with the faults of its own settings.
    ///
    /// # Errors
    /// Every problem, by the names of the methods here.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        self.clone().settings().map(|_| ())
    }

    pub(super) fn settings(self) -> Result<DestinationSettings, ConfigErrors> {
        let reading = Reading::given(self.config, &|name| std::env::var_os(name));
        let settings = Settings::check(reading, &Product::new("receiver"), None)?;
        Ok(settings.destinations.into_iter().next().expect("the mode custom has a destination"))
    }
}
