//! What the receiver keeps, and the trait of who keeps it (receiver §2).
//!
//! A store holds facts and does what it is told in one transaction. What the facts mean is decided outside, by the pure
//! functions of [`super::judgement`], so that both stores mean the same.

mod ask;
mod merge;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod suite;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

pub(crate) use ask::{on, within};

#[cfg(feature = "postgres")]
pub use postgres::PostgresFleetStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFleetStore;

/// What an instance says of itself with every event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Facts {
    pub(crate) build_version: String,
    pub(crate) build_commit: String,
    pub(crate) build_time: String,
    pub(crate) build_mode: String,
    pub(crate) build_os: String,
    pub(crate) build_arch: String,
    pub(crate) license_key_hash: Option<String>,
    pub(crate) license_valid: bool,
    pub(crate) custom_id: Option<String>,
}

/// An event that was received and found right, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEvent {
    /// Made from the instance and the `webhook-id`, so that the same event has the same id; random where it came without.
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    /// Nil where the `webhook-id` names no run.
    pub(crate) run_id: Uuid,
    /// Rises within a run. Where the `webhook-id` has no number, the microseconds of `received_at`.
    pub(crate) sequence: i64,
    /// Whether `sequence` is the sender's own, so that a lower one than the run's last may have been seen before.
    pub(crate) is_numbered: bool,
    pub(crate) received_at: Timestamp,
    /// The partition: the same for the same event, whenever it is received within a day.
    pub(crate) day: Date,
    pub(crate) reason: String,
    /// `telemetry-frequency`, seconds.
    pub(crate) frequency: Option<i32>,
    pub(crate) facts: Facts,
    /// The payload, byte for byte as it came; JSON in UTF-8 without U+0000.
    pub(crate) data: String,
}

/// A stored event. Its kind is always `usr`, its type `telemetry.custom`, and it is persistent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEvent {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) received_at: Timestamp,
    pub(crate) reason: String,
    pub(crate) frequency: Option<i32>,
    pub(crate) data: String,
}

/// A run of an instance, as the events of it add up, in whatever order they came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    pub(crate) run_id: Uuid,
    /// The first event of it that was received.
    pub(crate) first_seen_at: Timestamp,
    /// The last event of it that was received.
    pub(crate) last_seen_at: Timestamp,
    /// Its `begin` was received.
    pub(crate) begun: bool,
    /// When its `end` was received, if that was its last event.
    pub(crate) ended_at: Option<Timestamp>,
    /// The highest number of its events.
    pub(crate) last_sequence: i64,
    /// `telemetry-frequency` of its latest event that had one, seconds.
    pub(crate) frequency: Option<i32>,
    /// How many updates were received, and the first and last of them.
    pub(crate) updates: i32,
    pub(crate) first_update_at: Option<Timestamp>,
    pub(crate) last_update_at: Option<Timestamp>,
    /// Those of the event with the highest number, and when it was received.
    pub(crate) facts: Facts,
    pub(crate) facts_at: Timestamp,
}

/// What becomes of an instance over time (receiver §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Silent for longer than two frequencies and the grace.
    Down,
    /// Silent for longer than a frequency and the grace.
    Late,
    /// Heard from in time.
    Up,
    /// Its last run said `end`.
    Ended,
}

impl State {
    /// Worst first, as people look at them.
    pub(crate) const ALL: [State; 4] = [State::Down, State::Late, State::Up, State::Ended];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Late => "late",
            State::Up => "up",
            State::Ended => "ended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Its place in [`ALL`](Self::ALL), by which stores keep and order it.
    pub(crate) fn rank(self) -> i16 {
        Self::ALL.iter().position(|state| *state == self).unwrap_or_default() as i16
    }

    pub(crate) fn of_rank(rank: i16) -> Option<Self> {
        usize::try_from(rank).ok().and_then(|rank| Self::ALL.get(rank).copied())
    }
}

/// What besides the state is to be said of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Flags {
    /// Its latest run began and the one before had not ended.
    pub(crate) crashed: bool,
    /// Several runs are alive on one id: replicas, or a clone.
    pub(crate) several_runs: bool,
    /// More than five begins within an hour.
    pub(crate) restarting: bool,
}

/// An instance as it was last judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    pub(crate) instance_id: Uuid,
    pub(crate) first_seen_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) state: State,
    /// Since when it is in that state.
    pub(crate) state_since: Timestamp,
    pub(crate) flags: Flags,
    /// Seconds between two updates, as it is judged by.
    pub(crate) frequency: i32,
    pub(crate) facts: Facts,
    /// `None` before it was judged for the first time; then all but the times of sight are provisional.
    pub(crate) judged_at: Option<Timestamp>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// The state: `up`, `late`, `down`, `ended`.
    State,
    /// The license: `valid`, `invalid`.
    License,
}

impl Change {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Change::State => "state",
            Change::License => "license",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Change::State, Change::License].into_iter().find(|change| change.as_str() == text)
    }
}

/// A change of an instance, and when it became true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Transition {
    pub(crate) at: Timestamp,
    pub(crate) change: Change,
    /// `None` where the instance was seen for the first time.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}

/// What a judgement makes of an instance; the store writes it down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The latest run of those that count.
    pub(crate) run_id: Uuid,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) state: State,
    pub(crate) state_since: Timestamp,
    pub(crate) flags: Flags,
    pub(crate) frequency: i32,
    pub(crate) facts: Facts,
    /// When to look again although nothing was heard.
    pub(crate) check_at: Timestamp,
    /// In the order of time.
    pub(crate) transitions: Vec<Transition>,
    /// Those of them that somebody is told of.
    pub(crate) alerts: Vec<Transition>,
}

/// Decides about an instance from what was last judged of it and its latest runs.
pub(crate) type Decide<'a> = &'a (dyn Fn(&Instance, &[Run]) -> Judgement + Send + Sync);

/// So many runs of an instance are judged by, those that were last heard from, and as many of those that have not ended.
pub(crate) const JUDGED_RUNS: i64 = 32;

/// A run outlives so many of its frequencies, however short the retention: after three it is silent by any count.
const RUN_OUTLIVES: i32 = 3;

/// Seconds between two updates, where neither a header nor experience says it (receiver §3).
pub(crate) const DEFAULT_FREQUENCY: i32 = 24 * 60 * 60;

/// A time in which no receiver took events in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outage {
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// A webhook key as it is kept: what it is compared by, not what it is.
#[derive(Clone)]
pub(crate) struct StoredKey {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// SHA-256 of the key.
    pub(crate) hash: [u8; 32],
    /// SHA-256 of the bearer token that is asked for besides.
    pub(crate) token_hash: Option<[u8; 32]>,
    /// Secrets by which requests are signed, `whsec_…`; two during a rotation.
    pub(crate) secrets: Vec<SecretString>,
    /// Events a second that it may send; any number without.
    pub(crate) rate: Option<i32>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// An alert that waits for its delivery.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) transition: Transition,
    /// Of the instance when it was decided.
    pub(crate) custom_id: Option<String>,
    pub(crate) build_version: String,
}

/// Alerts that are delivered by one request. The same ones at every try, so that the same id has the same content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digest {
    pub(crate) id: Uuid,
    /// Deliveries that were begun, this one included.
    pub(crate) tries: i32,
    pub(crate) alerts: Vec<Alert>,
}

/// The fleet in numbers: how many instances have each combination of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) state: State,
    pub(crate) license_valid: bool,
    pub(crate) flags: Flags,
    /// First seen within a day.
    pub(crate) is_new: bool,
    pub(crate) build_version: String,
    pub(crate) count: i64,
}

/// Which instances are asked for. Every field that is set narrows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InstanceFilter {
    pub(crate) state: Option<State>,
    pub(crate) license_valid: Option<bool>,
    pub(crate) build_version: Option<String>,
    pub(crate) crashed: Option<bool>,
    pub(crate) several_runs: Option<bool>,
    pub(crate) restarting: Option<bool>,
    /// First seen after this.
    pub(crate) first_seen_after: Option<Timestamp>,
    /// A part of the custom id, in any case of its letters, or the beginning of the instance id.
    pub(crate) search: Option<String>,
}

/// After whom a page of instances begins: worst state first, in it the latest change first, then by id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InstanceCursor {
    pub(crate) state: State,
    pub(crate) state_since: Timestamp,
    pub(crate) instance_id: Uuid,
}

/// Which events are asked for. Every field that is set narrows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventFilter {
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) reason: Option<String>,
    /// Received at or after.
    pub(crate) from: Option<Timestamp>,
    /// Received before.
    pub(crate) to: Option<Timestamp>,
}

/// After which a page of events begins: newest first, then by instance and id, falling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EventCursor {
    pub(crate) received_at: Timestamp,
    pub(crate) instance_id: Uuid,
    pub(crate) id: Uuid,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It may be able to later: it is down, it is busy, another transaction was in the way.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It takes others, but one of these not before somebody has mended something.
    #[error("the store cannot take an event yet: {0}")]
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite has no partitions"))]
    NotYet(String),
    /// It will never be: it does not take these values, or it is not what this program expects.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// Keeps a fleet. All of it is safe to be called by any number of receivers at once on one database.
///
/// Dropping a future abandons the call; what it was about to write is then written as a whole or not at all.
#[async_trait]
pub(crate) trait FleetStore: Send + Sync {
    /// In a word or two, for people: `PostgreSQL`, `SQLite`.
    fn kind(&self) -> &'static str;

    /// So many calls of [`append`](Self::append) at a time are worth it.
    fn writers(&self) -> usize;

    /// Makes the tables where they are missing and brings those of an earlier version up to this one.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Makes what events of the days around `now` need, such as partitions.
    async fn make_room(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Forgets what is older than `retention`: events, transitions and delivered alerts; instances that were down or had
    /// ended before that; and runs that are none of an instance's latest and have fallen silent.
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError>;

    /// Stores events, durably, each as a whole or not at all. Answers for each, in their order, whether it is new; one that was there
    /// changes nothing. An instance whose state may have changed by them is due to be judged.
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<bool>, StoreError>;

    /// Judges up to `limit` instances that are due at `now`, in one transaction. Says how many there were; fewer than
    /// `limit` means that none is left that another receiver is not at.
    async fn judge(&self, now: Timestamp, limit: i64, decide: Decide<'_>) -> Result<usize, StoreError>;

    /// Notes that a receiver is at work at `now`; fails where an event could not be stored. Where the last note, of whichever receiver, is older than
    /// `outage_after`, the time between was an outage. Returns the outages that are remembered, oldest first, those of
    /// the last 60 days.
    async fn mark(&self, now: Timestamp, outage_after: Duration) -> Result<Vec<Outage>, StoreError>;

    /// All keys, the revoked ones included, oldest first.
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;

    /// Adds a key. Names of keys that are not revoked are unique: says whether this one was free.
    async fn add_key(&self, key: &StoredKey) -> Result<bool, StoreError>;

    /// Revokes a key. Says whether there was one that was not revoked.
    async fn revoke_key(&self, id: Uuid, now: Timestamp) -> Result<bool, StoreError>;

    /// Replaces the secrets of a key. Says whether there is one that is not revoked and has those from `before`.
    async fn set_key_secrets(
        &self,
        id: Uuid,
        before: &[SecretString],
        secrets: &[SecretString],
    ) -> Result<bool, StoreError>;

    /// Notes when keys were last used; never moves one back.
    async fn touch_keys(&self, used: &[(Uuid, Timestamp)]) -> Result<(), StoreError>;

    /// Takes a digest that is due at `now`: one whose earlier tries failed or whose deliverer died, else a new one of
    /// up to `limit` alerts that are in none yet. It is due again at `next_try` unless it is delivered by then, so that
    /// no other receiver delivers it meanwhile.
    async fn take_digest(
        &self,
        now: Timestamp,
        next_try: &(dyn Fn(i32) -> Timestamp + Send + Sync),
        limit: i64,
    ) -> Result<Option<Digest>, StoreError>;

    /// A digest has arrived: its alerts wait no longer.
    async fn digest_delivered(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError>;

    /// How many alerts are not delivered yet.
    async fn waiting_alerts(&self) -> Result<i64, StoreError>;

    /// The fleet in numbers.
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError>;

    /// Up to `limit` instances, in the order of [`InstanceCursor`].
    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError>;

    /// One instance.
    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError>;

    /// Its last `limit` runs, the last heard from first.
    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError>;

    /// Its last `limit` changes, the latest first.
    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError>;

    /// Up to `limit` events, in the order of [`EventCursor`].
    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// One event.
    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError>;

    /// Deletes an event; what was concluded from it stays. Says whether there was one.
    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError>;
}
