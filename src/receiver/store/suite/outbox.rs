//! The outbox of alerts.

use futures_util::future::join_all;

use super::*;

suite! {
    a_digest_is_taken_once_and_keeps_its_content
    a_delivered_digest_is_not_taken_again
    receivers_that_deliver_at_the_same_time_take_different_digests
    digests_that_wait_are_listed_with_their_last_failure
    a_digest_is_given_up
    the_latest_alert_of_an_instance_is_found
}

/// Makes an alert for each of these instances, a second apart.
async fn alerts(store: &Arc<dyn FleetStore>, numbers: std::ops::RangeInclusive<u128>) {
    let events: Vec<_> = numbers.map(|number| event(number, 1, 1, number as i64, "begin")).collect();
    store.append(&events).await.unwrap();
    judged(store, at(1_000)).await;
}

fn instances_in(digest: &Digest) -> Vec<u128> {
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
    assert_eq!((instances_in(&first), first.tries), (vec![1, 2, 3], 1));
    let second = take(1_000).await.unwrap();
    assert_eq!((instances_in(&second), second.tries), (vec![4, 5], 1));
    assert_ne!(first.id, second.id);
    assert_eq!(take(1_099).await, None);
    assert_eq!(store.waiting_alerts().await.unwrap(), 5);

    store.digest_delivered(second.id, at(1_099)).await.unwrap();
    assert_eq!(store.waiting_alerts().await.unwrap(), 3);
    alerts(&store, 6..=6).await;
    let again = take(1_100).await;
    assert_eq!(
        again,
        Some(Digest { tries: 2, ..first.clone() }),
        "the digest that waits longest comes first"
    );
    let third = take(1_100).await.unwrap();
    assert_eq!((instances_in(&third), third.tries), (vec![6], 1));
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

async fn receivers_that_deliver_at_the_same_time_take_different_digests(database: &impl Database) {
    let store = started(database).await;
    alerts(&store, 1..=12).await;
    for now in [1_000, 2_000] {
        let take = async |_| {
            let store = database.store();
            store.take_digest(at(now), &|_| at(now + 1_000), 3).await.unwrap()
        };
        let mut taken: Vec<_> = join_all((0..6).map(take)).await.into_iter().flatten().collect();
        // Two receivers that look at the same time may see the same alerts; then one of them takes none.
        while let Some(digest) = store.take_digest(at(now), &|_| at(now + 1_000), 3).await.unwrap() {
            taken.push(digest);
        }
        let mut instances: Vec<_> = taken.iter().flat_map(instances_in).collect();
        instances.sort();
        assert_eq!(instances, (1..=12).collect::<Vec<_>>());
    }
}

async fn digests_that_wait_are_listed_with_their_last_failure(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.waiting_digests(10).await.unwrap(), []);
    assert_eq!(store.last_delivery().await.unwrap(), None);
    alerts(&store, 1..=5).await;
    let fresh =
        WaitingDigest { id: None, alerts: 5, since: at(1), tries: 0, next_try_at: None, failure: None };
    assert_eq!(store.waiting_digests(10).await.unwrap(), std::slice::from_ref(&fresh));
    let first = store.take_digest(at(1_000), &|_| at(1_100), 3).await.unwrap().unwrap();
    store.digest_failed(first.id, at(1_001), "status 503").await.unwrap();
    store.digest_failed(of(7), at(1_001), "status 503").await.unwrap();
    let failed = WaitingDigest {
        id: Some(first.id),
        alerts: 3,
        tries: 1,
        next_try_at: Some(at(1_100)),
        failure: Some((at(1_001), "status 503".to_owned())),
        ..fresh.clone()
    };
    let rest = WaitingDigest { alerts: 2, since: at(4), ..fresh };
    assert_eq!(store.waiting_digests(10).await.unwrap(), [failed.clone(), rest.clone()]);
    assert_eq!(store.waiting_digests(1).await.unwrap(), std::slice::from_ref(&failed));
    store.digest_failed(first.id, at(1_002), "it did not answer").await.unwrap();
    let again = WaitingDigest { failure: Some((at(1_002), "it did not answer".to_owned())), ..failed };
    assert_eq!(store.waiting_digests(10).await.unwrap(), [again, rest.clone()]);
    store.digest_delivered(first.id, at(1_003)).await.unwrap();
    assert_eq!(store.waiting_digests(10).await.unwrap(), [rest]);
    assert_eq!(store.last_delivery().await.unwrap(), Some(at(1_003)));
}

async fn a_digest_is_given_up(database: &impl Database) {
    let store = started(database).await;
    alerts(&store, 1..=3).await;
    let first = store.take_digest(at(1_000), &|_| at(1_100), 2).await.unwrap().unwrap();
    assert!(!store.give_up_digest(of(7)).await.unwrap());
    assert!(store.give_up_digest(first.id).await.unwrap());
    assert!(!store.give_up_digest(first.id).await.unwrap());
    assert_eq!(store.waiting_alerts().await.unwrap(), 1);
    let second = store.take_digest(at(2_000), &|_| at(2_100), 2).await.unwrap().unwrap();
    assert_eq!(instances_in(&second), [3]);
    store.digest_delivered(second.id, at(2_001)).await.unwrap();
    assert!(!store.give_up_digest(second.id).await.unwrap(), "it is delivered");
}

async fn the_latest_alert_of_an_instance_is_found(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.latest_alert(of(1)).await.unwrap(), None);
    alerts(&store, 1..=2).await;
    let digest = store.take_digest(at(1_000), &|_| at(1_100), 10).await.unwrap().unwrap();
    store.digest_failed(digest.id, at(1_001), "status 503").await.unwrap();
    let up = LatestAlert {
        transition: state_change(at(1), None, State::Up),
        delivered_at: None,
        failure: Some((at(1_001), "status 503".to_owned())),
    };
    assert_eq!(store.latest_alert(of(1)).await.unwrap(), Some(up.clone()));
    store.digest_delivered(digest.id, at(1_002)).await.unwrap();
    let delivered = LatestAlert { delivered_at: Some(at(1_002)), ..up };
    assert_eq!(store.latest_alert(of(1)).await.unwrap(), Some(delivered));
    judged(&store, at(DAY)).await;
    let down = state_change(at(3_601), Some(State::Up), State::Down);
    let waiting = LatestAlert { transition: down, delivered_at: None, failure: None };
    assert_eq!(store.latest_alert(of(1)).await.unwrap(), Some(waiting));
    assert_eq!(store.latest_alert(of(3)).await.unwrap(), None);
}
