//! The keys of the webhook.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use secrecy::SecretString;
use uuid::Uuid;

use super::store::{FleetStore, StoreError, StoredKey};

/// A key as it is asked for.
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) rate: Option<i32>,
    pub(crate) signed: bool,
    pub(crate) token: bool,
}

/// The last part of the webhook's path.
pub(crate) struct WebhookKey(String);

impl WebhookKey {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// A key as it is shown once.
pub(crate) struct CreatedKey {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) key: WebhookKey,
    pub(crate) secret: Option<SecretString>,
    pub(crate) token: Option<SecretString>,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum KeyError {
    #[error("there is a key of that name")]
    NameTaken,
    #[error("{0}")]
    #[allow(dead_code)]
    Unusable(&'static str),
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A key as it is listed.
pub(crate) struct KeyInfo {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) secrets: usize,
    pub(crate) token: bool,
    pub(crate) rate: Option<i32>,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) last_used_at: Option<jiff::Timestamp>,
    pub(crate) revoked_at: Option<jiff::Timestamp>,
}

impl From<StoredKey> for KeyInfo {
    fn from(key: StoredKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            secrets: key.secrets.len(),
            token: key.token_hash.is_some(),
            rate: key.rate,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// The keys of the webhook.
pub(crate) struct Keys(Arc<dyn FleetStore>);

impl Keys {
    pub(crate) fn of(store: Arc<dyn FleetStore>) -> Self {
        Self(store)
    }

    pub(crate) async fn create(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        let word = || Uuid::new_v4().simple().to_string();
        let secret = new.signed.then(|| SecretString::from(format!("whsec_{}", word())));
        let created = CreatedKey {
            id: Uuid::new_v4(),
            name: new.name,
            key: WebhookKey(word()),
            secret: secret.clone(),
            token: new.token.then(|| SecretString::from(word())),
        };
        let stored = StoredKey {
            id: created.id,
            name: created.name.clone(),
            hash: digest(&SHA256, created.key.expose().as_bytes()).as_ref().try_into().unwrap(),
            token_hash: created.token.as_ref().map(|_| [0; 32]),
            secrets: secret.into_iter().collect(),
            rate: new.rate,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            last_used_at: None,
            revoked_at: None,
        };
        match self.0.add_key(&stored).await? {
            true => Ok(created),
            false => Err(KeyError::NameTaken),
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        Ok(self.0.keys().await?.into_iter().map(KeyInfo::from).collect())
    }

    pub(crate) async fn revoke(&self, id: Uuid) -> Result<bool, KeyError> {
        Ok(self.0.revoke_key(id, jiff::Timestamp::UNIX_EPOCH).await?)
    }

    pub(crate) async fn add_secret(&self, id: Uuid) -> Result<Option<SecretString>, KeyError> {
        let secret = SecretString::from(format!("whsec_{}", Uuid::new_v4().simple()));
        let done = self.0.set_key_secrets(id, std::slice::from_ref(&secret)).await?;
        Ok(done.then_some(secret))
    }

    pub(crate) async fn finish_rotation(&self, id: Uuid) -> Result<bool, KeyError> {
        Ok(self.0.set_key_secrets(id, &[]).await?)
    }
}
