//! What an operator does with a store and its instances, with or without a running receiver: forget them, mute them, and
//! distribute the tables.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::clock::ReceiverClock;
use super::forgetting;
use super::query::instances::InstanceQuery;
use super::store::{Doomed, FleetStore, Mute, Muted, Storage, StoreError};
use super::store_handle::StoreHandle;

/// Time limit of a question.
const LIMIT: Duration = Duration::from_secs(30);

/// Time limit of distributing the tables, in which everything that is stored moves.
const DISTRIBUTION_LIMIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Shortest and longest time for which something is muted, in seconds: a minute to a year.
const MUTED_FOR: std::ops::RangeInclusive<i64> = 60..=366 * 24 * 60 * 60;

/// What the time of a mute accepts, for people.
pub(crate) const MUTED_FOR_RULE: &str = "a whole number of seconds, 60 to 31622400, which is 366 days";

/// Longest reason of a mute, in characters.
const LONGEST_REASON: usize = 200;

/// What the reason of a mute accepts, for people.
pub(crate) const REASON_RULE: &str = "1 to 200 characters without control characters, not only blanks";

/// Longest filter of a mute, in bytes.
const LONGEST_FILTER: usize = 1_000;

/// What the filter of a mute accepts, for people.
pub(crate) const FILTER_RULE: &str = "a query of api/instances that is not empty, such as state=down&version=1.0; that of a mute has no flag=muted";

/// The reason without blanks around it, where it can be used: see [`REASON_RULE`].
pub(crate) fn valid_reason(text: &str) -> Option<String> {
    let reason = text.trim();
    let is_valid = (1..=LONGEST_REASON).contains(&reason.chars().count()) && !text.contains(char::is_control);
    is_valid.then(|| reason.to_owned())
}

/// The time, where something can be muted for so long: see [`MUTED_FOR_RULE`].
pub(crate) fn valid_time(seconds: i64) -> Option<Duration> {
    MUTED_FOR.contains(&seconds).then(|| Duration::from_secs(seconds.unsigned_abs()))
}

/// The filter as it is kept, where it can be used: see [`FILTER_RULE`].
pub(crate) fn valid_filter(query: &str) -> Option<String> {
    let asked = InstanceQuery::read_filter(query).ok().filter(|asked| !asked.is_about_mutes())?;
    Some(asked.to_filter()).filter(|filter| (1..=LONGEST_FILTER).contains(&filter.len()))
}

/// A selection of instances.
///
/// ```
/// use deployment_telemetry::receiver::Selection;
///
/// // As the query of `api/instances`.
/// let old_and_silent = Selection::Filter("state=down&older-than=2.0".to_owned());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// One instance.
    Instance(Uuid),
    /// The instances of a key, by its id.
    Key(Uuid),
    /// The instances that match a filter, which is written as the query of `api/instances`: `state=down&version=1.0`.
    Filter(String),
    /// Every instance.
    All,
}

/// A mute to be made: until its end, nobody is told of what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewMute {
    /// What it is about: anything but [`Selection::All`].
    pub of: Selection,
    /// For how long, a minute to a year.
    pub lasts: Duration,
    /// Why, for people: 1 to 200 characters without control characters.
    pub reason: String,
}

impl NewMute {
    /// A mute of these instances for this time and reason.
    pub fn new(of: Selection, lasts: Duration, reason: impl Into<String>) -> Self {
        Self { of, lasts, reason: reason.into() }
    }
}

/// A mute in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MuteInfo {
    /// The id by which it is removed.
    pub id: Uuid,
    /// What it is about.
    pub of: Selection,
    /// Why.
    pub reason: String,
    /// When it ends, or ended.
    pub until: SystemTime,
    /// When it was made.
    pub created_at: SystemTime,
}

impl From<&Mute> for MuteInfo {
    fn from(mute: &Mute) -> Self {
        let of = match &mute.of {
            Muted::Instance(id) => Selection::Instance(*id),
            Muted::Key(id) => Selection::Key(*id),
            Muted::Filter(query) => Selection::Filter(query.clone()),
        };
        Self {
            id: mute.id,
            of,
            reason: mute.reason.clone(),
            until: mute.until.into(),
            created_at: mute.created_at.into(),
        }
    }
}

/// Why nothing was forgotten or muted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// What was given cannot be used: which part of it, and what it accepts.
    #[error("{0} accepts {1}")]
    Unusable(&'static str, &'static str),
    /// The filter cannot be used, and why.
    #[error("the filter cannot be used: {0}")]
    Filter(String),
    /// There are too many mutes.
    #[error("there are 1000 mutes that have not ended; remove some of them, or mute by a filter")]
    TooManyMutes,
    /// The store does not answer or refuses. The source is the error of the database, where it returned one.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// The mute as it is kept, where it can be used.
fn prepare(new: NewMute, created_at: Timestamp) -> Result<Mute, OperatorError> {
    let of = match new.of {
        Selection::Instance(id) => Muted::Instance(id),
        Selection::Key(id) => Muted::Key(id),
        Selection::Filter(query) => {
            Muted::Filter(valid_filter(&query).ok_or(OperatorError::Unusable("the filter", FILTER_RULE))?)
        }
        Selection::All => {
            return Err(OperatorError::Unusable("a mute", "an instance, a key or a filter"));
        }
    };
    let reason = valid_reason(&new.reason).ok_or(OperatorError::Unusable("the reason", REASON_RULE))?;
    let lasts = i64::try_from(new.lasts.as_secs()).ok().and_then(valid_time);
    let lasts = lasts.ok_or(OperatorError::Unusable("the time", MUTED_FOR_RULE))?;
    let lasts = SignedDuration::try_from(lasts).unwrap_or_default();
    let until = created_at.checked_add(lasts).unwrap_or(Timestamp::MAX);
    Ok(Mute { id: Uuid::new_v4(), of, reason, until, created_at })
}

/// Forgets, mutes and moves instances of a store. A running receiver goes by a change of the mutes within a second.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use std::time::Duration;
///
/// use deployment_telemetry::receiver::{Keys, NewMute, Operator, Selection, SqliteFleetStore, Storage};
/// # use deployment_telemetry::Uuid;
///
/// let store = Storage::from(SqliteFleetStore::new(file));
/// Keys::of(store.clone()).migrate().await?;
/// let operator = Operator::of(store);
///
/// let old = Selection::Filter("state=down&version=1.0".to_owned());
/// let muted = operator.mute(NewMute::new(old.clone(), Duration::from_secs(7_200), "power cut")).await?;
/// assert_eq!(operator.mutes().await?[0].reason, "power cut");
/// assert!(operator.unmute(muted.id).await?);
///
/// if operator.count(&old).await? < 100 {
///     operator.forget(&old, false).await?;
/// }
/// # let (instance, key) = (Uuid::from_u128(1), Uuid::from_u128(2));
/// let is_moved = operator.move_instance(instance, key).await?; // events of its key before are refused from then on
/// # assert!(!is_moved);
///
/// // SQLite is one file: only the tables of a PostgreSQL with Citus are distributed.
/// assert!(operator.distribute(Some(8)).await.is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Operator {
    store: StoreHandle,
    clock: ReceiverClock,
}

impl Operator {
    /// The operator of `store`. Every call is to be awaited in a tokio runtime.
    pub fn of(store: impl Into<Storage>) -> Self {
        Self { store: StoreHandle::alone(store.into().0), clock: ReceiverClock::of_receiver(false) }
    }

    pub(crate) fn of_receiver(store: StoreHandle, clock: ReceiverClock) -> Self {
        Self { store, clock }
    }

    /// Number of instances that [`forget`](Self::forget) would forget now.
    ///
    /// # Errors
    /// The filter cannot be used, or the store does not answer.
    pub async fn count(&self, which: &Selection) -> Result<u64, OperatorError> {
        Ok(forgetting::count(&self.store, &self.clock, &self.doomed(which).await?).await?)
    }

    /// Forgets instances, and returns their number: with their runs and changes, and with their events where
    /// `with_events` says so; else these stay until they are too old. One that is heard from again comes back as new.
    ///
    /// # Errors
    /// The filter cannot be used, or the store does not answer. Some may be forgotten by then.
    pub async fn forget(&self, which: &Selection, with_events: bool) -> Result<u64, OperatorError> {
        let doomed = self.doomed(which).await?;
        Ok(forgetting::forget(&self.store, &self.clock, &doomed, with_events, None).await?.count)
    }

    async fn doomed(&self, which: &Selection) -> Result<Doomed, OperatorError> {
        Ok(match which {
            Selection::Instance(id) => Doomed::One(*id),
            Selection::Key(id) => Doomed::OfKey(*id),
            Selection::All => Doomed::Matching(Box::default()),
            Selection::Filter(query) => {
                let asked = InstanceQuery::read_filter(query)
                    .map_err(|problem| OperatorError::Filter(problem.to_string()))?;
                if asked.to_filter().is_empty() {
                    return Err(OperatorError::Unusable("the filter", FILTER_RULE));
                }
                let now = self.clock.timestamp();
                let filter = |store: Arc<dyn FleetStore>| async move { asked.filter_for(&*store, now).await };
                Doomed::Matching(Box::new(self.store.ask(LIMIT, filter).await?))
            }
        })
    }

    /// Gives an instance to another key: the events of the key that owned it are refused from then on. Says whether there is
    /// such an instance, and such a key in use.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn move_instance(&self, instance_id: Uuid, key_id: Uuid) -> Result<bool, OperatorError> {
        let now = self.clock.timestamp();
        let moved = self
            .store
            .ask(LIMIT, move |store| async move { store.move_instance(instance_id, key_id, now).await });
        Ok(moved.await?)
    }

    /// Makes the tables, and distributes those that grow with the fleet over the nodes of a PostgreSQL with the extension
    /// Citus: by instance, into `shards`, or as many as Citus is set to make (32 by default). A table that is distributed
    /// stays as it is. Existing rows move to their shards. No receiver may run meanwhile.
    ///
    /// # Errors
    /// The store is none that can be distributed, or does not answer.
    pub async fn distribute(&self, shards: Option<u32>) -> Result<(), OperatorError> {
        let distribute = |store: Arc<dyn FleetStore>| async move { store.distribute(shards).await };
        Ok(self.store.ask(DISTRIBUTION_LIMIT, distribute).await?)
    }

    /// The mutes, those included that ended within the last week, the last to end first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn mutes(&self) -> Result<Vec<MuteInfo>, OperatorError> {
        let mutes = self.store.ask(LIMIT, |store| async move { store.mutes().await }).await?;
        Ok(mutes.iter().map(MuteInfo::from).collect())
    }

    /// Mutes instances: they are judged as ever, and nobody is told. Who is down when the mute ends is told then.
    ///
    /// # Errors
    /// Something of the mute cannot be used, there are too many mutes, or the store does not answer.
    pub async fn mute(&self, new: NewMute) -> Result<MuteInfo, OperatorError> {
        let mute = prepare(new, self.clock.timestamp())?;
        let info = MuteInfo::from(&mute);
        let added = self.store.ask(LIMIT, |store| async move { store.add_mutes(&[mute]).await });
        added.await?.then_some(info).ok_or(OperatorError::TooManyMutes)
    }

    /// Makes all of these mutes, or none.
    pub(crate) async fn mute_all(&self, new: Vec<NewMute>) -> Result<(), OperatorError> {
        let created_at = self.clock.timestamp();
        let mutes = new.into_iter().map(|new| prepare(new, created_at)).collect::<Result<Vec<_>, _>>()?;
        let added = self.store.ask(LIMIT, |store| async move { store.add_mutes(&mutes).await });
        added.await?.then_some(()).ok_or(OperatorError::TooManyMutes)
    }

    /// Ends a mute. Says whether there was one of this id.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unmute(&self, id: Uuid) -> Result<bool, OperatorError> {
        Ok(self.store.ask(LIMIT, move |store| async move { store.remove_mute(id).await }).await?)
    }
}
