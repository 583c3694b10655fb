//! A key as it is made, and as it is listed.

use std::time::SystemTime;

use secrecy::SecretString;
use uuid::Uuid;

use super::key::WebhookKey;
use super::settings::KeyLimits;
use crate::receiver::store::StoredKey;

/// A new key and its secrets: the only time that they can be seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedKey {
    /// The id by which it is revoked.
    pub id: Uuid,
    /// Name for people.
    pub name: String,
    /// The key.
    pub key: WebhookKey,
    /// The signing secret, `whsec_…`, for `…_TELEMETRY_SIGNING_SECRET`.
    pub secret: Option<SecretString>,
    /// The bearer token, for `…_TELEMETRY_AUTH`.
    pub token: Option<SecretString>,
}

/// A key in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The id by which it is revoked.
    pub id: Uuid,
    /// Name for people.
    pub name: String,
    /// Number of secrets that a signature may be made with: 0 where requests need none, 2 during a rotation.
    pub secrets: usize,
    /// Requests must carry a bearer token.
    pub token: bool,
    /// Events a second.
    pub rate: Option<i32>,
    /// Hours after which its instances that are down or have ended are forgotten.
    pub forget_after: Option<i32>,
    /// Its limits.
    pub limits: KeyLimits,
    /// Until when the key before the last change is valid.
    pub old_until: Option<SystemTime>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When an event was last sent with it, give or take some seconds.
    pub last_used_at: Option<SystemTime>,
    /// When it was revoked.
    pub revoked_at: Option<SystemTime>,
}

impl From<&StoredKey> for KeyInfo {
    fn from(key: &StoredKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            secrets: key.secrets.len(),
            token: key.token_hash.is_some(),
            rate: key.rate,
            forget_after: key.forget_after,
            limits: KeyLimits { new_per_hour: key.new_per_hour, any_frequency: key.takes_any_frequency },
            old_until: key.old_hash.map(|(_, until)| until.into()),
            created_at: key.created_at.into(),
            last_used_at: key.last_used_at.map(SystemTime::from),
            revoked_at: key.revoked_at.map(SystemTime::from),
        }
    }
}
