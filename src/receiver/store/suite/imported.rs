//! Events that were imported from a file.

use super::*;
use crate::receiver::judging::judgement::decide;

suite! {
    an_imported_event_is_stored_once_with_its_time_and_marked
    events_of_the_past_have_room
    an_imported_instance_stays_up_until_it_is_heard_by_the_network
    an_imported_instance_is_forgotten_by_its_age
}

fn imported(event: NewEvent) -> NewEvent {
    NewEvent { is_imported: true, ..event }
}

/// Judges what is due, and returns the instance.
async fn judged_at(store: &Arc<dyn FleetStore>, seconds: i64) -> Instance {
    let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(seconds));
    store.judge(at(seconds), 100, &decide).await.unwrap();
    store.instance(of(1)).await.unwrap().unwrap()
}

async fn an_imported_event_is_stored_once_with_its_time_and_marked(database: &impl Database) {
    let store = started(database).await;
    let (begin, update) = (imported(event(1, 1, 1, 0, "begin")), imported(event(1, 1, 2, 60, "update")));
    let file = [begin.clone(), update.clone()];
    assert_eq!(store.append(&file).await.unwrap(), [New, New]);
    assert_eq!(store.append(&file).await.unwrap(), [Before, Before]);
    assert_eq!(all_events(&store).await, [stored(update), stored(begin)]);
    let until = async || store.runs(of(1), 10).await.unwrap()[0].imported_until;
    assert_eq!(until().await, Some(at(60)));
    // In whatever order they come.
    assert_eq!(store.append(&[imported(event(1, 1, 3, 30, "update"))]).await.unwrap(), [New]);
    assert_eq!(store.append(&[event(1, 1, 4, 90, "update")]).await.unwrap(), [New]);
    assert_eq!(until().await, Some(at(60)));
}

async fn events_of_the_past_have_room(database: &impl Database) {
    let store = started(database).await;
    let past: Vec<NewEvent> =
        (1..=80).map(|day| imported(event(1, 1, 100 - day, -day * DAY, "update"))).collect();
    let days: Vec<_> = past.iter().map(|event| event.day).collect();
    for _ in 0..2 {
        store.make_room_for(&days).await.unwrap();
    }
    assert!(store.append(&past).await.unwrap().iter().all(|appended| *appended == New));
    store.tidy(at(0), Duration::from_secs(90 * 86_400)).await.unwrap();
    assert_eq!(all_events(&store).await.len(), 80, "they are not older than the others");
    assert!(store.append(&past).await.unwrap().iter().all(|appended| *appended == Before));
}

async fn an_imported_instance_stays_up_until_it_is_heard_by_the_network(database: &impl Database) {
    let store = started(database).await;
    store.append(&[imported(event(1, 1, 1, 0, "begin"))]).await.unwrap();
    let hour = 3_600;
    for seconds in [10, 10 * hour, 100 * hour] {
        let instance = judged_at(&store, seconds).await;
        assert_eq!((instance.state, instance.last_seen_at), (State::Up, at(0)), "{seconds}");
    }
    // A further import of a run that was judged to be up.
    store.append(&[imported(event(1, 1, 2, 90 * hour, "update"))]).await.unwrap();
    assert_eq!(judged_at(&store, 101 * hour).await.state, State::Up);
    assert_eq!(store.runs(of(1), 1).await.unwrap()[0].imported_until, Some(at(90 * hour)));
    // From now on it is expected to be heard, also where nothing it says is news.
    store.append(&[event(1, 1, 3, 102 * hour, "update")]).await.unwrap();
    for (seconds, state) in [(103 * hour, State::Up), (104 * hour, State::Late), (105 * hour, State::Down)] {
        assert_eq!(judged_at(&store, seconds).await.state, state, "{seconds}");
    }
    assert_eq!(store.waiting_alerts().await.unwrap(), 1, "of the silence after the network alone");
}

async fn an_imported_instance_is_forgotten_by_its_age(database: &impl Database) {
    let store = started(database).await;
    let (begin, live) = (imported(event(1, 1, 1, 0, "begin")), event(2, 2, 1, 0, "begin"));
    store.append(&[begin, live]).await.unwrap();
    // The third was imported, and was heard by the network since.
    store.append(&[imported(event(3, 3, 1, 0, "begin")), event(3, 4, 1, 5, "begin")]).await.unwrap();
    assert_eq!(judged_at(&store, 10).await.state, State::Up);
    let ten_days = Duration::from_secs(10 * 86_400);
    store.tidy(at(9 * DAY), ten_days).await.unwrap();
    assert_eq!(all_instances(&store).await.len(), 3);
    store.tidy(at(11 * DAY), ten_days).await.unwrap();
    let mut left: Vec<_> = all_instances(&store).await.iter().map(|instance| instance.instance_id).collect();
    left.sort_unstable();
    assert_eq!(left, [of(2), of(3)], "the others are judged first");
}
