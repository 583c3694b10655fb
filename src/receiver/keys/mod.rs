//! Webhook keys: who may send. Made here, shown once, kept as SHA-256, compared in constant time (receiver §1).

mod error;
mod info;
mod key;
pub(crate) mod ring;
pub(crate) mod settings;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

pub use error::KeyError;
pub use info::{CreatedKey, KeyInfo};
pub use key::WebhookKey;
pub use settings::{KeyLimits, NewKey};

use super::clock::ReceiverClock;
use super::random::random;
use super::store::{FleetStore, Storage, StoreError, StoredKey};
use super::store_handle::StoreHandle;
use crate::wire::digest::sha256;
use key::KEY_BYTES;
use ring::KeyRing;
use settings::{FORGET_RULE, LONGEST_KEEP, NAME_RULE, RATE_RULE, valid_forget_after, valid_name, valid_rate};

/// Length of a signing secret, as Standard Webhooks recommends.
const SECRET_BYTES: usize = 32;

/// Time limit of a question about keys.
const LIMIT: Duration = Duration::from_secs(30);

fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(random::<SECRET_BYTES>())).into()
}

/// The keys of a store: with or without a running receiver, which learns of a change within two seconds.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use std::time::Duration;
///
/// use deployment_telemetry::receiver::{Keys, NewKey, SqliteFleetStore};
///
/// let keys = Keys::of(SqliteFleetStore::new(file));
/// keys.migrate().await?; // makes the tables, where no receiver has run yet
/// let mut new = NewKey::named("customers");
/// new.signed = true;
/// let created = keys.create(new).await?;
/// println!("POST /webhooks/{}", created.key.expose()); // the only time that it is shown
///
/// // A new signing secret, and a new key in the URL. The ones before stay valid until the change is finished.
/// let secret = keys.add_secret(created.id).await?;
/// let replaced = keys.replace(created.id, Duration::from_secs(7 * 86_400)).await?;
/// assert!(secret.is_some() && replaced.is_some());
/// keys.finish_rotation(created.id).await?;
/// keys.finish_replacement(created.id).await?;
///
/// assert_eq!(keys.list().await?[0].name, "customers");
/// assert!(keys.revoke(created.id).await?);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
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

    /// The same for people, who are also told of a key that is revoked.
    pub(crate) fn shown_name(&self, id: Uuid) -> Option<String> {
        let ring = self.ring.as_ref()?;
        ring.name_of(id).or_else(|| Some(format!("{}, revoked", ring.revoked_name_of(id)?)))
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
