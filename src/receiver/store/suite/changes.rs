//! The latest changes of the whole fleet.

use super::*;

suite! {
    the_latest_changes_of_the_fleet_come_first
    changes_are_of_a_key_or_of_a_kind
    what_is_told_is_found_among_what_is_not
    every_turn_is_found_as_it_is_meant
    paging_through_changes_shows_each_once_in_order
    what_is_rare_is_found_behind_those_that_are_looked_at_at_once
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
    let found = store.latest_changes(filter, None, limit).await.unwrap();
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
    let first = store.latest_changes(&all, None, 1).await.unwrap().remove(0);
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
        ..ChangeFilter::default()
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
    let found = store.latest_changes(&told, None, 100).await.unwrap();
    let mut found: Vec<Transition> = found.into_iter().map(|change| change.transition).collect();
    // At one moment, the order is that of the names.
    found.sort_by_key(|transition| (transition.at, transition.change == Change::RunLost));
    let expected: Vec<Transition> =
        story.into_iter().filter(|(.., is_told)| *is_told).map(|(transition, ..)| transition).collect();
    assert_eq!(found, expected);
    let last = store.latest_changes(&told, None, 1).await.unwrap().remove(0).transition;
    assert_eq!(last, lost(12));
}

async fn every_turn_is_found_as_it_is_meant(database: &impl Database) {
    let store = started(database).await;
    let change = |seconds, change, from: &str, to: &str| Transition {
        at: at(seconds),
        change,
        from: (!from.is_empty()).then(|| from.to_owned()),
        to: to.to_owned(),
    };
    let states = ["", "up", "late", "down", "ended"];
    let of_state = states.into_iter().flat_map(|from| states[1..].iter().map(move |to| (from, *to)));
    let mut all: Vec<_> =
        of_state.zip(1..).map(|((from, to), second)| change(second, Change::State, from, to)).collect();
    let others = [
        (Change::License, "valid", "invalid"),
        (Change::License, "invalid", "valid"),
        (Change::Version, "1.0", "2.0"),
        (Change::Product, "a", "b"),
        (Change::Key, "one", "two"),
        (Change::Id, "", "other"),
        (Change::RunLost, "", "run"),
    ];
    all.extend(others.into_iter().zip(50..).map(|((kind, from, to), second)| change(second, kind, from, to)));
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| Judgement {
        transitions: all.clone(),
        ..decided(at(DAY), instance, runs)
    };
    assert_eq!(store.judge(at(DAY), 10, &decide).await.unwrap(), 1);
    let mut found_of_all = 0;
    for turn in Turn::ALL {
        let filter = ChangeFilter { turns: vec![turn], ..ChangeFilter::default() };
        let found: Vec<_> = latest_of(&store, &filter).await;
        let is_it =
            |change: &&Transition| Turn::of(change.change, change.from.as_deref(), &change.to) == Some(turn);
        let meant: Vec<_> = all.iter().rev().filter(is_it).cloned().collect();
        assert_eq!(found, meant, "{turn:?}");
        found_of_all += found.len();
    }
    assert_eq!(found_of_all, all.len());
    let two =
        ChangeFilter { turns: vec![Turn::Id, Turn::Key], key_id: Some(of(99)), ..ChangeFilter::default() };
    assert_eq!(latest_of(&store, &two).await.len(), 2);
}

async fn latest_of(store: &Arc<dyn FleetStore>, filter: &ChangeFilter) -> Vec<Transition> {
    let found = store.latest_changes(filter, None, 100).await.unwrap();
    found.into_iter().map(|change| change.transition).collect()
}

async fn paging_through_changes_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    // Two instances with the same changes at the same times, some of them at one time.
    let change = |seconds: i64, change, to: &str| Transition {
        at: at(seconds),
        change,
        from: None,
        to: to.to_owned(),
    };
    let changes: Vec<_> = (0..6)
        .flat_map(|number| {
            let second = number / 2 * 10;
            [
                change(second, Change::Version, &format!("v{number}")),
                change(second, Change::Key, &format!("K{number}")),
            ]
        })
        .collect();
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| Judgement {
        transitions: changes.clone(),
        ..decided(at(DAY), instance, runs)
    };
    assert_eq!(store.judge(at(DAY), 10, &decide).await.unwrap(), 2);
    let of_versions = ChangeFilter { turns: vec![Turn::Version], ..ChangeFilter::default() };
    for (filter, count) in [(ChangeFilter::default(), 24), (of_versions, 12)] {
        let whole = store.latest_changes(&filter, None, 100).await.unwrap();
        assert_eq!(whole.len(), count);
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.latest_changes(&filter, after.as_ref(), 5).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(ChangeCursor::from(last));
            paged.extend(page);
        }
        assert_eq!(paged, whole);
        assert_eq!(store.last_looked_at(after.as_ref()).await.unwrap(), None, "there are few");
    }
}

async fn what_is_rare_is_found_behind_those_that_are_looked_at_at_once(database: &impl Database) {
    let store = started(database).await;
    let change = |second: i64, change| Transition { at: at(second), change, from: None, to: "a".to_owned() };
    let versions = (1..=LOOKED_AT).map(|second| change(second, Change::Version));
    let changes: Vec<_> = versions.chain([change(0, Change::Key)]).collect();
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| Judgement {
        transitions: changes.clone(),
        ..decided(at(DAY), instance, runs)
    };
    assert_eq!(store.judge(at(DAY), 10, &decide).await.unwrap(), 1);
    let of_keys = ChangeFilter { turns: vec![Turn::Key], ..ChangeFilter::default() };
    assert_eq!(latest_of(&store, &of_keys).await, []);
    let last = store.last_looked_at(None).await.unwrap().expect("there are more than are looked at");
    let expected =
        ChangeCursor { at: at(1), instance_id: of(1), change: Change::Version, to: "a".to_owned() };
    assert_eq!(last, expected);
    let found = store.latest_changes(&of_keys, Some(&last), 10).await.unwrap();
    assert_eq!(found.iter().map(|change| change.transition.at).collect::<Vec<_>>(), [at(0)]);
    assert_eq!(store.last_looked_at(Some(&last)).await.unwrap(), None, "nothing is behind");
}
