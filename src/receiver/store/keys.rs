//! The keys of the webhook.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use super::error::StoreError;
use super::instance::State;

/// A webhook key as it is stored: the hash that requests are compared with, not the key itself.
#[derive(Clone)]
pub(crate) struct StoredKey {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// SHA-256 of the key.
    pub(crate) hash: [u8; 32],
    /// SHA-256 of the key before its last change, and until when that is valid.
    pub(crate) old_hash: Option<([u8; 32], Timestamp)>,
    /// SHA-256 of the bearer token that requests must carry as well.
    pub(crate) token_hash: Option<[u8; 32]>,
    /// Secrets that sign the requests, `whsec_…`; two during a rotation.
    pub(crate) secrets: Vec<SecretString>,
    /// Maximum number of events per second; unlimited if `None`.
    pub(crate) rate: Option<i32>,
    /// Hours after which its instances that are down or have ended are forgotten; `None`: as all others.
    pub(crate) forget_after: Option<i32>,
    /// Whether `telemetry-frequency` may be less than an hour or more than two days.
    pub(crate) takes_any_frequency: bool,
    /// Number of instances that it may report for the first time within an hour; any number if `None`.
    pub(crate) new_per_hour: Option<i32>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// Number of the instances of a key that are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyCount {
    pub(crate) key_id: Uuid,
    pub(crate) state: State,
    pub(crate) count: i64,
}

/// Keeps the keys of the webhook.
#[async_trait]
pub(crate) trait Keys: Send + Sync {
    /// All keys, including the revoked ones, oldest first.
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;

    /// Numbers of the instances of each key in each state, in no order; those that are 0 are left out.
    async fn count_by_key(&self) -> Result<Vec<KeyCount>, StoreError>;

    /// Adds a key. Returns `false` if a key that is not revoked has the same name.
    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError>;

    /// Revokes a key. Returns `false` if there is none of this id that is not revoked.
    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError>;

    /// Replaces the secrets of a key. Returns `false` if there is no such key, if it is revoked, or if its
    /// secrets are not `before`.
    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError>;

    /// Replaces the hash of a key. The hash before stays valid until `old_until`; the one before that does not. Returns
    /// `false` if there is no such key, or if it is revoked.
    async fn change_key(&self, id: Uuid, hash: [u8; 32], old_until: Timestamp) -> Result<bool, StoreError>;

    /// Replaces the limits of a key. Returns `false` if there is no such key, or if it is revoked.
    async fn set_key_limits(
        &self,
        id: Uuid,
        takes_any_frequency: bool,
        new_per_hour: Option<i32>,
    ) -> Result<bool, StoreError>;

    /// Ends the validity of the hash before the last change. Returns `false` if there is no such key, or if it is
    /// revoked.
    async fn end_old_key(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Notes when keys were last used. A time that is earlier than the known one changes nothing.
    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError>;
}
