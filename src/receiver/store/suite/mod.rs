//! What both stores must do: one suite that runs against each of them.

/// Makes a test for each store of each of these functions.
macro_rules! suite {
    ($($test:ident)*) => {
        #[cfg(feature = "sqlite")]
        suite! { mod sqlite, SqliteDatabase: $($test)* }
        #[cfg(feature = "postgres")]
        suite! { mod postgres, PostgresDatabase: $($test)* }
        #[cfg(feature = "postgres")]
        suite! { mod shards, ShardedDatabase: $($test)* }
    };
    (mod $name:ident, $database:ident: $($test:ident)*) => {
        mod $name {
            use super::{Database, $database};

            $(
                #[test]
                fn $test() {
                    let database = $database::new();
                    // The runtime and the connections on it end before the database does.
                    super::runtime().block_on(super::$test(&database));
                }
            )*
        }
    };
}

mod arrival;
mod census;
mod changes;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod equality;
mod event_queries;
mod forgetting;
mod imported;
mod ingest;
mod judging;
mod keys;
mod licenses;
mod mending;
pub(super) mod migration;
mod mutes;
mod outages;
mod outbox;
mod ownership;
mod queries;
mod schema;
mod strips;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use Appended::{Before, New, OtherKey, TooManyNew};

/// A database that belongs to one test.
trait Database: Sync {
    fn new() -> Self;

    /// A further store on the database, as another receiver has one.
    fn store(&self) -> Arc<dyn FleetStore>;

    /// Whether a transaction waits for a lock that another one holds.
    fn is_waiting_for_a_lock(&self) -> bool;

    /// Whether the events of a batch may be stored in several transactions, those of one shard after those of another.
    fn is_divided(&self) -> bool {
        false
    }
}

#[cfg(feature = "sqlite")]
struct SqliteDatabase(tempfile::TempDir);

#[cfg(feature = "sqlite")]
impl Database for SqliteDatabase {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Arc<dyn FleetStore> {
        Arc::new(SqliteFleetStore::new(self.0.path().join("fleet.db")))
    }

    /// Nobody holds a lock while an instance is judged.
    fn is_waiting_for_a_lock(&self) -> bool {
        false
    }
}

#[cfg(feature = "postgres")]
struct PostgresDatabase(test_support::TestDatabase);

#[cfg(feature = "postgres")]
impl Database for PostgresDatabase {
    fn new() -> Self {
        let database = test_support::TestDatabase::new();
        database.execute(&format!("alter database {} set search_path = nowhere", database.name()));
        Self(database)
    }

    fn store(&self) -> Arc<dyn FleetStore> {
        Arc::new(PostgresFleetStore::from_url(self.0.url()).unwrap().in_transactions_alone())
    }

    fn is_waiting_for_a_lock(&self) -> bool {
        let sql = "select exists (select from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock')";
        self.0.query_one_text(sql).as_deref() == Some("t")
    }
}

/// Makes any PostgreSQL say, in the tables that Citus has for it, that its tables are distributed into four shards.
#[cfg(feature = "postgres")]
pub(super) const FOUR_SHARDS: &str = "
    create view public.pg_dist_partition as
        select oid::regclass as logicalrelid from pg_class where relname like 'telemetry\\_%';
    create view public.pg_dist_shard as
        select oid::regclass as logicalrelid, lowest::text as shardminvalue
        from pg_class, (values (-2147483648), (-1073741824), (0), (1073741824)) as shard (lowest)
        where relname = 'telemetry_instance'";

/// A database with shards. Where the server has Citus, its tables are distributed; any other one takes the same
/// statements and transactions, on tables that are whole.
#[cfg(feature = "postgres")]
struct ShardedDatabase(PostgresDatabase);

#[cfg(feature = "postgres")]
impl Database for ShardedDatabase {
    fn new() -> Self {
        let database = PostgresDatabase::new();
        let has_citus = "select true from pg_available_extensions where name = 'citus'";
        match database.0.query_one_text(has_citus) {
            Some(_) => {
                database.0.execute("create extension citus");
                runtime().block_on(database.store().distribute(Some(4))).unwrap();
            }
            None => database.0.execute(FOUR_SHARDS),
        }
        Self(database)
    }

    fn store(&self) -> Arc<dyn FleetStore> {
        self.0.store()
    }

    fn is_waiting_for_a_lock(&self) -> bool {
        self.0.is_waiting_for_a_lock()
    }

    fn is_divided(&self) -> bool {
        true
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cfg(feature = "postgres")]
pub(super) const RETENTION: Duration = Duration::from_secs(90 * 86_400);

const DAY: i64 = 86_400;

/// The time that is this many seconds after the beginning of every test.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_608_000 + seconds).unwrap()
}

/// A reading of a clock that counts on every store.
pub(super) fn by(now: Timestamp) -> Reading {
    Reading { at: now, is_given: true, counted: None }
}

fn of(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

async fn started(database: &impl Database) -> Arc<dyn FleetStore> {
    let store = database.store();
    store.migrate().await.unwrap();
    store.make_room(at(0)).await.unwrap();
    store
}

/// An event as a sender makes it. Its run and its number identify it, and are the first half of its id.
pub(super) fn event(instance: u128, run: u128, sequence: i64, seconds: i64, reason: &str) -> NewEvent {
    NewEvent {
        id: Uuid::from_u64_pair(run as u64 * 1_000_000 + sequence as u64, 0),
        instance_id: of(instance),
        run_id: of(run),
        sequence,
        is_numbered: true,
        received_at: at(seconds),
        is_imported: false,
        day: at(seconds).to_zoned(TimeZone::UTC).date(),
        reason: reason.to_owned(),
        frequency: Some(3_600),
        facts: facts("1.0"),
        new_per_hour: None,
        data: format!(r#"{{"reason": "{reason}", "custom_id":"n"}}"#),
    }
}

fn facts(version: &str) -> Facts {
    Facts {
        build_version: version.to_owned(),
        build_commit: "c0ffee".to_owned(),
        build_time: "2026-11-01T00:00:00Z".to_owned(),
        build_mode: "release".to_owned(),
        build_os: "linux".to_owned(),
        build_arch: "amd64".to_owned(),
        license_key_hash: None,
        license_valid: true,
        custom_id: None,
        key_id: of(99),
        product: "example-server".to_owned(),
    }
}

fn stored(event: NewEvent) -> StoredEvent {
    let NewEvent { instance_id, run_id, sequence, received_at, is_imported, frequency, facts, .. } = event;
    let Facts { key_id, product, .. } = facts;
    StoredEvent {
        id: event.id,
        instance_id,
        run_id,
        sequence,
        received_at,
        reason: event.reason,
        frequency,
        key_id,
        product,
        is_imported,
        data: event.data,
    }
}

async fn all_events(store: &Arc<dyn FleetStore>) -> Vec<StoredEvent> {
    store.events(&EventFilter::default(), None, 1_000_000).await.unwrap()
}

async fn all_instances(store: &Arc<dyn FleetStore>) -> Vec<Instance> {
    store.instances(&InstanceFilter::default(), Sort::Worst, None, 10_000).await.unwrap()
}

fn state_change(at: Timestamp, from: Option<State>, to: State) -> Transition {
    let from = from.map(|state| state.as_str().to_owned());
    Transition { at, change: Change::State, from, to: to.as_str().to_owned() }
}

/// A simple judgement: down after an hour of silence, ended after an `end`, otherwise up, with an alert for
/// every change.
fn decided(now: Timestamp, instance: &Instance, runs: &[Run]) -> Judgement {
    let latest = &runs[0];
    let deadline = latest.last_seen_at + SignedDuration::from_hours(1);
    let (state, state_since) = match latest.ended_at {
        Some(ended_at) => (State::Ended, ended_at),
        None if deadline < now => (State::Down, deadline),
        None => (State::Up, latest.first_seen_at),
    };
    let before = instance.judged_at.map(|_| instance.state);
    let is_changed = before != Some(state);
    let transitions: Vec<_> =
        is_changed.then(|| state_change(state_since, before, state)).into_iter().collect();
    Judgement {
        run_id: latest.run_id,
        last_seen_at: latest.last_seen_at,
        state,
        state_since: if is_changed { state_since } else { instance.state_since },
        flags: Flags::default(),
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        lost: Vec::new(),
        frequency: latest.frequency.unwrap_or(86_400),
        facts: latest.facts.clone(),
        check_at: if state == State::Up { deadline + SignedDuration::from_secs(1) } else { at(1_000 * DAY) },
        alerts: transitions.clone(),
        transitions,
    }
}

/// Judges all instances that are due, and returns their ids.
async fn judged(store: &Arc<dyn FleetStore>, now: Timestamp) -> Vec<Uuid> {
    let who = Mutex::new(Vec::new());
    let decide = |instance: &Instance, runs: &[Run]| {
        who.lock().unwrap().push(instance.instance_id);
        decided(now, instance, runs)
    };
    let count = store.judge(now, 1_000, &decide).await.unwrap();
    let mut who = who.into_inner().unwrap();
    assert_eq!(count, who.len());
    who.sort();
    who
}

/// Stores instances as if they had been judged to be these.
async fn instances_that_are(store: &Arc<dyn FleetStore>, all: &[Instance]) {
    let events: Vec<_> = all
        .iter()
        .map(|instance| NewEvent {
            instance_id: instance.instance_id,
            received_at: instance.first_seen_at,
            ..event(0, 1, 1, 0, "begin")
        })
        .collect();
    store.append(&events).await.unwrap();
    let decide = |due: &Instance, runs: &[Run]| {
        let wanted = all.iter().find(|instance| instance.instance_id == due.instance_id).unwrap();
        Judgement {
            state: wanted.state,
            state_since: wanted.state_since,
            flags: wanted.flags,
            frequency: wanted.frequency,
            facts: wanted.facts.clone(),
            ..decided(at(0), due, runs)
        }
    };
    assert_eq!(store.judge(at(DAY), 10_000, &decide).await.unwrap(), all.len());
}

fn instance(id: u128, state: State, since: i64) -> Instance {
    Instance {
        instance_id: of(id),
        first_seen_at: at(0),
        last_seen_at: at(0),
        state,
        state_since: at(since),
        flags: Flags::default(),
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        frequency: 3_600,
        facts: facts("1.0"),
        judged_at: Some(at(DAY)),
    }
}
