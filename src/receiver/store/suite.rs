//! What both stores must do: one suite, run against each.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use futures_util::future::join_all;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use secrecy::{ExposeSecret, SecretString};

use super::*;

/// A database of one test's own.
trait Database {
    fn new() -> Self;

    /// A further store on it, as another receiver has one.
    fn store(&self) -> Arc<dyn FleetStore>;
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
}

#[cfg(feature = "postgres")]
struct PostgresDatabase(test_support::TestDatabase);

#[cfg(feature = "postgres")]
impl Database for PostgresDatabase {
    fn new() -> Self {
        Self(test_support::TestDatabase::new())
    }

    fn store(&self) -> Arc<dyn FleetStore> {
        Arc::new(PostgresFleetStore::from_url(self.0.url()).unwrap())
    }
}

macro_rules! suite {
    ($($test:ident)*) => {
        #[cfg(feature = "sqlite")]
        suite! { mod sqlite, SqliteDatabase: $($test)* }
        #[cfg(feature = "postgres")]
        suite! { mod postgres, PostgresDatabase: $($test)* }
    };
    (mod $name:ident, $database:ident: $($test:ident)*) => {
        mod $name {
            use super::{Database, $database};

            $(
                #[test]
                fn $test() {
                    let database = $database::new();
                    // It is gone, with the connections that live on it, before the database is.
                    super::runtime().block_on(super::$test(&database));
                }
            )*

            #[test]
            fn the_order_of_arrival_does_not_matter() {
                super::the_order_of_arrival_does_not_matter(&$database::new());
            }
        }
    };
}

suite! {
    migrating_again_changes_nothing
    receivers_that_start_at_once_agree_on_the_tables
    an_event_is_stored_as_it_came
    hostile_text_is_stored_as_it_came
    no_events_are_no_trouble
    a_repetition_is_stored_once_within_a_batch
    a_repetition_is_stored_once_across_batches_and_days
    an_event_of_another_instance_is_no_repetition
    repetitions_at_once_are_stored_once
    different_events_of_one_instance_at_once_all_count
    a_run_is_the_sum_of_its_events
    a_run_that_is_heard_after_its_end_has_not_ended
    facts_are_those_of_the_highest_number
    times_need_not_rise_with_the_numbers
    runs_are_listed_latest_first
    a_new_instance_is_due_once
    an_update_that_says_nothing_new_makes_nobody_due
    a_repetition_makes_nobody_due
    news_make_an_instance_due
    an_update_of_an_instance_that_is_not_up_makes_it_due
    silence_makes_an_instance_due_at_its_time
    no_more_than_the_limit_are_judged
    a_judgement_is_written_as_decided
    the_latest_runs_are_judged_by
    what_arrives_during_a_judgement_is_judged_next
    an_update_during_a_judgement_is_judged_by
    judging_at_once_writes_once
    an_outage_is_the_time_without_a_mark
    outages_are_remembered_for_sixty_days
    keys_are_kept
    names_of_keys_are_unique_until_they_are_revoked
    secrets_of_keys_are_replaced
    the_last_use_of_a_key_never_moves_back
    a_digest_is_taken_once_and_keeps_its_content
    a_delivered_digest_is_not_taken_again
    receivers_that_deliver_at_once_take_different_digests
    the_summary_counts_every_instance
    instances_are_filtered
    instances_are_searched_by_the_letter
    paging_through_instances_shows_each_once_in_order
    events_are_filtered
    paging_through_events_shows_each_once_in_order
    a_deleted_event_is_gone_and_what_it_said_stays
    what_is_old_is_forgotten
    what_is_not_there_is_not_found
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) const RETENTION: Duration = Duration::from_secs(90 * 86_400);

const DAY: i64 = 86_400;

/// So many seconds after the beginning of all tests.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_608_000 + seconds).unwrap()
}

fn of(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

async fn started(database: &impl Database) -> Arc<dyn FleetStore> {
    let store = database.store();
    store.migrate().await.unwrap();
    store.tidy(at(0), RETENTION).await.unwrap();
    store
}

/// An event as a sender makes it: run and number say which it is.
pub(super) fn event(instance: u128, run: u128, sequence: i64, seconds: i64, reason: &str) -> NewEvent {
    NewEvent {
        id: of(run * 1_000_000 + sequence as u128),
        instance_id: of(instance),
        run_id: of(run),
        sequence,
        is_numbered: true,
        received_at: at(seconds),
        day: at(seconds).to_zoned(TimeZone::UTC).date(),
        reason: reason.to_owned(),
        frequency: Some(3_600),
        facts: facts("1.0"),
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
    }
}

fn stored(event: NewEvent) -> StoredEvent {
    let NewEvent { id, instance_id, run_id, sequence, received_at, reason, frequency, data, .. } = event;
    StoredEvent { id, instance_id, run_id, sequence, received_at, reason, frequency, data }
}

async fn all_events(store: &Arc<dyn FleetStore>) -> Vec<StoredEvent> {
    store.events(&EventFilter::default(), None, 10_000).await.unwrap()
}

async fn all_instances(store: &Arc<dyn FleetStore>) -> Vec<Instance> {
    store.instances(&InstanceFilter::default(), None, 10_000).await.unwrap()
}

fn state_change(at: Timestamp, from: Option<State>, to: State) -> Transition {
    let from = from.map(|state| state.as_str().to_owned());
    Transition { at, change: Change::State, from, to: to.as_str().to_owned() }
}

/// Down after an hour of silence, ended after an end, else up; everybody is told of every change.
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
        frequency: latest.frequency.unwrap_or(86_400),
        facts: latest.facts.clone(),
        check_at: if state == State::Up { deadline + SignedDuration::from_secs(1) } else { at(1_000 * DAY) },
        alerts: transitions.clone(),
        transitions,
    }
}

/// Who was due, in no order.
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

/// Writes instances as if they had been judged to be this.
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
        frequency: 3_600,
        facts: facts("1.0"),
        judged_at: Some(at(DAY)),
    }
}

async fn migrating_again_changes_nothing(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    store.migrate().await.unwrap();
    database.store().migrate().await.unwrap();
    assert_eq!(all_events(&store).await.len(), 1);
}

async fn receivers_that_start_at_once_agree_on_the_tables(database: &impl Database) {
    let start = async |number| {
        let store = started(database).await;
        store.append(&[event(1, 1, number, 0, "begin")]).await.unwrap()
    };
    assert_eq!(join_all((1..=8).map(start)).await, vec![[true]; 8]);
}

async fn an_event_is_stored_as_it_came(database: &impl Database) {
    let store = started(database).await;
    let whole = event(1, 2, 3, 4, "begin");
    let bare = NewEvent { frequency: None, run_id: Uuid::nil(), ..event(1, 2, 5, 6, "something-else") };
    assert_eq!(store.append(&[whole.clone(), bare.clone()]).await.unwrap(), [true, true]);
    assert_eq!(all_events(&store).await, [stored(bare.clone()), stored(whole.clone())]);
    assert_eq!(store.event(of(1), whole.id).await.unwrap(), Some(stored(whole)));
    assert_eq!(database.store().event(of(1), bare.id).await.unwrap(), Some(stored(bare)));
}

async fn hostile_text_is_stored_as_it_came(database: &impl Database) {
    let store = started(database).await;
    let text =
        "'; drop table telemetry_event; -- \" \\ % _ $1 ?1 \u{1} \u{7f} \u{202e} e\u{301} \u{10FFFF} 🦀";
    let hostile = Facts {
        build_version: text.to_owned(),
        build_commit: String::new(),
        build_time: "x".repeat(4_096),
        license_key_hash: Some(text.to_owned()),
        custom_id: Some(text.to_owned()),
        ..facts("1.0")
    };
    let data = serde_json::json!({ "text": text, "long": "\u{10FFFF}".repeat(4_000) }).to_string();
    assert!(data.len() > 16_000);
    let event = NewEvent {
        reason: text.to_owned(),
        facts: hostile.clone(),
        data,
        sequence: i64::MAX,
        frequency: Some(i32::MAX),
        ..event(1, 1, 1, 0, "begin")
    };
    assert_eq!(store.append(std::slice::from_ref(&event)).await.unwrap(), [true]);
    judged(&store, at(1)).await;

    let filter = EventFilter { reason: Some(text.to_owned()), ..EventFilter::default() };
    assert_eq!(store.events(&filter, None, 10).await.unwrap(), [stored(event)]);
    let filter = InstanceFilter { build_version: Some(text.to_owned()), ..InstanceFilter::default() };
    assert_eq!(store.instances(&filter, None, 10).await.unwrap()[0].facts, hostile);
    let filter = InstanceFilter { search: Some(text.to_owned()), ..InstanceFilter::default() };
    assert_eq!(store.instances(&filter, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].facts, hostile);
    assert_eq!(store.summary(at(1)).await.unwrap()[0].build_version, text);
    let digest = store.take_digest(at(1), &|_| at(2), 10).await.unwrap().unwrap();
    assert_eq!(digest.alerts[0].custom_id.as_deref(), Some(text));
}

async fn no_events_are_no_trouble(database: &impl Database) {
    let store = started(database).await;
    assert!(store.append(&[]).await.unwrap().is_empty());
    assert!(judged(&store, at(0)).await.is_empty());
    store.touch_keys(&[]).await.unwrap();
}

async fn a_repetition_is_stored_once_within_a_batch(database: &impl Database) {
    let store = started(database).await;
    let (first, second) = (event(1, 1, 1, 0, "update"), event(1, 1, 2, 1, "update"));
    let batch = [first.clone(), first.clone(), second.clone(), first, second];
    assert_eq!(store.append(&batch).await.unwrap(), [true, false, true, false, false]);
    assert_eq!(all_events(&store).await.len(), 2);
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].updates, 2);
}

async fn a_repetition_is_stored_once_across_batches_and_days(database: &impl Database) {
    let store = started(database).await;
    let first = event(1, 1, 1, 0, "update");
    let second = event(1, 1, 2, 1, "update");
    assert_eq!(store.append(&[first.clone(), second]).await.unwrap(), [true, true]);
    let again = |seconds| NewEvent { received_at: at(seconds), ..first.clone() };
    let next_day = NewEvent { day: at(DAY).to_zoned(TimeZone::UTC).date(), ..again(DAY) };
    let without_number = NewEvent { is_numbered: false, sequence: i64::MAX, ..next_day.clone() };
    for repetition in [again(0), again(60), next_day, without_number] {
        assert_eq!(store.append(&[repetition]).await.unwrap(), [false]);
    }
    assert_eq!(all_events(&store).await.len(), 2);
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.updates, run.last_seen_at), (2, at(1)));
}

async fn an_event_of_another_instance_is_no_repetition(database: &impl Database) {
    let store = started(database).await;
    let batch = [event(1, 1, 1, 0, "begin"), event(2, 1, 1, 0, "begin")];
    assert_eq!(store.append(&batch).await.unwrap(), [true, true]);
    assert_eq!(store.event(of(2), batch[1].id).await.unwrap(), Some(stored(batch[1].clone())));
    assert_eq!(all_instances(&store).await.len(), 2);
}

async fn repetitions_at_once_are_stored_once(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (0..100).map(|number| event(number % 7, 1, number as i64, 0, "update")).collect();
    let mut reversed = events.clone();
    reversed.reverse();
    let append = async |number: usize| {
        let store = database.store();
        let events = if number.is_multiple_of(2) { &events } else { &reversed };
        let new = store.append(events).await.unwrap();
        new.into_iter().filter(|is_new| *is_new).count()
    };
    let new = join_all((0..6).map(append)).await;
    assert_eq!(new.iter().sum::<usize>(), 100, "{new:?}");
    assert_eq!(all_events(&store).await.len(), 100);
    let mut updates = 0;
    for number in 0..7 {
        updates += store.runs(of(number), 10).await.unwrap()[0].updates;
    }
    assert_eq!(updates, 100);
}

async fn different_events_of_one_instance_at_once_all_count(database: &impl Database) {
    let store = started(database).await;
    let append = async |number: i64| {
        let store = database.store();
        let events: Vec<_> =
            (1..=20).map(|event_number| event(1, 1, number * 100 + event_number, number, "update")).collect();
        store.append(&events).await.unwrap()
    };
    join_all((0..6).map(append)).await;
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.updates, run.last_sequence, run.last_seen_at), (120, 520, at(5)));
}

async fn a_run_is_the_sum_of_its_events(database: &impl Database) {
    let store = started(database).await;
    let without_frequency = |event| NewEvent { frequency: None, ..event };
    let events = [
        event(1, 1, 1, 0, "begin"),
        NewEvent { frequency: Some(7_200), ..event(1, 1, 2, 10, "update") },
        without_frequency(event(1, 1, 3, 20, "license-state-change")),
        without_frequency(event(1, 1, 4, 30, "update")),
        NewEvent { facts: facts("1.1"), ..without_frequency(event(1, 1, 5, 40, "end")) },
    ];
    for event in events {
        store.append(&[event]).await.unwrap();
    }
    let run = Run {
        run_id: of(1),
        first_seen_at: at(0),
        last_seen_at: at(40),
        begun: true,
        ended_at: Some(at(40)),
        last_sequence: 5,
        frequency: Some(7_200),
        updates: 2,
        first_update_at: Some(at(10)),
        last_update_at: Some(at(30)),
        facts: facts("1.1"),
        facts_at: at(40),
    };
    assert_eq!(store.runs(of(1), 10).await.unwrap(), [run]);
    let instance = store.instance(of(1)).await.unwrap().unwrap();
    assert_eq!((instance.first_seen_at, instance.last_seen_at), (at(0), at(40)));
    assert_eq!((instance.state, instance.judged_at), (State::Up, None));
}

async fn a_run_that_is_heard_after_its_end_has_not_ended(database: &impl Database) {
    let store = started(database).await;
    let ended = async || store.runs(of(1), 10).await.unwrap()[0].ended_at;
    store.append(&[event(1, 1, 5, 50, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(50)));
    store.append(&[event(1, 1, 4, 60, "update")]).await.unwrap();
    assert_eq!(ended().await, Some(at(50)), "an earlier event that came late");
    store.append(&[event(1, 1, 6, 55, "update")]).await.unwrap();
    assert_eq!(ended().await, None);
    store.append(&[event(1, 1, 7, 70, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(70)));
    store.append(&[event(1, 1, 3, 80, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(70)));
}

async fn facts_are_those_of_the_highest_number(database: &impl Database) {
    let store = started(database).await;
    let newer = NewEvent { facts: facts("2.0"), frequency: Some(60), ..event(1, 1, 9, 10, "update") };
    store.append(&[newer]).await.unwrap();
    let older = NewEvent { frequency: Some(90), ..event(1, 1, 8, 20, "update") };
    store.append(&[older]).await.unwrap();
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.facts, run.facts_at, run.frequency), (facts("2.0"), at(10), Some(60)));
}

/// Two receivers have two clocks.
async fn times_need_not_rise_with_the_numbers(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 100, "update")]).await.unwrap();
    judged(&store, at(100)).await;
    store.append(&[event(1, 1, 2, 90, "update")]).await.unwrap();
    store.append(&[event(1, 1, 3, 120, "update"), event(1, 1, 4, 110, "update")]).await.unwrap();
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.first_seen_at, run.last_seen_at, run.facts_at), (at(90), at(120), at(110)));
    assert_eq!((run.first_update_at, run.last_update_at), (Some(at(90)), Some(at(120))));
    let instance = store.instance(of(1)).await.unwrap().unwrap();
    assert_eq!((instance.first_seen_at, instance.last_seen_at), (at(90), at(120)));
}

async fn runs_are_listed_latest_first(database: &impl Database) {
    let store = started(database).await;
    let batch = [
        event(1, 1, 1, 30, "begin"),
        event(1, 4, 1, 10, "begin"),
        event(1, 3, 1, 20, "begin"),
        event(1, 2, 1, 20, "begin"),
        event(2, 5, 1, 90, "begin"),
    ];
    store.append(&batch).await.unwrap();
    let listed = async |limit| {
        let runs = store.runs(of(1), limit).await.unwrap();
        runs.iter().map(|run| run.run_id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(10).await, [1, 2, 3, 4]);
    assert_eq!(listed(2).await, [1, 2]);
}

async fn a_new_instance_is_due_once(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "update"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    assert_eq!(judged(&store, at(0)).await, [of(1), of(2)]);
    assert!(judged(&store, at(0)).await.is_empty());
}

async fn an_update_that_says_nothing_new_makes_nobody_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    for number in 2..5 {
        store.append(&[event(1, 1, number, number * 10, "update")]).await.unwrap();
    }
    assert!(judged(&store, at(100)).await.is_empty());
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().last_seen_at, at(40));
}

async fn a_repetition_makes_nobody_due(database: &impl Database) {
    let store = started(database).await;
    let begin = event(1, 1, 1, 0, "begin");
    store.append(std::slice::from_ref(&begin)).await.unwrap();
    judged(&store, at(0)).await;
    assert_eq!(store.append(&[begin]).await.unwrap(), [false]);
    assert!(judged(&store, at(1)).await.is_empty());
}

async fn news_make_an_instance_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    let news = [
        event(1, 1, 2, 1, "license-state-change"),
        event(1, 1, 3, 2, "begin"),
        event(1, 1, 4, 3, "hello"),
        NewEvent { facts: facts("1.1"), ..event(1, 1, 5, 4, "update") },
        NewEvent { facts: facts("1.1"), frequency: Some(60), ..event(1, 1, 6, 5, "update") },
        NewEvent { facts: facts("1.1"), ..event(1, 2, 1, 6, "update") },
        event(1, 2, 2, 7, "end"),
    ];
    for event in news {
        let shown = format!("{event:?}");
        let now = event.received_at;
        store.append(&[event]).await.unwrap();
        assert_eq!(judged(&store, now).await, [of(1)], "{shown}");
        assert!(judged(&store, now).await.is_empty());
    }
}

async fn an_update_of_an_instance_that_is_not_up_makes_it_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(7_200)).await;
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Down);
    store.append(&[event(1, 1, 2, 7_300, "update")]).await.unwrap();
    assert_eq!(judged(&store, at(7_300)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Up);
}

async fn silence_makes_an_instance_due_at_its_time(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    assert!(judged(&store, at(3_600)).await.is_empty());
    assert_eq!(judged(&store, at(3_601)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Down);
}

async fn no_more_than_the_limit_are_judged(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=5).map(|number| event(number, 1, 1, number as i64, "begin")).collect();
    store.append(&events).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| decided(at(10), instance, runs);
    for expected in [2, 2, 1, 0] {
        assert_eq!(store.judge(at(10), 2, &decide).await.unwrap(), expected);
    }
}

async fn a_judgement_is_written_as_decided(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 5, "begin"), event(1, 2, 1, 9, "begin")]).await.unwrap();
    let license = Transition { at: at(8), change: Change::License, from: None, to: "invalid".to_owned() };
    let judgement = Judgement {
        run_id: of(2),
        last_seen_at: at(0),
        state: State::Late,
        state_since: at(7),
        flags: Flags { crashed: true, several_runs: false, restarting: true },
        frequency: 1_234,
        facts: Facts {
            license_valid: false,
            license_key_hash: Some("abc".to_owned()),
            custom_id: Some("Berlin 1".to_owned()),
            ..facts("3.0")
        },
        check_at: at(1_000),
        transitions: vec![
            state_change(at(6), None, State::Up),
            license.clone(),
            state_change(at(7), Some(State::Up), State::Late),
        ],
        alerts: vec![license.clone()],
    };
    store.judge(at(10), 10, &|_, _| judgement.clone()).await.unwrap();
    let instance = Instance {
        instance_id: of(1),
        first_seen_at: at(5),
        last_seen_at: at(9),
        state: judgement.state,
        state_since: judgement.state_since,
        flags: judgement.flags,
        frequency: judgement.frequency,
        facts: judgement.facts.clone(),
        judged_at: Some(at(10)),
    };
    assert_eq!(store.instance(of(1)).await.unwrap().as_ref(), Some(&instance));
    assert_eq!(all_instances(&store).await, [instance]);
    let latest_first = [license.clone(), judgement.transitions[2].clone(), judgement.transitions[0].clone()];
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), latest_first);
    assert_eq!(store.transitions(of(1), 1).await.unwrap(), std::slice::from_ref(&license));
    assert_eq!(store.waiting_alerts().await.unwrap(), 1);
    let alert = store.take_digest(at(11), &|_| at(12), 10).await.unwrap().unwrap().alerts.remove(0);
    assert_eq!((alert.instance_id, alert.transition), (of(1), license));
    assert_eq!((alert.custom_id.as_deref(), alert.build_version.as_str()), (Some("Berlin 1"), "3.0"));

    assert!(judged(&store, at(999)).await.is_empty());
    assert_eq!(judged(&store, at(1_000)).await, [of(1)]);
}

async fn the_latest_runs_are_judged_by(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=40).map(|run| event(1, run, 1, run as i64, "begin")).collect();
    store.append(&events).await.unwrap();
    let given = Mutex::new(Vec::new());
    let decide = |instance: &Instance, runs: &[Run]| {
        given.lock().unwrap().extend(runs.iter().map(|run| run.run_id.as_u128() as i64));
        decided(at(50), instance, runs)
    };
    store.judge(at(50), 10, &decide).await.unwrap();
    let expected: Vec<_> = (1..=40).rev().take(JUDGED_RUNS as usize).collect();
    assert_eq!(given.into_inner().unwrap(), expected);
}

/// The event may be stored before the judgement is written or after.
async fn what_arrives_during_a_judgement_is_judged_next(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    let other = database.store();
    let end = event(1, 1, 2, 1, "end");
    let during = Mutex::new(None);
    let runtime = tokio::runtime::Handle::current();
    let decide = |instance: &Instance, runs: &[Run]| {
        let (other, end) = (other.clone(), end.clone());
        *during.lock().unwrap() = Some(runtime.spawn(async move { other.append(&[end]).await }));
        decided(at(0), instance, runs)
    };
    store.judge(at(0), 10, &decide).await.unwrap();
    let appended = during.into_inner().unwrap().unwrap();
    assert_eq!(appended.await.unwrap().unwrap(), [true]);
    assert_eq!(judged(&store, at(1)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Ended);
}

async fn an_update_during_a_judgement_is_judged_by(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    let (other, late) = (database.store(), DAY / 2);
    let (sender, stored) = mpsc::channel();
    let decide = |instance: &Instance, runs: &[Run]| {
        let (other, sender) = (other.clone(), sender.clone());
        thread::spawn(move || {
            let appended = runtime().block_on(other.append(&[event(1, 1, 2, late, "update")]));
            let _ = sender.send(appended.unwrap());
        });
        // A store may let it in at once or when all is written: it gets the time for either.
        thread::sleep(Duration::from_millis(300));
        decided(at(late), instance, runs)
    };
    store.judge(at(late), 10, &decide).await.unwrap();
    assert_eq!(stored.recv_timeout(Duration::from_secs(30)).unwrap(), [true]);
    assert_eq!(judged(&store, at(late)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Up);
}

async fn judging_at_once_writes_once(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=60).map(|number| event(number, 1, 1, 0, "begin")).collect();
    store.append(&events).await.unwrap();
    let judge = async |_| {
        let store = database.store();
        let decide = |instance: &Instance, runs: &[Run]| decided(at(0), instance, runs);
        while store.judge(at(0), 7, &decide).await.unwrap() == 7 {}
    };
    join_all((0..4).map(judge)).await;
    judged(&store, at(0)).await;
    assert_eq!(store.waiting_alerts().await.unwrap(), 60);
    for number in 1..=60 {
        let begun = state_change(at(0), None, State::Up);
        assert_eq!(store.transitions(of(number), 10).await.unwrap(), [begun]);
    }
}

async fn an_outage_is_the_time_without_a_mark(database: &impl Database) {
    let store = started(database).await;
    let limit = Duration::from_secs(60);
    assert_eq!(store.mark(at(0), limit).await.unwrap(), []);
    assert_eq!(store.mark(at(60), limit).await.unwrap(), []);
    let first = Outage { began_at: at(60), ended_at: at(200) };
    let other = database.store();
    assert_eq!(other.mark(at(200), limit).await.unwrap(), [first]);
    assert_eq!(store.mark(at(190), limit).await.unwrap(), [first], "a clock that is behind");
    assert_eq!(store.mark(at(250), limit).await.unwrap(), [first], "the mark did not move back");
    let second = Outage { began_at: at(250), ended_at: at(900) };
    assert_eq!(store.mark(at(900), limit).await.unwrap(), [first, second]);

    let marks = join_all([&store, &other].map(|store| store.mark(at(2_000), limit))).await;
    assert!(marks.iter().all(|outages| outages.as_ref().unwrap().len() == 3), "{marks:?}");
}

async fn outages_are_remembered_for_sixty_days(database: &impl Database) {
    let store = started(database).await;
    let (limit, year) = (Duration::from_secs(60), Duration::from_secs(365 * 86_400));
    store.mark(at(0), limit).await.unwrap();
    assert_eq!(store.mark(at(100), limit).await.unwrap().len(), 1);
    assert_eq!(store.mark(at(59 * DAY), year).await.unwrap().len(), 1);
    assert_eq!(store.mark(at(61 * DAY), year).await.unwrap().len(), 0);
}

fn key(number: u8, name: &str) -> StoredKey {
    StoredKey {
        id: of(u128::from(number)),
        name: name.to_owned(),
        hash: [number; 32],
        token_hash: None,
        secrets: Vec::new(),
        rate: None,
        created_at: at(i64::from(number)),
        last_used_at: None,
        revoked_at: None,
    }
}

fn exposed(key: &StoredKey) -> Vec<&str> {
    key.secrets.iter().map(ExposeSecret::expose_secret).collect()
}

async fn keys_are_kept(database: &impl Database) {
    let store = started(database).await;
    assert!(store.keys().await.unwrap().is_empty());
    let signed = StoredKey {
        token_hash: Some([9; 32]),
        secrets: vec!["whsec_'\"\\,{}".into(), "whsec_2".into()],
        rate: Some(50),
        ..key(2, "a \"name\"")
    };
    assert!(store.add_key(&signed).await.unwrap());
    assert!(store.add_key(&key(1, "earlier")).await.unwrap());
    let keys = database.store().keys().await.unwrap();
    assert_eq!([keys[0].id, keys[1].id], [of(1), of(2)], "oldest first");
    let kept = &keys[1];
    assert_eq!((kept.name.as_str(), kept.hash, kept.token_hash), ("a \"name\"", [2; 32], Some([9; 32])));
    assert_eq!((exposed(kept), kept.rate), (vec!["whsec_'\"\\,{}", "whsec_2"], Some(50)));
    assert_eq!((kept.created_at, kept.last_used_at, kept.revoked_at), (at(2), None, None));
    assert_eq!((keys[0].token_hash, keys[0].secrets.len(), keys[0].rate), (None, 0, None));
}

async fn names_of_keys_are_unique_until_they_are_revoked(database: &impl Database) {
    let store = started(database).await;
    let add = async |number| database.store().add_key(&key(number, "name")).await.unwrap();
    let added = join_all((1..=4).map(add)).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1, "{added:?}");
    let id = store.keys().await.unwrap()[0].id;
    assert!(store.revoke_key(id, at(10)).await.unwrap());
    assert!(!store.revoke_key(id, at(11)).await.unwrap());
    assert!(!store.revoke_key(of(99), at(11)).await.unwrap());
    assert!(store.add_key(&key(5, "name")).await.unwrap());
    assert!(!store.add_key(&key(6, "name")).await.unwrap());
    let revoked: Vec<_> = store.keys().await.unwrap().iter().map(|key| key.revoked_at).collect();
    assert_eq!(revoked, [Some(at(10)), None]);
}

async fn secrets_of_keys_are_replaced(database: &impl Database) {
    let store = started(database).await;
    store.add_key(&key(1, "name")).await.unwrap();
    let secrets: [SecretString; 2] = ["new".into(), "old".into()];
    assert!(store.set_key_secrets(of(1), &secrets).await.unwrap());
    assert_eq!(exposed(&store.keys().await.unwrap()[0]), ["new", "old"]);
    assert!(store.set_key_secrets(of(1), &secrets[..1]).await.unwrap());
    assert_eq!(exposed(&store.keys().await.unwrap()[0]), ["new"]);
    assert!(!store.set_key_secrets(of(2), &secrets).await.unwrap());
    store.revoke_key(of(1), at(2)).await.unwrap();
    assert!(!store.set_key_secrets(of(1), &secrets).await.unwrap());
}

async fn the_last_use_of_a_key_never_moves_back(database: &impl Database) {
    let store = started(database).await;
    store.add_key(&key(1, "one")).await.unwrap();
    store.add_key(&key(2, "two")).await.unwrap();
    store.touch_keys(&[(of(1), at(20)), (of(3), at(20))]).await.unwrap();
    store.touch_keys(&[(of(1), at(10)), (of(2), at(10))]).await.unwrap();
    let used: Vec<_> = store.keys().await.unwrap().iter().map(|key| key.last_used_at).collect();
    assert_eq!(used, [Some(at(20)), Some(at(10))]);
}

/// Alerts of so many instances, a second apart.
async fn alerts(store: &Arc<dyn FleetStore>, numbers: std::ops::RangeInclusive<u128>) {
    let events: Vec<_> = numbers.map(|number| event(number, 1, 1, number as i64, "begin")).collect();
    store.append(&events).await.unwrap();
    judged(store, at(1_000)).await;
}

fn told(digest: &Digest) -> Vec<u128> {
    digest.alerts.iter().map(|alert| alert.instance_id.as_u128()).collect()
}

async fn a_digest_is_taken_once_and_keeps_its_content(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.take_digest(at(0), &|_| at(0), 3).await.unwrap(), None);
    alerts(&store, 1..=5).await;
    let take = async |now: i64| {
        let next_try = |tries: i32| at(now + 100 * i64::from(tries));
        store.take_digest(at(now), &next_try, 3).await.unwrap()
    };

    let first = take(1_000).await.unwrap();
    assert_eq!((told(&first), first.tries), (vec![1, 2, 3], 1));
    let second = take(1_000).await.unwrap();
    assert_eq!((told(&second), second.tries), (vec![4, 5], 1));
    assert_ne!(first.id, second.id);
    assert_eq!(take(1_099).await, None);
    assert_eq!(store.waiting_alerts().await.unwrap(), 5);

    store.digest_delivered(second.id, at(1_099)).await.unwrap();
    assert_eq!(store.waiting_alerts().await.unwrap(), 3);
    alerts(&store, 6..=6).await;
    let again = take(1_100).await;
    assert_eq!(again, Some(Digest { tries: 2, ..first.clone() }), "what waits longest comes first");
    let third = take(1_100).await.unwrap();
    assert_eq!((told(&third), third.tries), (vec![6], 1));
    assert_eq!(take(1_199).await, None);
    assert_eq!(take(1_200).await, Some(Digest { tries: 2, ..third }));
    assert_eq!(take(1_300).await, Some(Digest { tries: 3, ..first }));
}

async fn a_delivered_digest_is_not_taken_again(database: &impl Database) {
    let store = started(database).await;
    alerts(&store, 1..=2).await;
    let digest = store.take_digest(at(1_000), &|_| at(1_100), 10).await.unwrap().unwrap();
    store.digest_delivered(digest.id, at(1_001)).await.unwrap();
    store.digest_delivered(digest.id, at(1_002)).await.unwrap();
    store.digest_delivered(of(7), at(1_002)).await.unwrap();
    assert_eq!(store.take_digest(at(9_000), &|_| at(9_100), 10).await.unwrap(), None);
    assert_eq!(store.waiting_alerts().await.unwrap(), 0);
}

async fn receivers_that_deliver_at_once_take_different_digests(database: &impl Database) {
    let store = started(database).await;
    alerts(&store, 1..=12).await;
    for now in [1_000, 2_000] {
        let take = async |_| {
            let store = database.store();
            store.take_digest(at(now), &|_| at(now + 1_000), 3).await.unwrap()
        };
        let mut taken: Vec<_> = join_all((0..6).map(take)).await.into_iter().flatten().collect();
        // Two that look at the same moment may see the same alerts: one of them then goes away with nothing.
        while let Some(digest) = store.take_digest(at(now), &|_| at(now + 1_000), 3).await.unwrap() {
            taken.push(digest);
        }
        let mut told: Vec<_> = taken.iter().flat_map(told).collect();
        told.sort();
        assert_eq!(told, (1..=12).collect::<Vec<_>>());
    }
}

async fn the_summary_counts_every_instance(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.summary(at(0)).await.unwrap(), []);
    let crashed = Flags { crashed: true, ..Flags::default() };
    let unlicensed = Facts { license_valid: false, ..facts("2.0") };
    instances_that_are(
        &store,
        &[
            instance(1, State::Up, 0),
            instance(2, State::Up, 5),
            Instance { first_seen_at: at(DAY / 2), ..instance(3, State::Up, 0) },
            instance(4, State::Down, 0),
            Instance { flags: crashed, facts: unlicensed.clone(), ..instance(5, State::Late, 0) },
        ],
    )
    .await;
    let group = Group {
        state: State::Up,
        license_valid: true,
        flags: Flags::default(),
        is_new: false,
        build_version: "1.0".to_owned(),
        count: 1,
    };
    let mut summary = store.summary(at(DAY)).await.unwrap();
    summary.sort_by_key(|group| (group.state.rank(), group.is_new));
    assert_eq!(
        summary,
        [
            Group { state: State::Down, ..group.clone() },
            Group {
                state: State::Late,
                license_valid: false,
                flags: crashed,
                build_version: "2.0".to_owned(),
                ..group.clone()
            },
            Group { count: 2, ..group.clone() },
            Group { is_new: true, ..group.clone() },
        ]
    );
}

async fn instances_are_filtered(database: &impl Database) {
    let store = started(database).await;
    let flags = |crashed, several_runs, restarting| Flags { crashed, several_runs, restarting };
    instances_that_are(
        &store,
        &[
            Instance { flags: flags(true, false, false), ..instance(1, State::Up, 0) },
            Instance { flags: flags(false, true, false), ..instance(2, State::Down, 0) },
            Instance { flags: flags(false, false, true), ..instance(3, State::Late, 0) },
            Instance {
                facts: Facts { license_valid: false, ..facts("1.0") },
                ..instance(4, State::Ended, 0)
            },
            Instance { facts: facts("2.0"), ..instance(5, State::Up, 1) },
            Instance { first_seen_at: at(10), ..instance(6, State::Up, 2) },
        ],
    )
    .await;
    let all = InstanceFilter::default();
    let cases: [(InstanceFilter, &[u128]); 12] = [
        (all.clone(), &[2, 3, 6, 5, 1, 4]),
        (InstanceFilter { state: Some(State::Up), ..all.clone() }, &[6, 5, 1]),
        (InstanceFilter { license_valid: Some(false), ..all.clone() }, &[4]),
        (InstanceFilter { license_valid: Some(true), ..all.clone() }, &[2, 3, 6, 5, 1]),
        (InstanceFilter { build_version: Some("2.0".to_owned()), ..all.clone() }, &[5]),
        (InstanceFilter { build_version: Some("2".to_owned()), ..all.clone() }, &[]),
        (InstanceFilter { crashed: Some(true), ..all.clone() }, &[1]),
        (InstanceFilter { several_runs: Some(true), ..all.clone() }, &[2]),
        (InstanceFilter { restarting: Some(true), ..all.clone() }, &[3]),
        (InstanceFilter { restarting: Some(false), ..all.clone() }, &[2, 6, 5, 1, 4]),
        (InstanceFilter { first_seen_after: Some(at(0)), ..all.clone() }, &[6]),
        (InstanceFilter { state: Some(State::Up), crashed: Some(false), ..all.clone() }, &[6, 5]),
    ];
    for (filter, expected) in cases {
        let found = store.instances(&filter, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    assert_eq!(store.instances(&all, None, 2).await.unwrap().len(), 2);
}

async fn instances_are_searched_by_the_letter(database: &impl Database) {
    let store = started(database).await;
    let named = |id: u128, name: &str| Instance {
        facts: Facts { custom_id: Some(name.to_owned()), ..facts("1.0") },
        ..instance(id, State::Up, -(id as i64 % 100))
    };
    const LONG: u128 = 0xABCDEF01_2345_6789_ABCD_EF0123456701;
    instances_that_are(
        &store,
        &[
            named(1, "Berlin-1"),
            named(2, "100% \\ sure_thing"),
            named(3, "1000 sureXthing"),
            instance(LONG, State::Up, -10),
        ],
    )
    .await;
    let cases: [(&str, &[u128]); 14] = [
        ("berlin", &[1]),
        ("LIN-1", &[1]),
        ("0%", &[2]),
        ("sure_", &[2]),
        ("\\", &[2]),
        ("sure", &[2, 3]),
        ("'", &[]),
        ("abcdef01", &[LONG]),
        ("ABCDEF01-2345-6", &[LONG]),
        ("abcdef01-2345-6789-abcd-ef0123456701", &[LONG]),
        ("abcdef01-2345-6789-abcd-ef01234567012", &[]),
        ("bcdef", &[]),
        ("abcdef0123", &[]),
        ("abcdef01-%", &[]),
    ];
    for (search, expected) in cases {
        let filter = InstanceFilter { search: Some(search.to_owned()), ..InstanceFilter::default() };
        let found = store.instances(&filter, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|instance| instance.instance_id.as_u128()).collect();
        assert_eq!(ids, expected, "{search}");
    }
}

async fn paging_through_instances_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let all: Vec<_> = (0..40_u128)
        .map(|number| {
            let state = State::ALL[(number % 4) as usize];
            instance(number * 7_919 % 40, state, (number / 8 % 3) as i64)
        })
        .collect();
    instances_that_are(&store, &all).await;
    let mut expected: Vec<_> = all
        .iter()
        .map(|instance| {
            (instance.state.rank(), std::cmp::Reverse(instance.state_since), instance.instance_id)
        })
        .collect();
    expected.sort();
    for (state, limit) in [(None, 1), (None, 7), (None, 40), (Some(State::Late), 3)] {
        let filter = InstanceFilter { state, ..InstanceFilter::default() };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.instances(&filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            let (state, state_since, instance_id) = (last.state, last.state_since, last.instance_id);
            after = Some(InstanceCursor { state, state_since, instance_id });
            seen.extend(page.iter().map(|instance| instance.instance_id));
        }
        let expected = expected.iter().filter(|(rank, _, _)| state.is_none_or(|state| state.rank() == *rank));
        assert_eq!(seen, expected.map(|(_, _, id)| *id).collect::<Vec<_>>(), "{limit}");
    }
}

async fn events_are_filtered(database: &impl Database) {
    let store = started(database).await;
    let events = [
        event(1, 1, 1, 0, "begin"),
        event(1, 1, 2, 10, "update"),
        event(2, 2, 3, 20, "begin"),
        event(2, 2, 4, DAY, "update"),
        event(2, 2, 5, 2 * DAY, "end"),
    ];
    store.append(&events).await.unwrap();
    let all = EventFilter::default();
    let reason = |reason: &str| Some(reason.to_owned());
    let cases: [(EventFilter, &[i64]); 10] = [
        (all.clone(), &[5, 4, 3, 2, 1]),
        (EventFilter { instance_id: Some(of(2)), ..all.clone() }, &[5, 4, 3]),
        (EventFilter { instance_id: Some(of(3)), ..all.clone() }, &[]),
        (EventFilter { reason: reason("begin"), ..all.clone() }, &[3, 1]),
        (EventFilter { reason: reason("beg"), ..all.clone() }, &[]),
        (EventFilter { instance_id: Some(of(2)), reason: reason("begin"), ..all.clone() }, &[3]),
        (EventFilter { from: Some(at(10)), ..all.clone() }, &[5, 4, 3, 2]),
        (EventFilter { to: Some(at(10)), ..all.clone() }, &[1]),
        (EventFilter { from: Some(at(20)), to: Some(at(2 * DAY)), ..all.clone() }, &[4, 3]),
        (EventFilter { reason: reason("update"), from: Some(at(11)), ..all.clone() }, &[4]),
    ];
    for (filter, expected) in cases {
        let found = store.events(&filter, None, 10).await.unwrap();
        let sequences: Vec<_> = found.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, expected, "{filter:?}");
    }
    assert_eq!(store.events(&all, None, 2).await.unwrap().len(), 2);
}

async fn paging_through_events_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let all: Vec<_> = (0..60_i64)
        .map(|number| {
            let (instance, day) = (number as u128 % 3, number % 2);
            event(
                instance,
                1,
                number * 7_919 % 60,
                number / 20 + day * DAY,
                ["begin", "update"][day as usize],
            )
        })
        .collect();
    store.append(&all).await.unwrap();
    let mut expected: Vec<_> = all.iter().cloned().map(stored).collect();
    expected.sort_by_key(|event| std::cmp::Reverse((event.received_at, event.instance_id, event.id)));
    let everything = EventFilter::default();
    for (filter, limit) in [
        (everything.clone(), 1),
        (everything.clone(), 7),
        (EventFilter { instance_id: Some(of(2)), ..everything.clone() }, 3),
        (EventFilter { reason: Some("begin".to_owned()), ..everything.clone() }, 4),
        (EventFilter { from: Some(at(1)), to: Some(at(DAY + 2)), ..everything }, 4),
    ] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.events(&filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            let (received_at, instance_id, id) = (last.received_at, last.instance_id, last.id);
            after = Some(EventCursor { received_at, instance_id, id });
            seen.extend(page);
        }
        let expected: Vec<_> = expected
            .iter()
            .filter(|event| filter.instance_id.is_none_or(|id| id == event.instance_id))
            .filter(|event| filter.reason.as_ref().is_none_or(|reason| *reason == event.reason))
            .filter(|event| filter.from.is_none_or(|from| event.received_at >= from))
            .filter(|event| filter.to.is_none_or(|to| event.received_at < to))
            .cloned()
            .collect();
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn a_deleted_event_is_gone_and_what_it_said_stays(database: &impl Database) {
    let store = started(database).await;
    let begin = event(1, 1, 1, 0, "begin");
    store.append(&[begin.clone(), event(2, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    let run = store.runs(of(1), 10).await.unwrap();
    assert!(store.delete_event(of(1), begin.id).await.unwrap());
    assert!(!store.delete_event(of(1), begin.id).await.unwrap());
    assert_eq!(store.event(of(1), begin.id).await.unwrap(), None);
    assert_eq!(all_events(&store).await.len(), 1);
    assert_eq!(store.runs(of(1), 10).await.unwrap(), run);
    assert_eq!(store.transitions(of(1), 10).await.unwrap().len(), 1);
    assert!(judged(&store, at(1)).await.is_empty());
}

async fn what_is_old_is_forgotten(database: &impl Database) {
    let store = started(database).await;
    store
        .append(&[
            event(1, 1, 1, 0, "begin"),
            event(2, 2, 1, 0, "begin"),
            event(2, 3, 1, 6 * DAY, "begin"),
            event(3, 4, 1, 6 * DAY, "begin"),
        ])
        .await
        .unwrap();
    // What became of the first and the third is delivered, the second waits.
    judged(&store, at(6 * DAY)).await;
    let digest = store.take_digest(at(6 * DAY), &|_| at(8 * DAY), 2).await.unwrap().unwrap();
    store.digest_delivered(digest.id, at(6 * DAY)).await.unwrap();

    let two_days = Duration::from_secs(2 * 86_400);
    for _ in 0..2 {
        store.tidy(at(7 * DAY), two_days).await.unwrap();
        let events: Vec<_> = all_events(&store).await.iter().map(|event| event.run_id).collect();
        assert_eq!(events, [of(4), of(3)]);
        assert_eq!(store.instance(of(1)).await.unwrap(), None);
        assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
        assert_eq!(store.transitions(of(1), 10).await.unwrap(), []);
        let runs: Vec<_> = store.runs(of(2), 10).await.unwrap().iter().map(|run| run.run_id).collect();
        assert_eq!(runs, [of(3)]);
        assert_eq!(store.transitions(of(2), 10).await.unwrap().len(), 1);
        assert_eq!(all_instances(&store).await.len(), 2);
        assert_eq!(store.waiting_alerts().await.unwrap(), 1);
    }
    store.tidy(at(7 * DAY), Duration::from_secs(u64::MAX)).await.unwrap();
    assert_eq!(all_events(&store).await.len(), 2);
    store.append(&[event(1, 1, 2, 7 * DAY, "update")]).await.unwrap();
    assert!(judged(&store, at(7 * DAY)).await.contains(&of(1)), "it is new again");
    store.tidy(at(12 * DAY), two_days).await.unwrap();
    assert_eq!(all_events(&store).await, []);
    assert_eq!(all_instances(&store).await, []);
    assert!(store.waiting_alerts().await.unwrap() > 0, "somebody is still to be told");
}

async fn what_is_not_there_is_not_found(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.instance(of(1)).await.unwrap(), None);
    assert_eq!(store.event(of(1), of(1)).await.unwrap(), None);
    assert!(!store.delete_event(of(1), of(1)).await.unwrap());
    assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), []);
    assert_eq!(all_instances(&store).await, []);
}

/// Events of three runs, with times that know nothing of their numbers, and an order in which they come in batches,
/// some of them twice.
fn arrivals() -> impl Strategy<Value = (Vec<NewEvent>, Vec<Vec<NewEvent>>)> {
    let reasons =
        prop::sample::select(vec!["begin", "update", "update", "license-state-change", "end", "hello"]);
    let frequency = prop::option::of(1..4_i32);
    let outline = (1..=3_u128, 0..40_i64, reasons, frequency, 0..3_u8);
    prop::collection::vec(outline, 1..14)
        .prop_map(|events| {
            let numbered = events.into_iter().enumerate();
            let events = numbered.map(|(number, (run, seconds, reason, frequency, version))| NewEvent {
                frequency,
                facts: facts(&version.to_string()),
                ..event(0, run, number as i64, seconds * 4_000, reason)
            });
            events.collect::<Vec<_>>()
        })
        .prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().chain(events.iter().step_by(3)).cloned().collect();
            let cuts = prop::collection::vec(any::<bool>(), twice.len());
            (Just(events), Just(twice).prop_shuffle(), cuts)
        })
        .prop_map(|(events, shuffled, cuts)| {
            let mut batches = vec![Vec::new()];
            for (event, cut) in shuffled.into_iter().zip(cuts) {
                if cut {
                    batches.push(Vec::new());
                }
                batches.last_mut().unwrap().push(event);
            }
            (events, batches)
        })
}

/// All that is known of an instance, but for its id.
async fn known(store: &Arc<dyn FleetStore>, id: Uuid) -> impl PartialEq + std::fmt::Debug + use<> {
    let filter = EventFilter { instance_id: Some(id), ..EventFilter::default() };
    let mut events = store.events(&filter, None, 100).await.unwrap();
    events.iter_mut().for_each(|event| event.instance_id = Uuid::nil());
    let mut instance = store.instance(id).await.unwrap().unwrap();
    instance.instance_id = Uuid::nil();
    (instance, store.runs(id, 10).await.unwrap(), events, store.transitions(id, 10).await.unwrap())
}

fn the_order_of_arrival_does_not_matter(database: &impl Database) {
    let runtime = runtime();
    let store = runtime.block_on(started(database));
    let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..ProptestConfig::default() });
    let arrives = async |id: Uuid, events: &[NewEvent]| {
        let events: Vec<_> =
            events.iter().map(|event| NewEvent { instance_id: id, ..event.clone() }).collect();
        store.append(&events).await.unwrap();
    };
    let done = runner.run(&arrivals(), |(in_order, batches)| {
        runtime.block_on(async {
            let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
            arrives(one, &in_order).await;
            for batch in &batches {
                arrives(other, batch).await;
            }
            let now = at(3 * DAY);
            prop_assert_eq!(judged(&store, now).await.len(), 2);
            prop_assert_eq!(known(&store, one).await, known(&store, other).await);
            Ok(())
        })
    });
    done.unwrap();
}
