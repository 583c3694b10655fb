//! Whether statements stay on one shard, as a stock PostgreSQL tells: a store that believes its tables to be distributed
//! runs, and each statement that it prepares is planned on tables that are partitioned by the hash of the instance's id,
//! for instances of one partition.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Once};
use std::time::Duration;

use jiff::Timestamp;
use log::{LevelFilter, Log, Metadata, Record};
use postgres::{Client, NoTls, SimpleQueryMessage};
use test_support::TestDatabase;
use uuid::Uuid;

use super::distribution::GROWING;
use crate::receiver::judging::judgement::decide;
use crate::receiver::store::suite::{FOUR_SHARDS, RETENTION, at, by, event, runtime};
use crate::receiver::store::{
    Appended, Doomed, FleetStore, Instance, InstanceFilter, Mute, Muted, NewEvent, PostgresFleetStore, Run,
    StoredKey,
};

/// How the statements begin that read all shards although events or judgements are written: who is due, how many
/// instances a key reported for the first time, and which instances had the run of a new one. None of them locks.
const ON_ALL_SHARDS: [&str; 3] = [
    "select instance_id from telemetry_instance where check_at <= $1 order by",
    "select owner_id, count(*) from telemetry_instance",
    "select run_id, key_id, instance_id from telemetry_run",
];

thread_local! {
    /// The statements that this thread prepared, where they are recorded.
    static PREPARED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

/// Takes the statements from what tokio-postgres logs.
struct Recorder;

impl Log for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio_postgres::prepare") && PREPARED.with_borrow(Option::is_some)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let (_, sql) = text.split_once(": ").unwrap_or_else(|| panic!("it names no statement: {text}"));
        PREPARED.with_borrow_mut(|prepared| {
            let words: Vec<&str> = sql.split_whitespace().collect();
            prepared.iter_mut().for_each(|all| _ = all.insert(words.join(" ")));
        });
    }

    fn flush(&self) {}
}

/// The statements that `work` prepares on this thread.
fn prepared_by(work: impl FnOnce()) -> BTreeSet<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&Recorder).expect("nothing else takes what is logged");
        log::set_max_level(LevelFilter::Debug);
    });
    PREPARED.set(Some(BTreeSet::new()));
    work();
    PREPARED.take().expect("they were recorded")
}

/// The tables of the schema, divided into four partitions, and instances of one of them.
struct Divided {
    client: Client,
    ids: Vec<String>,
    _database: TestDatabase,
}

impl Divided {
    fn new() -> Self {
        let database = TestDatabase::new();
        let store = PostgresFleetStore::from_url(database.url()).unwrap();
        runtime().block_on(crate::receiver::store::Schema::migrate(&store)).unwrap();
        for table in GROWING {
            database.execute(&format!(
                "create table divided (like {table} including all) partition by hash (instance_id);
                 drop table {table};
                 alter table divided rename to {table}"
            ));
            for part in 0..4 {
                database.execute(&format!(
                    "create table {table}_part_{part} partition of {table}
                         for values with (modulus 4, remainder {part})"
                ));
            }
        }
        let mut client = Client::connect(database.url(), NoTls).unwrap();
        client.batch_execute("set plan_cache_mode = force_custom_plan; set enable_seqscan = off").unwrap();
        let ids = "select id::text from (select gen_random_uuid() as id from generate_series(1, 100)) as all_of_them
                   where satisfies_hash_partition('telemetry_instance'::regclass, 4, 1, id) limit 3";
        let ids = client.query(ids, &[]).unwrap().iter().map(|row| row.get(0)).collect();
        Self { client, ids, _database: database }
    }

    /// The partitions that a statement reads for instances of one of them.
    fn partitions_of(&mut self, sql: &str) -> BTreeSet<String> {
        let client = &mut self.client;
        client
            .batch_execute(&format!("prepare tried as {sql}"))
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let types = "select unnest(parameter_types)::text from pg_prepared_statements where name = 'tried'";
        let types = client.query(types, &[]).unwrap();
        let values: Vec<String> = types.iter().map(|row| value_of(row.get(0), &self.ids)).collect();
        let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let explain = format!("explain (format json) execute tried{values}");
        let answer = client.simple_query(&explain).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let plan = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        client.batch_execute("deallocate tried").unwrap();
        let mut read = BTreeSet::new();
        collect(&serde_json::from_str(plan.expect("there is a plan")).unwrap(), &mut read);
        let part = |relation: &String| relation.split_once("_part_").map(|(_, part)| part.to_owned());
        read.iter().filter_map(part).collect()
    }
}

/// A value of a type, as SQL; ids are those of the instances.
fn value_of(kind: &str, ids: &[String]) -> String {
    let (scalar, is_array) = kind.strip_suffix("[]").map_or((kind, false), |scalar| (scalar, true));
    let value = match scalar {
        "uuid" if is_array => return format!("'{{{}}}'", ids.join(", ")),
        "uuid" => &ids[0],
        "timestamp with time zone" | "date" => "2026-11-27",
        "boolean" => "true",
        "json" => "{}",
        _ => "1",
    };
    if is_array { format!("'{{{value}}}'") } else { format!("'{value}'") }
}

/// Adds the names of the relations in a plan.
fn collect(plan: &serde_json::Value, read: &mut BTreeSet<String>) {
    match plan {
        serde_json::Value::Array(parts) => parts.iter().for_each(|part| collect(part, read)),
        serde_json::Value::Object(fields) => {
            read.extend(fields.get("Relation Name").and_then(|name| name.as_str()).map(str::to_owned));
            fields.values().for_each(|field| collect(field, read));
        }
        _ => {}
    }
}

/// A store that takes its tables for distributed, with two keys of which one is limited.
async fn divided_store(database: &TestDatabase) -> Arc<dyn FleetStore> {
    let store: Arc<dyn FleetStore> = Arc::new(PostgresFleetStore::from_url(database.url()).unwrap());
    store.migrate().await.unwrap();
    store.make_room(at(0)).await.unwrap();
    for number in [1, 2] {
        let key = StoredKey {
            id: Uuid::from_u128(number),
            name: format!("key {number}"),
            hash: [number as u8; 32],
            token_hash: None,
            secrets: Vec::new(),
            rate: None,
            created_at: at(0),
            last_used_at: None,
            revoked_at: None,
            old_hash: None,
            takes_any_frequency: false,
            new_per_hour: Some(1_000),
            forget_after: None,
        };
        assert!(store.add_key(&key).await.unwrap());
    }
    store
}

fn of_key(key: u128, event: NewEvent) -> NewEvent {
    let mut event = NewEvent { new_per_hour: Some(1_000), ..event };
    event.facts.key_id = Uuid::from_u128(key);
    event
}

async fn judge(store: &Arc<dyn FleetStore>, now: Timestamp) -> usize {
    let judge = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], now);
    store.judge(now, 1_000, &judge).await.unwrap()
}

/// Stores events of every kind and judges their instances, on several shards.
async fn write_everything(store: &Arc<dyn FleetStore>) {
    let new = |number: u128| of_key(1, event(number, number, 1, 0, "begin"));
    let all: Vec<NewEvent> = (1..=20).map(new).collect();
    assert_eq!(store.append(&all).await.unwrap(), [Appended::New; 20]);
    assert_eq!(judge(store, at(1)).await, 20);
    // Updates that say nothing new, a number that was used, an instance whose id was changed, and a run that is lost.
    let updates = (1..=20).map(|number| of_key(1, event(number, number, 2, 60, "update")));
    store.append(&updates.collect::<Vec<_>>()).await.unwrap();
    let fork = NewEvent { id: Uuid::from_u64_pair(3_000_002, 7), ..of_key(1, event(3, 3, 2, 61, "update")) };
    let renamed = of_key(1, event(30, 4, 3, 62, "update"));
    let restarted = of_key(1, event(5, 50, 1, 63, "begin"));
    store.append(&[fork, renamed, restarted]).await.unwrap();
    judge(store, at(70)).await;
    judge(store, at(30 * 3_600)).await;
    // The next key takes over the instances of one that is revoked.
    assert!(store.revoke_key(Uuid::from_u128(1), at(30 * 3_600)).await.unwrap());
    let taken = [of_key(2, event(6, 6, 3, 30 * 3_600 + 1, "end"))];
    assert_eq!(store.append(&taken).await.unwrap(), [Appended::New]);
    judge(store, at(30 * 3_600 + 2)).await;
    assert!(
        store.move_instance(Uuid::from_u128(7), Uuid::from_u128(2), at(30 * 3_600 + 3)).await.unwrap(),
        "it is another one's then"
    );
}

/// Does what a receiver does besides.
async fn do_everything_else(store: &Arc<dyn FleetStore>) {
    let now = at(30 * 3_600 + 4);
    let limit = Duration::from_secs(30);
    store.mark(by(now), limit).await.unwrap();
    store.mend(by(at(30)), limit, true).await.unwrap();
    store.take_census(now).await.unwrap();
    let mute = Mute {
        id: Uuid::from_u128(1),
        of: Muted::Instance(Uuid::from_u128(1)),
        reason: "moves".to_owned(),
        until: at(40 * 3_600),
        created_at: now,
    };
    assert!(store.add_mutes(&[mute]).await.unwrap());
    store.wake_untold(now).await.unwrap();
    store.note_flood(Uuid::from_u128(2), 10, now, true).await.unwrap();
    store.take_digest(now, &|_| at(31 * 3_600), 100).await.unwrap();
    let silent = InstanceFilter { last_seen_before: Some(now), ..InstanceFilter::default() };
    for doomed in [Doomed::One(Uuid::from_u128(8)), Doomed::Matching(Box::new(silent))] {
        store.forget(&doomed, at(60 * 3_600), None, true).await.unwrap();
    }
    store.tidy(at(200 * 86_400), RETENTION).await.unwrap();
}

fn locks(sql: &str) -> bool {
    [" for update", " for no key update", " for share"].iter().any(|lock| sql.contains(lock))
}

#[test]
fn whatever_writes_events_and_judgements_stays_on_one_shard_and_nothing_locks_on_several() {
    let database = TestDatabase::new();
    database.execute(FOUR_SHARDS);
    let written = prepared_by(|| {
        runtime().block_on(async { write_everything(&divided_store(&database).await).await });
    });
    let others = prepared_by(|| {
        runtime().block_on(async { do_everything_else(&divided_again(&database)).await });
    });
    let mut divided = Divided::new();
    for expected in [
        "returning event.place",
        "set lost_at",
        "set owner_id = taken",
        "exists ( select from telemetry_event",
    ] {
        let is_there = written.iter().any(|sql| sql.contains(expected));
        assert!(is_there, "nothing was done with {expected}: {written:#?}");
    }
    let mut on_several = Vec::new();
    for (sql, is_written) in
        written.iter().map(|sql| (sql, true)).chain(others.iter().map(|sql| (sql, false)))
    {
        if sql.contains("pg_") || sql.starts_with("show ") {
            continue;
        }
        let parts = divided.partitions_of(sql);
        assert!(parts.len() < 2 || parts.len() == 4, "{parts:?}: {sql}");
        let may_read_all = match is_written {
            true => ON_ALL_SHARDS.iter().any(|beginning| sql.starts_with(beginning)),
            false => !locks(sql),
        };
        if parts.len() > 1 && !may_read_all {
            on_several.push(sql);
        }
    }
    assert!(on_several.is_empty(), "these read all shards: {on_several:#?}");
    assert!(ON_ALL_SHARDS.iter().all(|sql| !locks(sql)));
}

fn divided_again(database: &TestDatabase) -> Arc<dyn FleetStore> {
    Arc::new(PostgresFleetStore::from_url(database.url()).unwrap())
}
