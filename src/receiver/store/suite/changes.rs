//! The latest changes of the whole fleet.

use super::*;

suite! {
    the_latest_changes_of_the_fleet_come_first
    changes_are_of_a_key_or_of_a_kind
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
    let filter =
        |key: Option<u128>, kinds: &[Change]| ChangeFilter { key_id: key.map(of), kinds: kinds.to_vec() };
    assert_eq!(latest(&store, &filter(Some(7), &[]), 10).await, told(&[(2, "down"), (2, "up")]));
    assert_eq!(latest(&store, &filter(Some(7), &[]), 1).await, told(&[(2, "down")]));
    assert_eq!(latest(&store, &filter(Some(8), &[]), 10).await, []);
    assert_eq!(latest(&store, &filter(None, &[Change::License, Change::Version]), 10).await, []);
    assert_eq!(latest(&store, &filter(Some(99), &[Change::State]), 10).await.len(), 2);
}
