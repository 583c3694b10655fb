//! What is deleted by hand and by age.

use super::*;

suite! {
    a_deleted_event_is_gone_and_what_was_concluded_from_it_stays
    what_is_old_is_forgotten
    a_short_retention_forgets_no_instance_that_may_still_be_alive
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
