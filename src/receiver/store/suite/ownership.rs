//! To whom instances belong, and how many new ones a key may report.

use super::keys::key;
use super::*;

suite! {
    an_instance_belongs_to_the_key_that_reported_it_first
    a_steady_instance_takes_no_event_of_another_key
    the_instance_of_a_revoked_key_goes_to_the_next_one
    events_of_several_keys_in_one_batch_are_taken_one_after_the_other
    an_operator_moves_an_instance
    a_key_reports_as_many_new_instances_as_it_may
    receivers_together_keep_the_limit_of_a_key
    a_flood_is_told_once_an_hour
    an_instance_whose_id_was_changed_is_linked_by_its_run
    another_event_under_a_used_number_is_stored_and_is_evidence
    a_snapshot_that_is_restored_after_the_end_is_up_again
}

/// Keys 1 and 2, named so.
async fn with_keys(database: &impl Database) -> Arc<dyn FleetStore> {
    let store = started(database).await;
    for (number, name) in [(1, "one"), (2, "two")] {
        store.add_key(&key(number, name)).await.unwrap();
    }
    store
}

fn of_key(number: u128, event: NewEvent) -> NewEvent {
    let mut event = event;
    event.facts.key_id = of(number);
    event
}

async fn changes(
    store: &Arc<dyn FleetStore>,
    instance: u128,
    change: Change,
) -> Vec<(Timestamp, String, String)> {
    let transitions = store.transitions(of(instance), 100).await.unwrap();
    let wanted = transitions.into_iter().filter(|transition| transition.change == change);
    wanted.map(|transition| (transition.at, transition.from.unwrap_or_default(), transition.to)).collect()
}

async fn an_instance_belongs_to_the_key_that_reported_it_first(database: &impl Database) {
    let store = with_keys(database).await;
    let begin = event(1, 1, 1, 0, "begin");
    // Both at once, and the same content by another key.
    let batch = [of_key(1, begin.clone()), of_key(2, begin.clone()), of_key(2, event(1, 2, 1, 1, "end"))];
    assert_eq!(store.append(&batch).await.unwrap(), [New, OtherKey, OtherKey]);
    let later = [of_key(2, event(1, 1, 2, 5, "end")), of_key(1, begin.clone()), of_key(2, begin)];
    assert_eq!(store.append(&later).await.unwrap(), [OtherKey, Before, OtherKey]);
    assert_eq!(all_events(&store).await.len(), 1);
    let runs = store.runs(of(1), 10).await.unwrap();
    assert_eq!((runs.len(), runs[0].ended_at, runs[0].facts.key_id), (1, None, of(1)));
    assert_eq!(changes(&store, 1, Change::Key).await, []);
}

async fn a_steady_instance_takes_no_event_of_another_key(database: &impl Database) {
    let store = with_keys(database).await;
    assert_eq!(store.append(&[of_key(1, event(1, 1, 1, 0, "begin"))]).await.unwrap(), [New]);
    judged(&store, at(0)).await;
    let update = event(1, 1, 2, 60, "update");
    assert_eq!(store.append(&[of_key(2, update.clone())]).await.unwrap(), [OtherKey]);
    assert_eq!(store.append(&[of_key(1, update)]).await.unwrap(), [New]);
}

async fn the_instance_of_a_revoked_key_goes_to_the_next_one(database: &impl Database) {
    let store = with_keys(database).await;
    assert_eq!(store.append(&[of_key(1, event(1, 1, 1, 0, "begin"))]).await.unwrap(), [New]);
    judged(&store, at(0)).await;
    assert!(store.revoke_key(of(1), at(10)).await.unwrap());
    let updates = [of_key(2, event(1, 1, 2, 60, "update")), of_key(2, event(1, 1, 3, 70, "update"))];
    assert_eq!(store.append(&updates).await.unwrap(), [New, New]);
    assert_eq!(changes(&store, 1, Change::Key).await, [(at(60), "one".to_owned(), "two".to_owned())]);
    judged(&store, at(80)).await;
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().facts.key_id, of(2));
    assert_eq!(store.append(&[of_key(3, event(1, 1, 4, 90, "update"))]).await.unwrap(), [OtherKey]);
}

async fn events_of_several_keys_in_one_batch_are_taken_one_after_the_other(database: &impl Database) {
    let store = with_keys(database).await;
    let begins = [1, 2].map(|instance| of_key(1, event(instance, 1, 1, 0, "begin")));
    assert_eq!(store.append(&begins).await.unwrap(), [New, New]);
    judged(&store, at(0)).await;
    assert!(store.revoke_key(of(1), at(10)).await.unwrap());
    // What was stored before the instance was taken over comes once more after it.
    let repeated = of_key(1, event(1, 1, 2, 60, "license-state-change"));
    let taken = of_key(2, event(1, 1, 3, 61, "update"));
    let batch = [repeated.clone(), taken, repeated.clone(), of_key(2, repeated)];
    assert_eq!(store.append(&batch).await.unwrap(), [New, New, OtherKey, Before]);
    // An update that says nothing new comes after it.
    let batch = [of_key(2, event(2, 2, 1, 60, "begin")), of_key(1, event(2, 1, 2, 61, "update"))];
    assert_eq!(store.append(&batch).await.unwrap(), [New, OtherKey]);
}

async fn an_operator_moves_an_instance(database: &impl Database) {
    let store = with_keys(database).await;
    assert_eq!(store.append(&[of_key(1, event(1, 1, 1, 0, "begin"))]).await.unwrap(), [New]);
    judged(&store, at(0)).await;
    assert!(!store.move_instance(of(7), of(2), at(10)).await.unwrap(), "there is no such instance");
    assert!(!store.move_instance(of(1), of(7), at(10)).await.unwrap(), "there is no such key");
    assert!(store.move_instance(of(1), of(2), at(10)).await.unwrap());
    assert!(store.move_instance(of(1), of(2), at(11)).await.unwrap(), "it is there already");
    assert_eq!(changes(&store, 1, Change::Key).await, [(at(10), "one".to_owned(), "two".to_owned())]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().facts.key_id, of(2));
    assert_eq!(store.append(&[of_key(1, event(1, 1, 2, 60, "update"))]).await.unwrap(), [OtherKey]);
    assert_eq!(store.append(&[of_key(2, event(1, 1, 2, 60, "update"))]).await.unwrap(), [New]);
    assert!(store.revoke_key(of(1), at(70)).await.unwrap());
    assert!(!store.move_instance(of(1), of(1), at(80)).await.unwrap(), "that key is revoked");
    let filter = InstanceFilter { key_id: Some(of(2)), ..InstanceFilter::default() };
    assert_eq!(store.instances(&filter, Sort::Worst, None, 10).await.unwrap().len(), 1);
}

fn new_instance(number: u128, seconds: i64) -> NewEvent {
    NewEvent { new_per_hour: Some(3), ..of_key(1, event(number, number, 1, seconds, "begin")) }
}

async fn a_key_reports_as_many_new_instances_as_it_may(database: &impl Database) {
    let store = with_keys(database).await;
    let batch: Vec<_> = (1..=5).map(|number| new_instance(number, 0)).collect();
    let answers = store.append(&batch).await.unwrap();
    let first = answers.iter().position(|answer| *answer == New).unwrap();
    match database.is_divided() {
        false => assert_eq!(answers, [New, New, New, TooManyNew, TooManyNew]),
        true => assert_eq!(answers.iter().filter(|answer| **answer == New).count(), 3, "of any shard"),
    }
    assert_eq!(store.append(&[new_instance(6, 3_599)]).await.unwrap(), [TooManyNew]);
    let number = first as u128 + 1;
    let known = of_key(1, event(number, number, 2, 3_599, "update"));
    let of_other = NewEvent { new_per_hour: Some(3), ..of_key(2, event(9, 9, 1, 0, "begin")) };
    assert_eq!(store.append(&[known, of_other]).await.unwrap(), [New, New]);
    assert_eq!(store.append(&[new_instance(6, 3_600)]).await.unwrap(), [New], "the hour is over");
    assert_eq!(all_instances(&store).await.len(), 5);
}

async fn receivers_together_keep_the_limit_of_a_key(database: &impl Database) {
    let store = with_keys(database).await;
    let report = async |receiver: u128| {
        let store = database.store();
        let mut new = 0;
        for number in 0..10 {
            let answers = store.append(&[new_instance(100 * receiver + number, 0)]).await.unwrap();
            new += usize::from(answers == [New]);
        }
        new
    };
    let new = futures_util::future::join_all((1..=4).map(report)).await;
    assert_eq!(new.iter().sum::<usize>(), 3, "{new:?}");
    assert_eq!(all_instances(&store).await.len(), 3);
}

async fn a_flood_is_told_once_an_hour(database: &impl Database) {
    let store = with_keys(database).await;
    let other = database.store();
    for (store, seconds, is_first) in
        [(&store, 0, true), (&other, 1, false), (&store, 3_599, false), (&other, 3_600, true)]
    {
        assert_eq!(store.note_flood(of(1), 3, at(seconds), true).await.unwrap(), is_first, "{seconds}");
    }
    assert!(store.note_flood(of(2), 3, at(0), false).await.unwrap());
    assert!(!store.note_flood(of(7), 3, at(0), true).await.unwrap(), "there is no such key");
    let digest = store.take_digest(at(4_000), &|_| at(5_000), 10).await.unwrap().unwrap();
    let told: Vec<_> = digest
        .alerts
        .iter()
        .map(|alert| (alert.custom_id.as_deref(), alert.transition.change, alert.transition.to.as_str()))
        .collect();
    assert_eq!(told, [(Some("one"), Change::NewInstances, "3"); 2]);
}

async fn an_instance_whose_id_was_changed_is_linked_by_its_run(database: &impl Database) {
    let store = with_keys(database).await;
    let run = |instance: u128, sequence: i64, seconds: i64, reason: &str| {
        of_key(1, event(instance, 5, sequence, seconds, reason))
    };
    assert_eq!(store.append(&[run(1, 1, 0, "begin")]).await.unwrap(), [New]);
    assert_eq!(store.append(&[run(1, 2, 10, "end"), run(2, 3, 11, "begin")]).await.unwrap(), [New, New]);
    let linked = [(at(11), of(1).to_string(), of(2).to_string())];
    assert_eq!(changes(&store, 1, Change::Id).await, linked);
    assert_eq!(changes(&store, 2, Change::Id).await, linked);
    // Another key cannot tie itself to an instance.
    assert_eq!(store.append(&[of_key(2, event(3, 5, 4, 20, "begin"))]).await.unwrap(), [New]);
    assert_eq!(changes(&store, 3, Change::Id).await, []);
    // A run that is everywhere is no change of an id.
    assert_eq!(store.append(&[run(4, 5, 30, "begin")]).await.unwrap(), [New]);
    assert_eq!(changes(&store, 4, Change::Id).await, []);
}

/// The same number with another content, as its id has it.
fn again(event: NewEvent, content: u64, seconds: i64) -> NewEvent {
    let (number, _) = event.id.as_u64_pair();
    NewEvent { id: Uuid::from_u64_pair(number, content), received_at: at(seconds), ..event }
}

fn numbered(sequence: i64, seconds: i64, reason: &str) -> NewEvent {
    event(1, 1, sequence, seconds, reason)
}

async fn another_event_under_a_used_number_is_stored_and_is_evidence(database: &impl Database) {
    let store = started(database).await;
    let forked_at = async || store.runs(of(1), 10).await.unwrap()[0].forked_at;
    for event in [numbered(1, 0, "begin"), numbered(2, 60, "update"), numbered(3, 120, "update")] {
        assert_eq!(store.append(std::slice::from_ref(&event)).await.unwrap(), [New]);
        assert_eq!(store.append(&[event]).await.unwrap(), [Before], "the same request");
    }
    judged(&store, at(120)).await;
    // A number that was left out is late, and no evidence.
    assert_eq!(
        store.append(&[numbered(9, 130, "update"), numbered(7, 131, "update")]).await.unwrap(),
        [New, New]
    );
    assert_eq!(forked_at().await, None);
    let fork = again(numbered(2, 60, "update"), 1, 200);
    assert_eq!(store.append(&[fork.clone(), fork.clone()]).await.unwrap(), [New, Before]);
    assert_eq!(forked_at().await, Some(at(200)));
    assert_eq!(store.append(&[fork]).await.unwrap(), [Before]);
    // Two at once, above every number before.
    let (one, other) = (numbered(20, 300, "update"), again(numbered(20, 300, "update"), 1, 301));
    assert_eq!(store.append(&[one, other]).await.unwrap(), [New, New]);
    assert_eq!(forked_at().await, Some(at(301)));
    // The same in each order of times, of places and of ids.
    for (number, (first, second)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        for is_turned in [false, true] {
            let sequence = 30 + 2 * number as i64 + i64::from(is_turned);
            let seconds = 10 * sequence;
            let one = again(numbered(sequence, 0, "update"), first, seconds);
            let other = again(numbered(sequence, 0, "update"), second, seconds + 1);
            let both = if is_turned { [other, one] } else { [one, other] };
            assert_eq!(store.append(&both).await.unwrap(), [New, New]);
            assert_eq!(forked_at().await, Some(at(seconds + 1)), "{sequence}");
        }
    }
    // The instance is due, whatever was judged before.
    assert_eq!(judged(&store, at(400)).await, [of(1)]);
}

async fn a_snapshot_that_is_restored_after_the_end_is_up_again(database: &impl Database) {
    let store = started(database).await;
    let ended_at = async || store.runs(of(1), 10).await.unwrap()[0].ended_at;
    for event in [numbered(1, 0, "begin"), numbered(2, 60, "update"), numbered(3, 120, "end")] {
        assert_eq!(store.append(&[event]).await.unwrap(), [New]);
    }
    assert_eq!(ended_at().await, Some(at(120)));
    assert_eq!(store.append(&[again(numbered(2, 60, "update"), 1, 500)]).await.unwrap(), [New]);
    assert_eq!(ended_at().await, None);
    assert_eq!(store.append(&[again(numbered(3, 120, "end"), 1, 600)]).await.unwrap(), [New]);
    assert_eq!(ended_at().await, Some(at(600)));
}
