//! What is deleted by hand and by age.

use super::*;

suite! {
    a_deleted_event_is_gone_and_what_was_concluded_from_it_stays
    what_is_old_is_forgotten
    a_short_retention_forgets_no_instance_that_may_still_be_alive
    a_forgotten_instance_leaves_its_events_and_comes_back_as_new
    instances_are_forgotten_by_filter
    who_was_heard_since_it_was_judged_to_be_silent_is_not_forgotten
    a_key_forgets_what_was_silent_for_longer_than_it_says
    many_are_forgotten_in_pieces
}

async fn a_deleted_event_is_gone_and_what_was_concluded_from_it_stays(database: &impl Database) {
    let store = started(database).await;
    let begin = event(1, 1, 1, 0, "begin");
    store.append(&[begin.clone(), event(2, 2, 1, 0, "begin")]).await.unwrap();
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
    let end = |instance, run, seconds| event(instance, run, 2, seconds, "end");
    store
        .append(&[
            event(1, 1, 1, 0, "begin"),
            end(1, 1, 1),
            event(2, 2, 1, 0, "begin"),
            event(2, 3, 1, 6 * DAY, "begin"),
            event(3, 4, 1, 6 * DAY, "begin"),
        ])
        .await
        .unwrap();
    // The alerts of two instances are delivered, the third waits.
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
    store.append(&[event(1, 1, 3, 7 * DAY, "update")]).await.unwrap();
    assert!(judged(&store, at(7 * DAY)).await.contains(&of(1)), "it is new again");
    // All have been down since an hour after they were last seen.
    judged(&store, at(8 * DAY)).await;
    store.tidy(at(12 * DAY), two_days).await.unwrap();
    assert_eq!(all_events(&store).await, []);
    assert_eq!(all_instances(&store).await, []);
    for instance in 1..=3 {
        assert_eq!(store.runs(of(instance), 10).await.unwrap(), []);
    }
    assert!(store.waiting_alerts().await.unwrap() > 0, "an alert that was not delivered stays");
}

async fn a_short_retention_forgets_no_instance_that_may_still_be_alive(database: &impl Database) {
    let store = started(database).await;
    let weekly =
        |run, seconds| NewEvent { frequency: Some(7 * 86_400), ..event(1, run, 1, seconds, "begin") };
    // Two replicas, one seen after the other.
    store.append(&[weekly(1, 0), weekly(2, 60)]).await.unwrap();
    let up = |instance: &Instance, runs: &[Run]| Judgement {
        state: State::Up,
        check_at: at(4 * DAY),
        ..decided(at(60), instance, runs)
    };
    store.judge(at(60), 10, &up).await.unwrap();
    let a_day = Duration::from_secs(86_400);
    store.tidy(at(3 * DAY), a_day).await.unwrap();
    assert_eq!(all_events(&store).await, []);
    assert_eq!(store.runs(of(1), 10).await.unwrap().len(), 2, "the next event of each is only late");
    assert_eq!(all_instances(&store).await.len(), 1);

    // An hour after it was last seen it is judged to be down, and a day later it is forgotten.
    judged(&store, at(4 * DAY)).await;
    store.tidy(at(DAY + 3_600), a_day).await.unwrap();
    assert_eq!(all_instances(&store).await.len(), 1);
    store.tidy(at(4 * DAY), a_day).await.unwrap();
    assert_eq!(all_instances(&store).await, []);
    store.tidy(at(22 * DAY), a_day).await.unwrap();
    assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
}

/// Three instances: 1 is down since an hour after the beginning, 2 has ended, 3 is up; all by the key 99.
async fn one_of_each(store: &Arc<dyn FleetStore>) {
    store
        .append(&[
            event(1, 1, 1, 0, "begin"),
            event(2, 2, 1, 0, "begin"),
            event(2, 2, 2, 1, "end"),
            event(3, 3, 1, DAY, "begin"),
        ])
        .await
        .unwrap();
    judged(store, at(DAY)).await;
}

fn of_state(state: State) -> Doomed {
    Doomed::Matching(Box::new(InstanceFilter { states: vec![state], ..InstanceFilter::default() }))
}

async fn ids(store: &Arc<dyn FleetStore>) -> Vec<u128> {
    let mut ids: Vec<_> = all_instances(store).await.iter().map(|one| one.instance_id.as_u128()).collect();
    ids.sort_unstable();
    ids
}

async fn forget(store: &Arc<dyn FleetStore>, doomed: &Doomed, now: Timestamp) -> u64 {
    let count = store.count_doomed(doomed, now).await.unwrap();
    let piece = store.forget(doomed, now, None, false).await.unwrap();
    assert_eq!((piece.forgotten, piece.next), (count, None), "as was said before");
    piece.forgotten
}

async fn a_forgotten_instance_leaves_its_events_and_comes_back_as_new(database: &impl Database) {
    let store = started(database).await;
    one_of_each(&store).await;
    assert_eq!(store.waiting_alerts().await.unwrap(), 3);
    assert_eq!(forget(&store, &Doomed::One(of(1)), at(DAY)).await, 1);
    assert_eq!(forget(&store, &Doomed::One(of(1)), at(DAY)).await, 0);
    assert_eq!(ids(&store).await, [2, 3]);
    assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), []);
    assert_eq!(store.waiting_alerts().await.unwrap(), 2, "nobody is told of it any more");
    assert_eq!(all_events(&store).await.len(), 4);

    store.append(&[event(1, 1, 2, DAY + 9, "update")]).await.unwrap();
    assert_eq!(judged(&store, at(DAY + 9)).await, [of(1)]);
    let back = store.instance(of(1)).await.unwrap().unwrap();
    assert_eq!((back.first_seen_at, back.state), (at(DAY + 9), State::Up));
    assert_eq!(store.transitions(of(1), 10).await.unwrap().len(), 1);

    // With its events.
    let piece = store.forget(&Doomed::One(of(2)), at(DAY), None, true).await.unwrap();
    assert_eq!(piece, Piece { forgotten: 1, next: None });
    assert!(all_events(&store).await.iter().all(|event| event.instance_id != of(2)));
    assert_eq!(all_events(&store).await.len(), 3);
}

async fn instances_are_forgotten_by_filter(database: &impl Database) {
    let store = started(database).await;
    one_of_each(&store).await;
    let (none, at_once) = (InstanceFilter::default(), at(DAY));
    assert_eq!(store.count_doomed(&Doomed::Matching(Box::new(none.clone())), at_once).await.unwrap(), 3);
    assert_eq!(forget(&store, &of_state(State::Late), at_once).await, 0);
    let by_search = InstanceFilter {
        search: Some(of(3).to_string()[..30].to_owned()),
        states: vec![State::Down],
        ..none.clone()
    };
    assert_eq!(
        forget(&store, &Doomed::Matching(Box::new(by_search)), at_once).await,
        1,
        "both hold of one alone"
    );
    assert_eq!(ids(&store).await, [2, 3]);
    assert_eq!(forget(&store, &of_state(State::Ended), at_once).await, 1);
    assert_eq!(ids(&store).await, [3]);
    assert_eq!(forget(&store, &Doomed::Matching(Box::new(none)), at_once).await, 1);
    assert_eq!(ids(&store).await, [0; 0]);
}

async fn who_was_heard_since_it_was_judged_to_be_silent_is_not_forgotten(database: &impl Database) {
    let store = started(database).await;
    one_of_each(&store).await;
    store.append(&[event(1, 1, 2, 2 * DAY, "update"), event(2, 9, 1, 2 * DAY, "begin")]).await.unwrap();
    let silent = Doomed::SilentOfKey(of(99), at(DAY + 7));
    for doomed in [of_state(State::Down), of_state(State::Ended), silent] {
        assert_eq!(forget(&store, &doomed, at(2 * DAY)).await, 0, "{doomed:?}");
    }
    assert_eq!(ids(&store).await, [1, 2, 3]);
}

async fn a_key_forgets_what_was_silent_for_longer_than_it_says(database: &impl Database) {
    let store = started(database).await;
    one_of_each(&store).await;
    let silent_since = |key, seconds| Doomed::SilentOfKey(of(key), at(seconds));
    // 2 has ended a second after the beginning, 1 is down since an hour after it.
    assert_eq!(forget(&store, &silent_since(99, 1), at(DAY)).await, 0);
    assert_eq!(forget(&store, &silent_since(98, DAY), at(DAY)).await, 0, "of another key");
    assert_eq!(forget(&store, &silent_since(99, 3_600), at(DAY)).await, 1);
    assert_eq!(ids(&store).await, [1, 3]);
    assert_eq!(forget(&store, &silent_since(99, DAY), at(DAY)).await, 1);
    assert_eq!(ids(&store).await, [3]);
    // A revoked key takes all that it owns with it.
    assert_eq!(forget(&store, &Doomed::OfKey(of(98)), at(DAY)).await, 0);
    assert_eq!(forget(&store, &Doomed::OfKey(of(99)), at(DAY)).await, 1);
    assert_eq!(ids(&store).await, [0; 0]);
}

async fn many_are_forgotten_in_pieces(database: &impl Database) {
    let store = started(database).await;
    let begins: Vec<_> = (1..=1_500).map(|number| event(number, number, 1, 0, "begin")).collect();
    store.append(&begins).await.unwrap();
    while store.judge(at(0), 500, &|instance, runs| decided(at(0), instance, runs)).await.unwrap() == 500 {}
    let all = Doomed::OfKey(of(99));
    let (mut forgotten, mut pieces, mut after) = (0, 0, None);
    loop {
        let piece = store.forget(&all, at(0), after, false).await.unwrap();
        forgotten += piece.forgotten;
        pieces += 1;
        after = piece.next;
        if after.is_none() {
            break;
        }
        assert_eq!(ids(&store).await.len() as u64, 1_500 - forgotten);
    }
    assert_eq!((forgotten, ids(&store).await.len()), (1_500, 0));
    assert!(pieces > 1, "nobody waits for all of them");
    // One that is forgotten and one that stays, beyond the place where the last piece ended.
    store.append(&[event(7, 7, 2, 1, "update"), event(9, 9, 2, 1, "update")]).await.unwrap();
    let piece = store.forget(&all, at(1), Some(of(7)), false).await.unwrap();
    assert_eq!((piece.forgotten, ids(&store).await), (1, vec![7]));
}
