//! Both stores give the same answers after the same history.
//!
//! Histories are generated: instances with several runs, repeated events, events out of order and from clocks
//! that differ, changes of licenses and versions, ends, judgements, digests, keys, outages, and forgetting.
//! The environment variable `STORE_HISTORIES` sets their number.

mod histories;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::receiver::judging::judgement::decide;
use histories::{Action, History, Step, steps};

const HISTORIES: u32 = 40;

/// Does something with both stores, and compares the answers.
macro_rules! both {
    ($stores:expr, |$store:ident| $call:expr) => {{
        let [sqlite, postgres] = $stores;
        let one = {
            let $store = sqlite;
            $call
        };
        let other = {
            let $store = postgres;
            $call
        };
        prop_assert_eq!(&one, &other, "SQLite is left, PostgreSQL is right");
        one
    }};
}

type Stores = [Arc<dyn FleetStore>; 2];

async fn take(stores: &Stores, history: &mut History, (passes, action): &Step) -> Result<(), TestCaseError> {
    history.now += passes;
    history.step += 1;
    let now = at(history.now);
    for store in stores {
        store.make_room(now).await.unwrap();
    }
    let key =
        |index: &Index| history.keys.get(index.index(history.keys.len().max(1))).copied().unwrap_or_default();
    match action {
        Action::Append(outlines) => {
            let events: Vec<_> = outlines.iter().map(|outline| history.event(outline)).collect();
            both!(stores, |store| store.append(&events).await.unwrap());
        }
        Action::Judge => judge_both(stores, now, &history.outages).await?,
        Action::TakeDigest { is_delivered } => take_digest(stores, now, history.step, *is_delivered).await?,
        Action::AddKey { name } => {
            // The first two of them send events, too.
            let number = history.keys.len() + 1;
            let id = of(number as u128);
            let new = keys::key(number as u8, name);
            both!(stores, |store| store.add_key(&new).await.unwrap());
            history.keys.push(id);
        }
        Action::RevokeKey(index) => {
            both!(stores, |store| store.revoke_key(key(index), now).await.unwrap());
        }
        Action::ReplaceSecrets { key: index, count } => {
            let secrets: [SecretString; 3] = ["one".into(), "two".into(), "three".into()];
            let before = if *count == 1 { &[] } else { &secrets[..1] };
            let id = key(index);
            both!(stores, |store| store.set_key_secrets(id, before, &secrets[..*count]).await.unwrap());
        }
        Action::TouchKey { key: index, ago } => {
            let used = [(key(index), at(history.now - ago))];
            both!(stores, |store| store.touch_keys(&used).await.unwrap());
        }
        Action::Mark => {
            let outage_after = Duration::from_secs(3_600);
            history.outages = both!(stores, |store| store.mark(by(now), outage_after).await.unwrap()).outages;
        }
        Action::MoveInstance { instance, key: index } => {
            let (instance, key) = (of(*instance), key(index));
            both!(stores, |store| store.move_instance(instance, key, now).await.unwrap());
        }
        Action::NoteFlood(index) => {
            both!(stores, |store| store.note_flood(key(index), 7, now, true).await.unwrap());
        }
        Action::DeleteEvent(index) => {
            let (instance_id, id) =
                history.sent.get(index.index(history.sent.len().max(1))).copied().unwrap_or_default();
            both!(stores, |store| store.delete_event(instance_id, id).await.unwrap());
        }
        Action::Forget { days } => {
            // PostgreSQL forgets the events of whole days only, in UTC.
            let midnight = now.as_second().rem_euclid(DAY);
            let retention = Duration::from_secs((days * DAY + midnight).unsigned_abs());
            both!(stores, |store| store.tidy(now, retention).await.unwrap());
        }
        Action::ForgetInstances(doomed) => {
            both!(stores, |store| store.count_doomed(doomed, now).await.unwrap());
            both!(stores, |store| store.forget(doomed, now, None, true).await.unwrap());
        }
        Action::TakeCensus => {
            both!(stores, |store| store.take_census(now).await.unwrap());
        }
    }
    Ok(())
}

/// Judges with both stores, and compares what they gave to be judged.
async fn judge_both(stores: &Stores, now: Timestamp, outages: &[Outage]) -> Result<(), TestCaseError> {
    both!(stores, |store| {
        let given = Mutex::new(Vec::new());
        let callback = |instance: &Instance, runs: &[Run]| {
            given.lock().unwrap().push((instance.clone(), runs.to_vec()));
            decide(instance, runs, outages, now)
        };
        let count = store.judge(now, 1_000, &callback).await.unwrap();
        let mut given = given.into_inner().unwrap();
        given.sort_by_key(|(instance, _)| instance.instance_id);
        (count, given)
    });
    Ok(())
}

async fn take_digest(
    stores: &Stores,
    now: Timestamp,
    step: i64,
    is_delivered: bool,
) -> Result<(), TestCaseError> {
    both!(stores, |store| {
        // Two digests that are due at the same time may be taken in any order.
        let next_try =
            |tries: i32| now + SignedDuration::from_micros(i64::from(tries) * 1_000_000_000 + step);
        let digest = store.take_digest(now, &next_try, 1_000).await.unwrap();
        if let Some(digest) = digest.as_ref().filter(|_| is_delivered) {
            store.digest_delivered(digest.id, now).await.unwrap();
        }
        digest.map(|digest| {
            let mut alerts: Vec<_> = digest
                .alerts
                .into_iter()
                .map(|alert| format!("{:?}", Alert { id: Uuid::nil(), ..alert }))
                .collect();
            alerts.sort();
            (digest.tries, alerts)
        })
    });
    Ok(())
}

async fn compare(stores: &Stores, history: &History) -> Result<(), TestCaseError> {
    let now = at(history.now);
    both!(stores, |store| store.waiting_alerts().await.unwrap());
    both!(stores, |store| store.last_delivery().await.unwrap());
    both!(stores, |store| store.shared_licenses(10).await.unwrap());
    both!(stores, |store| store.lost_licenses(at(0), 10).await.unwrap());
    for filter in [
        ChangeFilter::default(),
        ChangeFilter {
            key_id: Some(of(99)),
            kinds: vec![Change::State, Change::Version],
            turns: vec![Turn::Back, Turn::Down, Turn::Version],
            told: false,
        },
        ChangeFilter { told: true, ..ChangeFilter::default() },
    ] {
        let found = both!(stores, |store| store.latest_changes(&filter, None, 20).await.unwrap());
        let after = found.get(found.len() / 2).map(ChangeCursor::from);
        both!(stores, |store| store.latest_changes(&filter, after.as_ref(), 20).await.unwrap());
    }
    both!(stores, |store| {
        let mut groups = store.summary(now).await.unwrap();
        groups.sort_by_key(|group| format!("{group:?}"));
        groups
    });
    both!(stores, |store| {
        let keys = store.keys().await.unwrap();
        let shown = keys.iter().map(|key| {
            let secrets: Vec<_> =
                key.secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect();
            (key.id, key.name.clone(), key.hash, secrets, key.last_used_at, key.revoked_at)
        });
        shown.collect::<Vec<_>>()
    });
    for instance in 1..=3 {
        both!(stores, |store| store.instance(of(instance)).await.unwrap());
        both!(stores, |store| store.runs(of(instance), 10).await.unwrap());
        both!(stores, |store| store.transitions(of(instance), 100).await.unwrap());
        both!(stores, |store| store.event_marks(of(instance), at(history.now / 2), 20).await.unwrap());
    }
    both!(stores, |store| store.sights(at(history.now / 2), 20).await.unwrap());
    let all = EventFilter::default();
    for filter in [
        all.clone(),
        EventFilter { instance_id: Some(of(1)), ..all.clone() },
        EventFilter { reason: Some("update".to_owned()), ..all.clone() },
        EventFilter { from: Some(at(history.now / 3)), to: Some(at(history.now / 2)), ..all },
    ] {
        let events = both!(stores, |store| store.events(&filter, None, 1_000).await.unwrap());
        if let Some(StoredEvent { received_at, instance_id, id, .. }) = events.get(events.len() / 2).cloned()
        {
            let after = Some(EventCursor { received_at, instance_id, id });
            both!(stores, |store| store.events(&filter, after, 3).await.unwrap());
        }
    }
    compare_census(stores, now).await?;
    compare_instances(stores, now).await
}

async fn compare_census(stores: &Stores, now: Timestamp) -> Result<(), TestCaseError> {
    let (from, to) = (day_of(at(-DAY)), day_of(now));
    let all_days: Vec<_> = (0..=days_between(from, to)).map(|number| days_after(from, number)).collect();
    let all = CensusFilter::default();
    both!(stores, |store| store.census_days(from, to, &all).await.unwrap());
    both!(stores, |store| {
        let mut rows = store.census_rows(&all_days, &all).await.unwrap();
        rows.sort_by(|one, other| (one.day, &one.kind).cmp(&(other.day, &other.kind)));
        rows
    });
    for by in [Division::Release, Division::Version] {
        both!(stores, |store| {
            let mut points = store.census_points(from, to, by, &all).await.unwrap();
            points.sort_by_key(|point| (point.day, point.release.clone(), point.version.clone()));
            points
        });
    }
    both!(stores, |store| store.first_days(&["1.0".to_owned(), "2.0".to_owned()]).await.unwrap());
    let ids = [1, 2, 3].map(of);
    both!(stores, |store| store.strips(&ids, at(-DAY), now).await.unwrap());
    Ok(())
}

async fn compare_instances(stores: &Stores, now: Timestamp) -> Result<(), TestCaseError> {
    let all = InstanceFilter::default();
    let search = |text: &str| InstanceFilter { search: Some(text.to_owned()), ..InstanceFilter::default() };
    let yesterday = now - SignedDuration::from_hours(24);
    let mut filters = vec![
        all.clone(),
        InstanceFilter { licenses: vec![License::Invalid, License::None], ..all.clone() },
        InstanceFilter { licenses: vec![License::Invalid], ..all.clone() },
        InstanceFilter { license_hash: Some("0a0a".to_owned()), ..all.clone() },
        InstanceFilter { system: Some("linux/amd64".to_owned()), ..all.clone() },
        InstanceFilter { last_seen_before: Some(now - SignedDuration::from_mins(30)), ..all.clone() },
        InstanceFilter { states: vec![State::Down, State::Ended], ..all.clone() },
        InstanceFilter { ids: vec![of(1), of(2)], ..all.clone() },
        InstanceFilter {
            any_of: Some(vec![
                InstanceFilter { key_id: Some(of(99)), ..all.clone() },
                InstanceFilter { ids: vec![of(1)], restarting: Some(false), ..all.clone() },
            ]),
            ..all.clone()
        },
        InstanceFilter { build_version: Some("2.0".to_owned()), ..all.clone() },
        InstanceFilter { release: Some("2.0".to_owned()), ..all.clone() },
        InstanceFilter { older_than: Some(Release::of("2.0").key), ..all.clone() },
        InstanceFilter { crashed: Some(true), ..all.clone() },
        InstanceFilter { several_runs: Some(true), ..all.clone() },
        InstanceFilter { cloned: Some(true), ..all.clone() },
        InstanceFilter { restarting: Some(true), ..all.clone() },
        InstanceFilter { first_seen_after: Some(yesterday), ..all.clone() },
    ];
    filters.extend(State::ALL.map(|state| InstanceFilter { states: vec![state], ..all.clone() }));
    filters.extend(["münchen", "STRASSE", "STRAßE", "i̇zmir", "0%", "_", "00000000-0000", "1"].map(search));
    for (number, filter) in filters.into_iter().enumerate() {
        let sort = Sort::ALL[number % Sort::ALL.len()];
        compare_list(stores, &filter, sort).await?;
    }
    for sort in Sort::ALL {
        compare_list(stores, &all, sort).await?;
    }
    Ok(())
}

/// Compares a list and its second page, and the list with what the filter itself says.
async fn compare_list(stores: &Stores, filter: &InstanceFilter, sort: Sort) -> Result<(), TestCaseError> {
    let found = both!(stores, |store| store.instances(filter, sort, None, 10).await.unwrap());
    let all = stores[0].instances(&InstanceFilter::default(), sort, None, 10).await.unwrap();
    let matching: Vec<_> = all.into_iter().filter(|instance| filter.matches(instance)).collect();
    prop_assert_eq!(&found, &matching, "the store is left, the filter itself right: {:?}", filter);
    both!(stores, |store| store.count_by_state(filter).await.unwrap());
    if let Some(first) = found.first() {
        let after = Some(InstanceCursor::of(sort, first));
        let rest = both!(stores, |store| store.instances(filter, sort, after.clone(), 10).await.unwrap());
        prop_assert_eq!(&rest[..], &found[1..]);
    }
    Ok(())
}

#[test]
fn both_stores_give_the_same_answers_after_the_same_history() {
    const EMPTY: &str = "set search_path = public;
        delete from telemetry_event; delete from telemetry_run; delete from telemetry_instance;
        delete from telemetry_transition; delete from telemetry_alert; delete from telemetry_key;
        delete from telemetry_mark; delete from telemetry_outage; delete from telemetry_census;
        delete from telemetry_census_version;
        delete from telemetry_census_upgrade";
    let cases = std::env::var("STORE_HISTORIES").map_or(HISTORIES, |number| number.parse().unwrap());
    let database = PostgresDatabase::new();
    let runtime = runtime();
    let postgres = runtime.block_on(started(&database));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let done = TestRunner::new(config).run(&steps(), |steps| {
        database.0.execute(EMPTY);
        let file = SqliteDatabase::new();
        runtime.block_on(async {
            let stores = [started(&file).await, postgres.clone()];
            let mut history = History::default();
            for step in &steps {
                take(&stores, &mut history, step).await?;
            }
            compare(&stores, &history).await
        })
    });
    // The connections end before the database does.
    drop(postgres);
    drop(runtime);
    if let Err(error) = done {
        panic!("{error}");
    }
}
