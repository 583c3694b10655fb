//! The latest changes of the whole fleet.

use super::*;

suite! {
    the_latest_changes_of_the_fleet_come_first
    changes_are_of_a_key_or_of_a_kind
    what_is_told_is_found_among_what_is_not
}

/// Two instances, the second of another key and with a name: each is up, then down.
async fn changed(store: &Arc<dyn FleetStore>) {
    let other = Facts { key_id: of(7), custom_id: Some("Site-2".to_owned()), ..facts("1.0") };
    let events = [event(1, 1, 1, 0, "begin"), NewEvent { facts: other, ..event(2, 2, 1, 10, "begin") }];
    store.append(&events).await.unwrap();
    judged(store, at(10)).await;
    judged(store, at(DAY)).await;
}

/// The instances and what they changed to.
async fn latest(store: &Arc<dyn FleetStore>, filter: &ChangeFilter, limit: i64) -> Vec<(u128, String)> {
    let found = store.latest_changes(filter, limit).await.unwrap();
    found.iter().map(|change| (change.instance_id.as_u128(), change.transition.to.clone())).collect()
}

fn told(changes: &[(u128, &str)]) -> Vec<(u128, String)> {
    changes.iter().map(|(id, to)| (*id, (*to).to_owned())).collect()
}

async fn the_latest_changes_of_the_fleet_come_first(database: &impl Database) {
    let store = started(database).await;
    let all = ChangeFilter::default();
    assert_eq!(latest(&store, &all, 10).await, []);
    changed(&store).await;
    assert_eq!(latest(&store, &all, 10).await, told(&[(2, "down"), (1, "down"), (2, "up"), (1, "up")]));
    assert_eq!(latest(&store, &all, 2).await, told(&[(2, "down"), (1, "down")]));
    let first = store.latest_changes(&all, 1).await.unwrap().remove(0);
    let expected = FleetChange {
        instance_id: of(2),
        custom_id: Some("Site-2".to_owned()),
        key_id: of(7),
        license: License::Valid,
        transition: state_change(at(3_610), Some(State::Up), State::Down),
    };
    assert_eq!(first, expected);
    store.forget(&Doomed::One(of(2)), at(DAY), None, false).await.unwrap();
    assert_eq!(latest(&store, &all, 10).await, told(&[(1, "down"), (1, "up")]));
}

async fn changes_are_of_a_key_or_of_a_kind(database: &impl Database) {
    let store = started(database).await;
    changed(&store).await;
    let filter = |key: Option<u128>, kinds: &[Change]| ChangeFilter {
        key_id: key.map(of),
        kinds: kinds.to_vec(),
        told: false,
    };
    assert_eq!(latest(&store, &filter(Some(7), &[]), 10).await, told(&[(2, "down"), (2, "up")]));
    assert_eq!(latest(&store, &filter(Some(7), &[]), 1).await, told(&[(2, "down")]));
    assert_eq!(latest(&store, &filter(Some(8), &[]), 10).await, []);
    assert_eq!(latest(&store, &filter(None, &[Change::License, Change::Version]), 10).await, []);
    assert_eq!(latest(&store, &filter(Some(99), &[Change::State]), 10).await.len(), 2);
}

async fn what_is_told_is_found_among_what_is_not(database: &impl Database) {
    let store = started(database).await;
    let change = |seconds, change, from: &str, to: &str| Transition {
        at: at(seconds),
        change,
        from: (!from.is_empty()).then(|| from.to_owned()),
        to: to.to_owned(),
    };
    let state = |seconds, from, to| change(seconds, Change::State, from, to);
    let license = |seconds, from, to| change(seconds, Change::License, from, to);
    let lost = |seconds| change(seconds, Change::RunLost, "", &of(7).to_string());
    // Each with the state in which it left the instance, and whether it is told.
    let mut story = vec![
        (state(0, "", "up"), State::Up, false),
        (lost(1), State::Up, false),
        (state(2, "up", "late"), State::Late, false),
        (state(3, "late", "down"), State::Down, true),
        (license(4, "valid", "invalid"), State::Down, true),
        (state(5, "down", "late"), State::Late, false),
        (state(6, "late", "down"), State::Down, true),
        (state(7, "down", "up"), State::Up, true),
        (license(8, "invalid", "valid"), State::Up, false),
        (change(9, Change::Version, "1.0", "down"), State::Up, false),
        (state(10, "up", "down"), State::Down, true),
        (state(11, "down", "ended"), State::Ended, true),
        (lost(11), State::Ended, true),
        (lost(12), State::Ended, true),
        (state(13, "ended", "up"), State::Up, false),
        (lost(14), State::Up, false),
        (state(15, "up", "ended"), State::Ended, false),
        (state(16, "ended", "up"), State::Up, false),
    ];
    let flaps = (0..150).map(|number| match number % 2 {
        0 => (state(20 + number, "up", "late"), State::Late, false),
        _ => (state(20 + number, "late", "up"), State::Up, false),
    });
    story.extend(flaps);
    for (transition, left, is_told) in &story {
        assert_eq!(transition.is_told(*left), *is_told, "{transition:?}");
    }
    let transitions: Vec<Transition> = story.iter().map(|(transition, ..)| transition.clone()).collect();
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| match instance.instance_id.as_u128() {
        1 => Judgement { transitions: transitions.clone(), ..decided(at(0), instance, runs) },
        // Another one that ended says nothing of the first.
        _ => Judgement { transitions: vec![state(0, "up", "ended")], ..decided(at(0), instance, runs) },
    };
    store.judge(at(0), 10, &decide).await.unwrap();
    let told = ChangeFilter { told: true, ..ChangeFilter::default() };
    let found = store.latest_changes(&told, 100).await.unwrap();
    let mut found: Vec<Transition> = found.into_iter().map(|change| change.transition).collect();
    // At one moment, the order is that of the names.
    found.sort_by_key(|transition| (transition.at, transition.change == Change::RunLost));
    let expected: Vec<Transition> =
        story.into_iter().filter(|(.., is_told)| *is_told).map(|(transition, ..)| transition).collect();
    assert_eq!(found, expected);
    let last = store.latest_changes(&told, 1).await.unwrap().remove(0).transition;
    assert_eq!(last, lost(12));
}
