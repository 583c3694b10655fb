//! The census.

use futures_util::future::join_all;
use jiff::civil::Date;

use super::*;
use crate::receiver::judging::judgement::decide;

suite! {
    the_census_counts_the_active_by_what_they_run
    an_instance_that_is_heard_is_active_however_long_ago_it_was_judged
    receivers_that_count_at_the_same_time_count_once
    the_last_count_of_a_day_stays
    the_first_census_counts_the_days_before_it_once
    upgrades_are_counted_and_those_after_the_last_census_of_a_day_the_day_after
    a_census_is_kept_for_five_years_and_none_of_the_future
    the_census_is_filtered
}

/// The day that is this many days after that of every test's beginning.
fn day(number: i64) -> Date {
    days_after(day_of(at(0)), number)
}

/// Number of active instances of each version on one day.
async fn versions_on(store: &Arc<dyn FleetStore>, number: i64) -> Vec<(String, i64)> {
    let (day, all) = (day(number), CensusFilter::default());
    let mut points = store.census_points(day, day, Division::Version, &all).await.unwrap();
    points.sort_by(|one, other| one.version.cmp(&other.version));
    points.into_iter().map(|point| (point.version.unwrap(), point.count)).collect()
}

fn versions(versions: &[(&str, i64)]) -> Vec<(String, i64)> {
    versions.iter().map(|(version, count)| ((*version).to_owned(), *count)).collect()
}

async fn days(store: &Arc<dyn FleetStore>) -> Vec<(Date, i64)> {
    let all = CensusFilter::default();
    let days = store.census_days(Date::constant(1970, 1, 1), Date::constant(2100, 1, 1), &all);
    days.await.unwrap().into_iter().map(|counted| (counted.day, counted.upgrades)).collect()
}

async fn the_census_counts_the_active_by_what_they_run(database: &impl Database) {
    let store = started(database).await;
    let silent = |days: i64| Instance { first_seen_at: at(-days * DAY), ..instance(0, State::Down, 0) };
    store.make_room(at(-20 * DAY)).await.unwrap();
    store.make_room(at(-13 * DAY)).await.unwrap();
    instances_that_are(
        &store,
        &[
            instance(1, State::Up, 0),
            instance(2, State::Late, 0),
            instance(3, State::Ended, 0),
            Instance { instance_id: of(4), ..silent(13) },
            Instance { instance_id: of(5), ..silent(15) },
            Instance {
                facts: Facts { license_valid: false, ..facts("v2.0.1") },
                ..instance(6, State::Up, 0)
            },
        ],
    )
    .await;
    // Once more, and by another receiver.
    for receiver in [store.clone(), store.clone(), database.store()] {
        receiver.take_census(at(600)).await.unwrap();
        let mut rows = store.census_rows(&[day(0)], &CensusFilter::default()).await.unwrap();
        rows.sort_by_key(|row| row.count);
        let kind = |version: &str, license_valid| Kind {
            key_id: of(99),
            product: "example-server".to_owned(),
            build_version: version.to_owned(),
            build_time: "2026-11-01T00:00:00Z".to_owned(),
            build_os: "linux".to_owned(),
            build_arch: "amd64".to_owned(),
            license_valid,
        };
        let row = |version: &str, license_valid, count| CensusRow {
            day: day(0),
            kind: kind(version, license_valid),
            release: Release::of(version),
            count,
        };
        assert_eq!(rows, [row("v2.0.1", false, 1), row("1.0", true, 3)]);
    }
}

async fn an_instance_that_is_heard_is_active_however_long_ago_it_was_judged(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    store.append(&[event(1, 1, 2, 6 * DAY, "update")]).await.unwrap();
    store.take_census(at(18 * DAY)).await.unwrap();
    assert_eq!(versions_on(&store, 18).await, versions(&[("1.0", 1)]));
    store.take_census(at(20 * DAY)).await.unwrap();
    assert_eq!(versions_on(&store, 20).await, [], "fourteen days have passed");
    assert_eq!(versions_on(&store, 18).await, versions(&[("1.0", 1)]));
}

async fn receivers_that_count_at_the_same_time_count_once(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=30).map(|number| event(number, number, 1, 0, "begin")).collect();
    store.append(&events).await.unwrap();
    judged(&store, at(0)).await;
    let receivers: Vec<_> = (0..4).map(|_| database.store()).collect();
    for number in [0, 1] {
        let taken = receivers.iter().map(|receiver| receiver.take_census(at(number * DAY)));
        for taken in join_all(taken).await {
            taken.unwrap();
        }
        assert_eq!(versions_on(&store, number).await, versions(&[("1.0", 30)]));
    }
    assert_eq!(days(&store).await, [(day(0), 0), (day(1), 0)]);
}

async fn the_last_count_of_a_day_stays(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    store.take_census(at(60)).await.unwrap();
    assert_eq!(versions_on(&store, 0).await, versions(&[("1.0", 2)]));
    let newer = NewEvent { facts: facts("2.0"), ..event(3, 3, 1, 3_600, "begin") };
    store.append(&[newer]).await.unwrap();
    store.take_census(at(3_660)).await.unwrap();
    let last = versions(&[("1.0", 2), ("2.0", 1)]);
    assert_eq!(versions_on(&store, 0).await, last);

    store.append(&[event(1, 1, 2, DAY, "end"), event(2, 2, 2, DAY, "end")]).await.unwrap();
    judged(&store, at(DAY)).await;
    store.take_census(at(DAY + 60)).await.unwrap();
    assert_eq!(versions_on(&store, 0).await, last);
    assert_eq!(versions_on(&store, 1).await, versions(&[("2.0", 1)]));
    // Whatever becomes of the instances.
    store.tidy(at(100 * DAY), Duration::from_secs(86_400)).await.unwrap();
    store.take_census(at(100 * DAY)).await.unwrap();
    assert_eq!(versions_on(&store, 0).await, last);
    assert_eq!(days(&store).await, [(day(0), 0), (day(1), 0), (day(100), 0)]);
}

async fn the_first_census_counts_the_days_before_it_once(database: &impl Database) {
    let store = started(database).await;
    let newer = |event: NewEvent| NewEvent { facts: facts("2.0"), ..event };
    store
        .append(&[
            event(1, 1, 1, 0, "begin"),
            event(1, 1, 2, 3 * DAY, "update"),
            event(2, 2, 1, DAY, "begin"),
            event(2, 2, 2, 2 * DAY, "end"),
            // The first run was killed.
            event(3, 3, 1, 0, "begin"),
            newer(event(3, 4, 1, 2 * DAY, "begin")),
            newer(event(3, 4, 2, 4 * DAY, "update")),
            // Two replicas, of which one ended.
            event(4, 5, 1, 0, "begin"),
            newer(event(4, 6, 1, 10, "begin")),
            event(4, 5, 2, 4 * DAY, "update"),
            newer(event(4, 6, 2, DAY, "end")),
        ])
        .await
        .unwrap();
    judged(&store, at(5 * DAY)).await;
    store.take_census(at(5 * DAY)).await.unwrap();
    let expected: [&[(&str, i64)]; 6] = [
        &[("1.0", 2), ("2.0", 1)],
        &[("1.0", 4)],
        &[("1.0", 2), ("2.0", 1)],
        &[("1.0", 2), ("2.0", 1)],
        &[("1.0", 2), ("2.0", 1)],
        &[("1.0", 2), ("2.0", 1)],
    ];
    for (number, expected) in (0..).zip(expected) {
        assert_eq!(versions_on(&store, number).await, versions(expected), "day {number}");
    }
    let counted: Vec<_> = (0..=5).map(|number| (day(number), 0)).collect();
    assert_eq!(days(&store).await, counted);

    // Once and for all.
    store.append(&[event(9, 9, 1, DAY, "begin")]).await.unwrap();
    store.take_census(at(7 * DAY)).await.unwrap();
    assert_eq!(versions_on(&store, 1).await, versions(&[("1.0", 4)]));
    assert_eq!(versions_on(&store, 6).await, []);
    assert_eq!(versions_on(&store, 7).await, versions(&[("1.0", 3), ("2.0", 1)]));

    let wanted = ["1.0", "2.0", "3.0"].map(str::to_owned);
    let first = store.first_days(&wanted).await.unwrap();
    let releases = [("1.0".to_owned(), day(0)), ("2.0".to_owned(), day(0))].into();
    assert_eq!(first, FirstDays { census: Some(day(0)), releases });
}

async fn upgrades_are_counted_and_those_after_the_last_census_of_a_day_the_day_after(
    database: &impl Database,
) {
    let store = started(database).await;
    let begin = async |instance, run, version: &str, seconds| {
        let event = NewEvent { facts: facts(version), ..event(instance, run, 1, seconds, "begin") };
        store.append(&[event]).await.unwrap();
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(seconds));
        store.judge(at(seconds), 10, &decide).await.unwrap();
    };
    begin(1, 1, "1.9", 0).await;
    begin(1, 2, "1.10", DAY).await;
    begin(1, 3, "1.9", 2 * DAY).await;
    store.take_census(at(2 * DAY)).await.unwrap();
    assert_eq!(days(&store).await, [(day(0), 0), (day(1), 1), (day(2), 0)]);

    begin(1, 4, "2.0", 2 * DAY + 3_600).await;
    store.take_census(at(3 * DAY)).await.unwrap();
    let counted = [(day(0), 0), (day(1), 1), (day(2), 1), (day(3), 0)];
    assert_eq!(days(&store).await, counted);
    // A day on which nobody counted is none of the census.
    begin(1, 5, "2.1", 4 * DAY).await;
    store.take_census(at(5 * DAY)).await.unwrap();
    assert_eq!(days(&store).await[4..], [(day(5), 0)]);

    let of_key = |number| CensusFilter { key_id: Some(of(number)), product: None };
    let upgrades = async |filter: CensusFilter| -> i64 {
        store.census_days(day(0), day(5), &filter).await.unwrap().iter().map(|day| day.upgrades).sum()
    };
    assert_eq!((upgrades(of_key(99)).await, upgrades(of_key(98)).await), (2, 0));
    let of_product = CensusFilter { key_id: None, product: Some("example-server".to_owned()) };
    assert_eq!(upgrades(of_product).await, 2);
}

async fn a_census_is_kept_for_five_years_and_none_of_the_future(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    // A clock that was ahead.
    store.take_census(at(10 * DAY)).await.unwrap();
    store.take_census(at(DAY)).await.unwrap();
    let all_days: Vec<_> = days(&store).await.into_iter().map(|(day, _)| day).collect();
    // Tomorrow is counted anew when it comes.
    assert_eq!(all_days, [day(0), day(1), day(2)]);
    assert_eq!(versions_on(&store, 10).await, []);
    store.take_census(at(1_830 * DAY)).await.unwrap();
    assert_eq!(versions_on(&store, 0).await, versions(&[("1.0", 1)]));
    store.take_census(at(1_831 * DAY)).await.unwrap();
    assert_eq!((versions_on(&store, 0).await, versions_on(&store, 1).await.len()), (vec![], 1));
    let all_days: Vec<_> = days(&store).await.into_iter().map(|(day, _)| day).collect();
    assert_eq!(all_days, [day(1), day(2), day(1_830), day(1_831)]);
}

async fn the_census_is_filtered(database: &impl Database) {
    let store = started(database).await;
    let of_key = |instance: u128, key: u128, product: &str| {
        let facts = Facts { key_id: of(key), product: product.to_owned(), ..facts("1.0.3") };
        NewEvent { facts, ..event(instance, instance, 1, 0, "begin") }
    };
    store.append(&[of_key(1, 7, "a"), of_key(2, 7, "b"), of_key(3, 8, "a")]).await.unwrap();
    store.take_census(at(0)).await.unwrap();
    let product = |product: &str| Some(product.to_owned());
    for (filter, count) in [
        (CensusFilter { key_id: None, product: None }, 3),
        (CensusFilter { key_id: Some(of(7)), product: None }, 2),
        (CensusFilter { key_id: None, product: product("a") }, 2),
        (CensusFilter { key_id: Some(of(8)), product: product("a") }, 1),
        (CensusFilter { key_id: Some(of(8)), product: product("b") }, 0),
    ] {
        let points = store.census_points(day(0), day(0), Division::Release, &filter).await.unwrap();
        let point = CensusPoint { day: day(0), release: "1.0".to_owned(), version: None, count };
        assert_eq!(points, if count == 0 { vec![] } else { vec![point] }, "{filter:?}");
        let rows = store.census_rows(&[day(0), day(1)], &filter).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.count).sum::<i64>(), count, "{filter:?}");
    }
    assert_eq!(store.census_rows(&[], &CensusFilter::default()).await.unwrap(), []);
    assert_eq!(
        store.census_points(day(1), day(5), Division::Release, &CensusFilter::default()).await.unwrap(),
        []
    );
}
