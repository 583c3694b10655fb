//! Webhook keys: who may send. Made here, shown once, kept as SHA-256, compared in constant time (receiver §1).

pub(crate) mod ring;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::Storage;
use super::keys::ring::KeyRing;
use super::store::{FleetStore, StoreError, StoredKey, on, within};
use crate::running::clock::Clock;
use crate::wire::digest::sha256;

/// 192 bits; the contract asks for 128.
const KEY_BYTES: usize = 24;

/// Of a signing secret, as Standard Webhooks recommends.
const SECRET_BYTES: usize = 32;

/// So long may a name be.
const LONGEST_NAME: usize = 100;

/// For a question about keys.
const LIMIT: Duration = Duration::from_secs(30);

/// The last part of a webhook's URL. Whoever knows it may send events.
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

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(random::<SECRET_BYTES>())).into()
}

/// What a new key is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewKey {
    /// What people call it: 1 to 100 characters, none of them a control character, unique among keys in use.
    pub name: String,
    /// So many events a second may be sent with it, at least 1; any number without.
    pub rate: Option<i32>,
    /// Requests must be signed by a secret that is made with it (Standard Webhooks).
    pub signed: bool,
    /// Requests must carry a bearer token that is made with it.
    pub token: bool,
}

impl NewKey {
    /// A key of this name, without a rate, a secret or a token.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A new key and what belongs to it: the only time that they are to be seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedKey {
    /// By which it is revoked.
    pub id: Uuid,
    /// As it was asked for.
    pub name: String,
    /// The key.
    pub key: WebhookKey,
    /// The signing secret, `whsec_…`, for `…_TELEMETRY_SIGNING_SECRET`.
    pub secret: Option<SecretString>,
    /// The bearer token, for `…_TELEMETRY_AUTH`.
    pub token: Option<SecretString>,
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// By which it is revoked.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Requests must be signed; by one of so many secrets, two during a rotation.
    pub secrets: usize,
    /// Requests must carry a bearer token.
    pub token: bool,
    /// Events a second.
    pub rate: Option<i32>,
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
            created_at: key.created_at.into(),
            last_used_at: key.last_used_at.map(SystemTime::from),
            revoked_at: key.revoked_at.map(SystemTime::from),
        }
    }
}

/// Why a key was not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name or the rate cannot be used.
    #[error("{0}")]
    Unusable(&'static str),
    /// Another key in use has this name.
    #[error("there is a key of this name; revoke it first or choose another name")]
    NameTaken,
    /// The key was made without a signing secret.
    #[error(
        "this key asks for no signature, so there is no secret to rotate; make a signed one beside it and revoke this"
    )]
    NotSigned,
    /// Two secrets are valid already, and senders may still use the older one.
    #[error(
        "a rotation of this key is under way: finish it, which ends the older secret, before another begins"
    )]
    Rotating,
    /// The store does not answer or refuses.
    #[error("{0}")]
    Store(String),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// The keys of a store: with or without a running receiver, which learns of a change within two seconds.
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn FleetStore>,
    clock: Clock,
    /// Of the receiver, where one is running.
    running: Option<(Handle, Arc<KeyRing>)>,
}

impl Keys {
    /// Those of `store`. Every call is to be awaited in a tokio runtime.
    pub fn of(store: impl Into<Storage>) -> Self {
        Self { store: store.into().0, clock: Clock::system(), running: None }
    }

    pub(crate) fn of_receiver(
        store: Arc<dyn FleetStore>,
        clock: Clock,
        runtime: Handle,
        ring: Arc<KeyRing>,
    ) -> Self {
        Self { store, clock, running: Some((runtime, ring)) }
    }

    /// Makes the tables of the store where they are missing. A receiver does it when it starts.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn migrate(&self) -> Result<(), KeyError> {
        let store = self.store.clone();
        Ok(self.ask(async move { store.migrate().await }).await?)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// The name or rate cannot be used, the name is taken, or the store does not answer.
    pub async fn create(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(KeyError::Unusable(
                "the name must have 1 to 100 characters, none of them a control character",
            ));
        }
        if new.rate.is_some_and(|rate| rate < 1) {
            return Err(KeyError::Unusable("the rate must be at least 1 event a second"));
        }
        let key = WebhookKey::generate();
        let secret = new.signed.then(new_secret);
        let token: Option<SecretString> =
            new.token.then(|| URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>()).into());
        let stored = StoredKey {
            id: Uuid::new_v4(),
            name: name.clone(),
            hash: key.hash(),
            token_hash: token.as_ref().map(|token| sha256(token.expose_secret())),
            secrets: secret.clone().into_iter().collect(),
            rate: new.rate,
            created_at: self.clock.timestamp(),
            last_used_at: None,
            revoked_at: None,
        };
        let id = stored.id;
        let store = self.store.clone();
        if !self.change(async move { store.add_key(&stored).await }).await? {
            return Err(KeyError::NameTaken);
        }
        Ok(CreatedKey { id, name, key, secret, token })
    }

    /// All keys, the revoked ones included, oldest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        Ok(self.stored().await?.iter().map(KeyInfo::from).collect())
    }

    /// Revokes a key. Says whether there was one that was not revoked.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn revoke(&self, id: Uuid) -> Result<bool, KeyError> {
        let (store, now) = (self.store.clone(), self.clock.timestamp());
        Ok(self.change(async move { store.revoke_key(id, now).await }).await?)
    }

    /// Begins the rotation of a key's signing secret: a new one, beside which the last one stays valid. `None` where
    /// there is no such key in use.
    ///
    /// # Errors
    /// The key is not signed, a rotation is under way already, or the store does not answer.
    pub async fn add_secret(&self, id: Uuid) -> Result<Option<SecretString>, KeyError> {
        let Some(secrets) = self.secrets(id).await? else { return Ok(None) };
        let [only] = &secrets[..] else {
            return Err(if secrets.is_empty() { KeyError::NotSigned } else { KeyError::Rotating });
        };
        let secret = new_secret();
        let both = [only.clone(), secret.clone()];
        let store = self.store.clone();
        // Another may have begun one in between.
        match self.change(async move { store.set_key_secrets(id, &both[..1], &both).await }).await? {
            true => Ok(Some(secret)),
            false => Err(KeyError::Rotating),
        }
    }

    /// Ends a rotation, where one is under way: only the newest secret stays valid. Says whether there is such a key in
    /// use.
    ///
    /// # Errors
    /// The key is not signed, or the store does not answer.
    pub async fn finish_rotation(&self, id: Uuid) -> Result<bool, KeyError> {
        let Some(secrets) = self.secrets(id).await? else { return Ok(false) };
        if secrets.is_empty() {
            return Err(KeyError::NotSigned);
        }
        let (store, newest) = (self.store.clone(), secrets.len() - 1);
        // Where that is not so any more, another has finished it.
        self.change(async move { store.set_key_secrets(id, &secrets, &secrets[newest..]).await }).await?;
        Ok(true)
    }

    async fn secrets(&self, id: Uuid) -> Result<Option<Vec<SecretString>>, StoreError> {
        let keys = self.stored().await?;
        Ok(keys.into_iter().find(|key| key.id == id && key.revoked_at.is_none()).map(|key| key.secrets))
    }

    async fn stored(&self) -> Result<Vec<StoredKey>, StoreError> {
        let store = self.store.clone();
        self.ask(async move { store.keys().await }).await
    }

    /// After which a running receiver knows of it at once, or where it cannot be told now, within two seconds.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, ring) = (self.store.clone(), self.running.as_ref().map(|(_, ring)| ring.clone()));
        self.ask(async move {
            let changed = change.await?;
            if let Some(ring) = ring {
                let _ = ring.load(&*store).await;
            }
            Ok(changed)
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let question = within(LIMIT, question);
        match &self.running {
            Some((runtime, _)) => on(runtime, question).await,
            None => question.await,
        }
    }
}
