//! Queries for events: filters and pages.

use super::*;

suite! {
    the_marks_of_an_instance_are_its_latest_events
    the_latest_events_of_all_are_sights
    events_are_filtered
    events_of_a_key_are_looked_for_among_so_many_at_a_time
    paging_through_events_shows_each_once_in_order
    what_is_not_there_is_not_found
}

async fn the_marks_of_an_instance_are_its_latest_events(database: &impl Database) {
    let store = started(database).await;
    let events = [
        event(1, 1, 1, 0, "begin"),
        event(1, 1, 2, DAY, "update"),
        event(1, 1, 3, 2 * DAY, "end"),
        event(2, 2, 1, DAY, "begin"),
    ];
    store.append(&events).await.unwrap();
    let mark = |event: &NewEvent| EventMark {
        id: event.id,
        run_id: event.run_id,
        sequence: event.sequence,
        received_at: event.received_at,
        reason: event.reason.clone(),
    };
    let [first, second, third, _] = events.each_ref().map(mark);
    let marks = async |since: i64, limit: i64| store.event_marks(of(1), at(since), limit).await.unwrap();
    assert_eq!(marks(0, 10).await, [third.clone(), second.clone(), first]);
    assert_eq!(marks(1, 10).await, [third.clone(), second]);
    assert_eq!(marks(0, 1).await, [third]);
    assert_eq!(marks(3 * DAY, 10).await, []);
}

async fn the_latest_events_of_all_are_sights(database: &impl Database) {
    let store = started(database).await;
    let other = Facts { key_id: of(7), product: "other".to_owned(), ..facts("1.0") };
    let events = [
        event(1, 1, 1, 0, "begin"),
        NewEvent { facts: other, ..event(2, 2, 1, 10, "begin") },
        NewEvent { is_imported: true, ..event(3, 3, 1, DAY, "begin") },
    ];
    store.append(&events).await.unwrap();
    let sight = |event: &NewEvent| Sight {
        instance_id: event.instance_id,
        key_id: event.facts.key_id,
        product: event.facts.product.clone(),
        at: event.received_at,
        is_imported: event.is_imported,
    };
    let [first, second, third] = events.each_ref().map(sight);
    let sights = async |after: i64, limit: i64| store.sights(at(after), limit).await.unwrap();
    assert_eq!(sights(-1, 10).await, [third.clone(), second.clone(), first]);
    assert_eq!(sights(0, 10).await, [third.clone(), second]);
    assert_eq!(sights(0, 1).await, [third]);
    assert_eq!(sights(DAY, 10).await, []);
}

async fn events_are_filtered(database: &impl Database) {
    let store = started(database).await;
    let events = [
        event(1, 1, 1, 0, "begin"),
        event(1, 1, 2, 10, "update"),
        event(2, 2, 3, 20, "begin"),
        event(2, 2, 4, DAY, "update"),
        event(2, 2, 5, 2 * DAY, "end"),
    ];
    store.append(&events).await.unwrap();
    let other = Facts { key_id: of(7), ..facts("1.0") };
    let of_other = NewEvent { facts: other, ..event(3, 3, 6, 3 * DAY, "begin") };
    store.append(&[of_other]).await.unwrap();
    let all = EventFilter::default();
    let reason = |reason: &str| Some(reason.to_owned());
    let cases: [(EventFilter, &[i64]); 13] = [
        (all.clone(), &[6, 5, 4, 3, 2, 1]),
        (EventFilter { instance_id: Some(of(2)), ..all.clone() }, &[5, 4, 3]),
        (EventFilter { instance_id: Some(of(4)), ..all.clone() }, &[]),
        (EventFilter { key_id: Some(of(7)), ..all.clone() }, &[6]),
        (EventFilter { key_id: Some(of(7)), reason: reason("update"), ..all.clone() }, &[]),
        (EventFilter { key_id: Some(of(8)), ..all.clone() }, &[]),
        (EventFilter { reason: reason("begin"), ..all.clone() }, &[6, 3, 1]),
        (EventFilter { reason: reason("beg"), ..all.clone() }, &[]),
        (EventFilter { instance_id: Some(of(2)), reason: reason("begin"), ..all.clone() }, &[3]),
        (EventFilter { from: Some(at(10)), ..all.clone() }, &[6, 5, 4, 3, 2]),
        (EventFilter { to: Some(at(10)), ..all.clone() }, &[1]),
        (EventFilter { from: Some(at(20)), to: Some(at(2 * DAY)), ..all.clone() }, &[4, 3]),
        (EventFilter { reason: reason("update"), from: Some(at(11)), ..all.clone() }, &[4]),
    ];
    for (filter, expected) in cases {
        let found = store.events(&filter, None, 10).await.unwrap();
        let sequences: Vec<_> = found.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, expected, "{filter:?}");
    }
    assert_eq!(store.events(&all, None, 2).await.unwrap().len(), 2);
}

async fn events_of_a_key_are_looked_for_among_so_many_at_a_time(database: &impl Database) {
    let store = started(database).await;
    let of_key = |key: u128, number: i64| NewEvent {
        facts: Facts { key_id: of(key), ..facts("1.0") },
        ..event(key, key, number, number, "update")
    };
    // One before all that are looked at first, and one among them.
    let events: Vec<_> = (0..=EVENTS_LOOKED_AT + 1)
        .map(|number| of_key(if number == 1 || number == 5 { 7 } else { 6 }, number))
        .collect();
    for batch in events.chunks(1_000) {
        store.append(batch).await.unwrap();
    }
    let filter = EventFilter { key_id: Some(of(7)), ..EventFilter::default() };
    let sequences = async |after| {
        let found = store.events(&filter, after, 10).await.unwrap();
        found.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(None).await, [5]);
    let last = store.last_event_looked_at(&filter, None).await.unwrap().expect("there are more");
    assert_eq!(last.received_at, at(2));
    assert_eq!(sequences(Some(last)).await, [1]);
    assert_eq!(store.last_event_looked_at(&filter, Some(last)).await.unwrap(), None);
    let updates = EventFilter { reason: Some("begin".to_owned()), ..filter.clone() };
    assert_eq!(store.last_event_looked_at(&updates, None).await.unwrap(), None, "few match otherwise");
}

async fn paging_through_events_shows_each_once_in_order(database: &impl Database) {
    let store = started(database).await;
    let all: Vec<_> = (0..60_i64)
        .map(|number| {
            let (instance, day) = (number as u128 % 3, number % 2);
            event(
                instance,
                1,
                number * 7_919 % 60,
                number / 20 + day * DAY,
                ["begin", "update"][day as usize],
            )
        })
        .collect();
    store.append(&all).await.unwrap();
    let mut expected: Vec<_> = all.iter().cloned().map(stored).collect();
    expected.sort_by_key(|event| std::cmp::Reverse((event.received_at, event.instance_id, event.id)));
    let everything = EventFilter::default();
    for (filter, limit) in [
        (everything.clone(), 1),
        (everything.clone(), 7),
        (EventFilter { instance_id: Some(of(2)), ..everything.clone() }, 3),
        (EventFilter { reason: Some("begin".to_owned()), ..everything.clone() }, 4),
        (EventFilter { from: Some(at(1)), to: Some(at(DAY + 2)), ..everything }, 4),
    ] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.events(&filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            let (received_at, instance_id, id) = (last.received_at, last.instance_id, last.id);
            after = Some(EventCursor { received_at, instance_id, id });
            seen.extend(page);
        }
        let expected: Vec<_> = expected
            .iter()
            .filter(|event| filter.instance_id.is_none_or(|id| id == event.instance_id))
            .filter(|event| filter.reason.as_ref().is_none_or(|reason| *reason == event.reason))
            .filter(|event| filter.from.is_none_or(|from| event.received_at >= from))
            .filter(|event| filter.to.is_none_or(|to| event.received_at < to))
            .cloned()
            .collect();
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn what_is_not_there_is_not_found(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(store.instance(of(1)).await.unwrap(), None);
    assert_eq!(store.event(of(1), of(1)).await.unwrap(), None);
    assert!(!store.delete_event(of(1), of(1)).await.unwrap());
    assert_eq!(store.runs(of(1), 10).await.unwrap(), []);
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), []);
    assert_eq!(all_instances(&store).await, []);
}
