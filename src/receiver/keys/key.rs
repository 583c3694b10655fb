//! The key in a webhook's URL.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::receiver::random::random;
use crate::wire::digest::sha256;

/// Length of a key: 192 bits, where the contract asks for 128.
pub(super) const KEY_BYTES: usize = 24;

/// The last part of a webhook's URL. Everyone who knows it may send events.
///
/// ```
/// use deployment_telemetry::receiver::WebhookKey;
///
/// let key = WebhookKey::generate();
/// let url = format!("https://fleet.example/webhooks/{}", key.expose());
/// assert!(!format!("{key:?}").contains(key.expose()));
/// ```
#[derive(Clone)]
pub struct WebhookKey(SecretString);

impl WebhookKey {
    /// A new one: 192 random bits of the system's generator.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>()).into())
    }

    /// The key itself, for the URL of the webhook: `<scope>/webhooks/<key>`. Not for a log.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(self.expose())
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey([redacted])")
    }
}
