//! The settings of a key, and what they accept.

use std::time::Duration;

use super::error::KeyError;

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
pub(super) const LONGEST_KEEP: u32 = 31 * 24;

/// That time where nothing else is asked for: a week, in which every sender is set to the new key.
pub(crate) const USUAL_KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What that time accepts, for people.
pub(crate) const KEEP_RULE: &str = "a whole number of hours, 0 to 744";

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

/// The settings of a new key.
///
/// ```
/// use deployment_telemetry::receiver::NewKey;
///
/// let mut new = NewKey::named("customers");
/// new.rate = Some(50); // events a second
/// new.token = true; // senders need a bearer token besides the key
/// new.forget_after = Some(24); // hours
/// ```
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
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use deployment_telemetry::receiver::{KeyLimits, Keys, NewKey, SqliteFleetStore};
///
/// let keys = Keys::of(SqliteFleetStore::new(file));
/// keys.migrate().await?;
/// let created = keys.create(NewKey::named("customers")).await?;
/// let mut limits = KeyLimits::default();
/// assert_eq!(limits.new_per_hour, Some(1_000));
/// limits.new_per_hour = Some(50);
/// assert!(keys.set_limits(created.id, limits).await?);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
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
    pub(super) fn check(self) -> Result<(), KeyError> {
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
