//! Webhook keys: who may send. Made here, shown once, kept as SHA-256, compared in constant time (receiver §1).

mod key;
pub(crate) mod ring;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

pub use key::WebhookKey;

use super::store::{FleetStore, Storage, StoreError, StoredKey};
use super::store_handle::StoreHandle;
use crate::running::clock::Clock;
use crate::wire::digest::sha256;
use key::{KEY_BYTES, random};
use ring::KeyRing;

/// Length of a signing secret, as Standard Webhooks recommends.
const SECRET_BYTES: usize = 32;

/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 100;

/// What the name of a key accepts, for people.
pub(crate) const NAME_RULE: &str = "1 to 100 characters without control characters, not only blanks";

/// What the rate of a key accepts, for people.
pub(crate) const RATE_RULE: &str = "a whole number of events a second, 1 to 2147483647";

/// What the rule by which a key forgets its instances accepts, for people.
pub(crate) const FORGET_RULE: &str = "a whole number of hours, 1 to 87600";

/// Time limit of a question about keys.
const LIMIT: Duration = Duration::from_secs(30);

/// The name without blanks around it, where it can be used: see [`NAME_RULE`].
pub(crate) fn valid_name(text: &str) -> Option<String> {
    let name = text.trim();
    let is_valid = (1..=LONGEST_NAME).contains(&name.chars().count()) && !text.contains(char::is_control);
    is_valid.then(|| name.to_owned())
}

/// The rate, where it can be used: see [`RATE_RULE`].
pub(crate) fn valid_rate(number: i64) -> Option<i32> {
    i32::try_from(number).ok().filter(|rate| *rate >= 1)
}

/// The hours, where they can be used: see [`FORGET_RULE`].
pub(crate) fn valid_forget_after(hours: i64) -> Option<i32> {
    i32::try_from(hours).ok().filter(|hours| (1..=87_600).contains(hours))
}

fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(random::<SECRET_BYTES>())).into()
}

/// The settings of a new key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewKey {
    /// Name for people: 1 to 100 characters without control characters, unique among keys in use. Blanks around it are
    /// dropped.
    pub name: String,
    /// Most events a second, at least 1; any number without.
    pub rate: Option<i32>,
    /// Requests must be signed by a secret that is made with it (Standard Webhooks).
    pub signed: bool,
    /// Requests must carry a bearer token that is made with it.
    pub token: bool,
    /// Hours after which its instances that are down or have ended are forgotten, 1 to 87600; as all others without.
    pub forget_after: Option<i32>,
}

impl NewKey {
    /// A key of this name, without a rate, a secret or a token.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

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
    /// The name or the rate cannot be used: which, and what it accepts.
    #[error("the {0} of a key accepts {1}")]
    Unusable(&'static str, &'static str),
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
    store: StoreHandle,
    clock: Clock,
    /// The keys of the receiver, where one is running.
    ring: Option<Arc<KeyRing>>,
}

impl Keys {
    /// The keys of `store`. Every call is to be awaited in a tokio runtime.
    pub fn of(store: impl Into<Storage>) -> Self {
        Self { store: StoreHandle::alone(store.into().0), clock: Clock::system(), ring: None }
    }

    pub(crate) fn of_receiver(store: StoreHandle, clock: Clock, ring: Arc<KeyRing>) -> Self {
        Self { store, clock, ring: Some(ring) }
    }

    /// Makes the tables of the store where they are missing. A receiver does it when it starts.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn migrate(&self) -> Result<(), KeyError> {
        Ok(self.store.ask(LIMIT, |store| async move { store.migrate().await }).await?)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// The name or rate cannot be used, the name is taken, or the store does not answer.
    pub async fn create(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        let name = valid_name(&new.name).ok_or(KeyError::Unusable("name", NAME_RULE))?;
        if new.rate.is_some_and(|rate| valid_rate(rate.into()).is_none()) {
            return Err(KeyError::Unusable("rate", RATE_RULE));
        }
        if new.forget_after.is_some_and(|hours| valid_forget_after(hours.into()).is_none()) {
            return Err(KeyError::Unusable("forget_after", FORGET_RULE));
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
            forget_after: new.forget_after,
            created_at: self.clock.timestamp(),
            last_used_at: None,
            revoked_at: None,
        };
        let id = stored.id;
        if !self.change(|store| async move { store.add_key(&stored).await }).await? {
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
        let now = self.clock.timestamp();
        Ok(self.change(move |store| async move { store.revoke_key(id, now).await }).await?)
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
        // Another may have begun one in between.
        let change =
            self.change(move |store| async move { store.set_key_secrets(id, &both[..1], &both).await });
        match change.await? {
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
        let newest = secrets.len() - 1;
        // Where the secrets are others by now, another has finished it.
        self.change(
            move |store| async move { store.set_key_secrets(id, &secrets, &secrets[newest..]).await },
        )
        .await?;
        Ok(true)
    }

    async fn secrets(&self, id: Uuid) -> Result<Option<Vec<SecretString>>, StoreError> {
        let keys = self.stored().await?;
        Ok(keys.into_iter().find(|key| key.id == id && key.revoked_at.is_none()).map(|key| key.secrets))
    }

    async fn stored(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.store.ask(LIMIT, |store| async move { store.keys().await }).await
    }

    /// Makes a change. A running receiver knows of it at once or, where its keys cannot be read now, within two seconds.
    async fn change<T, F>(
        &self,
        change: impl FnOnce(Arc<dyn FleetStore>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let ring = self.ring.clone();
        self.store
            .ask(LIMIT, |store| async move {
                let changed = change(store.clone()).await?;
                if let Some(ring) = ring {
                    let _ = ring.load(&*store).await;
                }
                Ok(changed)
            })
            .await
    }
}
