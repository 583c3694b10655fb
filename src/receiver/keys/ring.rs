//! The keys that are valid now, in memory, for every request to the webhook.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::key::WebhookKey;
use crate::receiver::store::{FleetStore, HOST_KEY, HOST_KEY_NAME, NEW_WITHIN, StoreError, StoredKey};
use crate::wire::digest::sha256;
use crate::wire::signature::SigningSecret;

/// A request's signature may be so far off by the clock, in seconds (Standard Webhooks).
const CLOCK_TOLERANCE: i64 = 5 * 60;

/// Microseconds after which an unknown key is looked for in the store again: it may be new.
const LOOK_AGAIN_AFTER: i64 = 1_000_000;

/// A key in use.
pub(crate) struct ActiveKey {
    /// [`HOST_KEY`] for a key of the host, which no store has.
    pub(crate) id: Uuid,
    pub(crate) name: String,
    hash: [u8; 32],
    /// The hash before the last change of the key, and until when it is valid.
    old_hash: Option<([u8; 32], Timestamp)>,
    token_hash: Option<[u8; 32]>,
    secrets: Vec<SigningSecret>,
    rate: Option<f64>,
    pub(crate) takes_any_frequency: bool,
    pub(crate) new_per_hour: Option<i32>,
    /// Number of events that may be sent at once, and since when.
    allowance: Mutex<(f64, Timestamp)>,
    /// Microseconds; 0 where it was not used.
    last_used: AtomicI64,
    /// The `last_used` that the store has.
    stored_last_used: AtomicI64,
    /// When new instances were last refused, in microseconds; 0 where none was.
    flooded_at: AtomicI64,
}

impl fmt::Debug for ActiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveKey {
    pub(crate) fn of_host(key: &WebhookKey) -> Self {
        Self {
            id: HOST_KEY,
            name: HOST_KEY_NAME.to_owned(),
            hash: key.hash(),
            old_hash: None,
            token_hash: None,
            secrets: Vec::new(),
            rate: None,
            takes_any_frequency: true,
            new_per_hour: None,
            allowance: Mutex::new((0.0, Timestamp::UNIX_EPOCH)),
            last_used: AtomicI64::new(0),
            stored_last_used: AtomicI64::new(0),
            flooded_at: AtomicI64::new(0),
        }
    }

    /// The key as a store has it.
    pub(crate) fn of(key: &StoredKey) -> Self {
        let last_used = key.last_used_at.map_or(0, Timestamp::as_microsecond);
        Self {
            id: key.id,
            name: key.name.clone(),
            hash: key.hash,
            old_hash: key.old_hash,
            token_hash: key.token_hash,
            secrets: key
                .secrets
                .iter()
                .filter_map(|secret| SigningSecret::parse(secret.expose_secret()).ok())
                .collect(),
            rate: key.rate.map(f64::from),
            takes_any_frequency: key.takes_any_frequency,
            new_per_hour: key.new_per_hour,
            allowance: Mutex::new((key.rate.map_or(0.0, f64::from), Timestamp::UNIX_EPOCH)),
            last_used: AtomicI64::new(last_used),
            stored_last_used: AtomicI64::new(last_used),
            flooded_at: AtomicI64::new(0),
        }
    }

    /// Takes one event of what the rate allows at `now`: a second's worth at once, then as it comes in again.
    pub(crate) fn takes_one(&self, now: Timestamp) -> bool {
        let Some(rate) = self.rate else { return true };
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *allowance;
        let gained = now.duration_since(since).as_secs_f64().max(0.0) * rate;
        let left = (left + gained).min(rate);
        *allowance = (if left >= 1.0 { left - 1.0 } else { left }, now);
        left >= 1.0
    }

    /// Whether the bearer token, where one is asked for, is the right one.
    pub(crate) fn accepts_authorization(&self, authorization: Option<&str>) -> bool {
        let Some(expected) = &self.token_hash else { return true };
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        sha256(token).ct_eq(expected).into()
    }

    /// Whether the signature, where one is asked for, is right and fresh.
    pub(crate) fn accepts_signature(
        &self,
        id: Option<&str>,
        timestamp: Option<i64>,
        signatures: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        if self.secrets.is_empty() {
            return true;
        }
        let (Some(id), Some(timestamp), Some(signatures)) = (id, timestamp, signatures) else { return false };
        let is_fresh = now.as_second().abs_diff(timestamp) <= CLOCK_TOLERANCE.unsigned_abs();
        is_fresh && self.secrets.iter().any(|secret| secret.verifies(id, timestamp, body, signatures))
    }

    /// Whether `hash` is that of the key at `now`. Every hash is compared, whichever it is.
    fn has_hash(&self, hash: &[u8; 32], now: Timestamp) -> bool {
        let is_now = self.hash.ct_eq(hash);
        let (old, until) = self.old_hash.unwrap_or((self.hash, Timestamp::MIN));
        (is_now | (old.ct_eq(hash) & subtle::Choice::from(u8::from(now < until)))).into()
    }

    /// Notes that new instances were refused at `now`. Returns whether none were within the hour before, as far as this
    /// process knows.
    pub(crate) fn is_first_flood(&self, now: Timestamp) -> bool {
        let before = self.flooded_at.load(Ordering::Relaxed);
        let now = now.as_microsecond();
        let is_over = before == 0 || now.abs_diff(before) > NEW_WITHIN.as_micros() as u64;
        is_over && self.flooded_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Notes the use, also where the clock was ahead at the last one.
    pub(crate) fn used(&self, now: Timestamp) {
        self.last_used.store(now.as_microsecond(), Ordering::Relaxed);
    }
}

/// The keys of the host, and those of the store as they were last read.
#[derive(Default)]
pub(crate) struct KeyRing {
    of_host: Vec<Arc<ActiveKey>>,
    /// `None` before they were read for the first time.
    stored: RwLock<Option<Arc<Vec<Arc<ActiveKey>>>>>,
    /// Names of those that are revoked.
    revoked: RwLock<HashMap<Uuid, String>>,
    /// When an unknown key was last looked for in the store, in microseconds.
    looked_at: AtomicI64,
}

/// The result of looking for a key.
pub(crate) enum Found {
    Key(Arc<ActiveKey>),
    /// There is no such key, as far as is known; the store may know better by now.
    NotYet,
    /// There is no such key.
    No,
}

impl KeyRing {
    pub(crate) fn new<'a>(of_host: impl Iterator<Item = &'a WebhookKey>) -> Self {
        Self { of_host: of_host.map(|key| Arc::new(ActiveKey::of_host(key))).collect(), ..Self::default() }
    }

    /// Looks for the key `text`. All are compared, whichever it is.
    pub(crate) fn find(&self, text: &str, now: Timestamp) -> Found {
        let hash = sha256(text);
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = None;
        for key in self.of_host.iter().chain(stored.iter().flat_map(|keys| keys.iter())) {
            if key.has_hash(&hash, now) {
                found = Some(key.clone());
            }
        }
        if let Some(key) = found {
            return Found::Key(key);
        }
        let (now, looked_at) = (now.as_microsecond(), self.looked_at.load(Ordering::Relaxed));
        let may_look = now.abs_diff(looked_at) > LOOK_AGAIN_AFTER.unsigned_abs();
        let looks = may_look
            && self.looked_at.compare_exchange(looked_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // Before the keys were read it is not known that there is none, however many requests ask at once.
        if looks || stored.is_none() { Found::NotYet } else { Found::No }
    }

    /// The name of the key in use with this id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<String> {
        if id == HOST_KEY {
            return Some(HOST_KEY_NAME.to_owned());
        }
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        stored.iter().find(|key| key.id == id).map(|key| key.name.clone())
    }

    /// The name of the revoked key with this id.
    pub(crate) fn revoked_name_of(&self, id: Uuid) -> Option<String> {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Reads the keys of the store. What is unchanged keeps its allowance.
    pub(crate) async fn load(&self, store: &dyn FleetStore) -> Result<(), StoreError> {
        let keys = store.keys().await?;
        let revoked = keys.iter().filter(|key| key.revoked_at.is_some());
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) =
            revoked.map(|key| (key.id, key.name.clone())).collect();
        let mut stored = self.stored.write().unwrap_or_else(PoisonError::into_inner);
        let before = stored.take().unwrap_or_default();
        let active = keys.iter().filter(|key| key.revoked_at.is_none()).map(|key| {
            let is_same = |known: &&Arc<ActiveKey>| {
                known.id == key.id && known.secrets.len() == key.secrets.len() && known.is_by(key)
            };
            before.iter().find(is_same).cloned().unwrap_or_else(|| Arc::new(ActiveKey::of(key)))
        });
        *stored = Some(Arc::new(active.collect()));
        Ok(())
    }

    /// Writes to the store when its keys were last used, where that is news.
    pub(crate) async fn note_use(&self, store: &dyn FleetStore) -> Result<(), StoreError> {
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        let news: Vec<(&Arc<ActiveKey>, Uuid, i64)> = stored
            .iter()
            .map(|key| (key, key.id, key.last_used.load(Ordering::Relaxed)))
            .filter(|(key, _, last_used)| *last_used != key.stored_last_used.load(Ordering::Relaxed))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let used: Vec<(Uuid, Timestamp)> = news
            .iter()
            .filter_map(|(_, id, last_used)| Some((*id, Timestamp::from_microsecond(*last_used).ok()?)))
            .collect();
        store.touch_keys(&used).await?;
        news.iter().for_each(|(key, _, last_used)| key.stored_last_used.store(*last_used, Ordering::Relaxed));
        Ok(())
    }
}

impl ActiveKey {
    /// Whether it still is what the store has: the hashes, the secrets and the limits are all of a key that ever
    /// changes.
    fn is_by(&self, key: &StoredKey) -> bool {
        let limits = (self.takes_any_frequency, self.new_per_hour);
        if (self.hash, self.old_hash, limits)
            != (key.hash, key.old_hash, (key.takes_any_frequency, key.new_per_hour))
        {
            return false;
        }
        let probe = |secret: &SigningSecret| secret.sign("", 0, b"");
        let stored =
            key.secrets.iter().filter_map(|secret| SigningSecret::parse(secret.expose_secret()).ok());
        self.secrets.iter().map(probe).eq(stored.map(|secret| probe(&secret)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Found, KeyRing};

    #[test]
    fn before_the_keys_were_read_no_key_is_unknown_however_many_requests_ask_at_once() {
        let ring = KeyRing::default();
        let ask = || {
            for second in 0..10_000 {
                let now = Timestamp::from_second(second).unwrap();
                assert!(matches!(ring.find("any", now), Found::NotYet));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(ask);
            }
        });
    }
}
