//! Webhook keys: who may send. Made here, shown once, kept as SHA-256, compared in constant time (receiver §1).

mod key;
pub(crate) mod ring;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

pub use key::WebhookKey;

use super::clock::ReceiverClock;
use super::store::{FleetStore, Storage, StoreError, StoredKey};
use super::store_handle::StoreHandle;
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

/// Number of new instances an hour of a key, where nothing else is set.
const NEW_PER_HOUR: i32 = 1_000;

/// What the number of new instances accepts, for people.
pub(crate) const NEW_PER_HOUR_RULE: &str =
    "a whole number of new instances an hour, 1 to 2147483647, or null for any";

/// Longest time for which a key stays valid after it was replaced, in hours.
const LONGEST_KEEP: u32 = 31 * 24;

/// That time where nothing else is asked for: a week, in which every sender is set to the new key.
pub(crate) const USUAL_KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What that time accepts, for people.
pub(crate) const KEEP_RULE: &str = "a whole number of hours, 0 to 744";

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

/// The time for which a key stays valid after it was replaced, where it can be used: see [`KEEP_RULE`].
pub(crate) fn valid_keep(hours: i64) -> Option<Duration> {
    let hours = u32::try_from(hours).ok().filter(|hours| *hours <= LONGEST_KEEP)?;
    Some(Duration::from_secs(u64::from(hours) * 60 * 60))
}

fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(random::<SECRET_BYTES>())).into()
}

/// The settings of a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Its limits.
    pub limits: KeyLimits,
}

/// What may be sent with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyLimits {
    /// Number of instances that may be reported for the first time within an hour, at least 1; any number without. 1,000
    /// unless set, so that a leaked key cannot fill the fleet. Without a limit, a key can serve every customer of a vendor.
    pub new_per_hour: Option<i32>,
    /// Whether `telemetry-frequency` may be anything from a second to 31 days, as simulations need it, and not only from an
    /// hour to two days, as senders have it.
    pub any_frequency: bool,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { new_per_hour: Some(NEW_PER_HOUR), any_frequency: false }
    }
}

impl KeyLimits {
    fn check(self) -> Result<(), KeyError> {
        match self.new_per_hour {
            Some(number) if number < 1 => Err(KeyError::Unusable("new_per_hour", NEW_PER_HOUR_RULE)),
            _ => Ok(()),
        }
    }
}

impl NewKey {
    /// A key of this name, without a rate, a secret or a token, and with the limits that are usual.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rate: None,
            signed: false,
            token: false,
            forget_after: None,
            limits: KeyLimits::default(),
        }
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
    clock: ReceiverClock,
    /// The keys of the receiver, where one is running.
    ring: Option<Arc<KeyRing>>,
}

impl Keys {
    /// The keys of `store`. Every call is to be awaited in a tokio runtime.
    pub fn of(store: impl Into<Storage>) -> Self {
        Self {
            store: StoreHandle::alone(store.into().0),
            clock: ReceiverClock::of_receiver(false),
            ring: None,
        }
    }

    pub(crate) fn of_receiver(store: StoreHandle, clock: ReceiverClock, ring: Arc<KeyRing>) -> Self {
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
        new.limits.check()?;
        let key = WebhookKey::generate();
        let secret = new.signed.then(new_secret);
        let token: Option<SecretString> =
            new.token.then(|| URL_SAFE_NO_PAD.encode(random::<KEY_BYTES>()).into());
        let stored = StoredKey {
            id: Uuid::new_v4(),
            name: name.clone(),
            hash: key.hash(),
            old_hash: None,
            token_hash: token.as_ref().map(|token| sha256(token.expose_secret())),
            secrets: secret.clone().into_iter().collect(),
            rate: new.rate,
            forget_after: new.forget_after,
            takes_any_frequency: new.limits.any_frequency,
            new_per_hour: new.limits.new_per_hour,
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

    /// The name of a key in use, as a running receiver knows it.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<String> {
        self.ring.as_ref()?.name_of(id)
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

    /// Replaces the key in the URL by a new one, and keeps its name, its instances and all else. The key before stays valid
    /// for `keep`, at most 31 days; one that was replaced earlier and still was valid no longer is. `None` where there is no
    /// such key in use.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn replace(&self, id: Uuid, keep: Duration) -> Result<Option<WebhookKey>, KeyError> {
        let key = WebhookKey::generate();
        let until = self
            .clock
            .timestamp()
            .saturating_add(keep.min(Duration::from_secs(u64::from(LONGEST_KEEP) * 60 * 60)))
            .unwrap_or(Timestamp::MAX);
        let hash = key.hash();
        let is_there =
            self.change(move |store| async move { store.change_key(id, hash, until).await }).await?;
        Ok(is_there.then_some(key))
    }

    /// Ends the validity of the key before the last [`replace`](Self::replace). Says whether there is such a key in use.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn finish_replacement(&self, id: Uuid) -> Result<bool, KeyError> {
        Ok(self.change(move |store| async move { store.end_old_key(id).await }).await?)
    }

    /// Changes the limits of a key. Says whether there is such a key in use.
    ///
    /// # Errors
    /// A limit cannot be used, or the store does not answer.
    pub async fn set_limits(&self, id: Uuid, limits: KeyLimits) -> Result<bool, KeyError> {
        limits.check()?;
        let KeyLimits { new_per_hour, any_frequency } = limits;
        let set = self
            .change(move |store| async move { store.set_key_limits(id, any_frequency, new_per_hour).await });
        Ok(set.await?)
    }

    /// Gives an instance to another key: the events of the key that owned it are refused from then on. Says whether there is
    /// such an instance, and such a key in use.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn move_instance(&self, instance_id: Uuid, key_id: Uuid) -> Result<bool, KeyError> {
        let now = self.clock.timestamp();
        let moved =
            self.change(move |store| async move { store.move_instance(instance_id, key_id, now).await });
        Ok(moved.await?)
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
