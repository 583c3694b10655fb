//! How events are stored, and what they add to runs.

use futures_util::future::join_all;

use super::*;

suite! {
    an_event_is_stored_as_it_came
    hostile_text_is_stored_as_it_came
    an_empty_batch_changes_nothing
    a_repeated_event_is_stored_once_within_a_batch
    a_repeated_event_is_stored_once_across_batches_and_days
    an_event_of_another_instance_is_not_a_repeated_one
    concurrent_repeated_events_are_stored_once
    concurrent_repeated_events_are_stored_once_whatever_their_days
    a_repeated_event_of_a_steady_run_is_stored_once_whatever_its_day
    receivers_that_write_and_judge_the_same_never_wait_in_a_circle
    concurrent_events_of_one_instance_all_count
    a_run_is_the_sum_of_its_events
    a_run_that_is_seen_after_its_end_has_not_ended
    facts_are_those_of_the_latest_event
    times_need_not_rise_with_the_numbers
    runs_are_listed_latest_first
}

async fn an_event_is_stored_as_it_came(database: &impl Database) {
    let store = started(database).await;
    let whole = event(1, 2, 3, 4, "begin");
    let bare = NewEvent { frequency: None, run_id: Uuid::nil(), ..event(1, 2, 5, 6, "something-else") };
    assert_eq!(store.append(&[whole.clone(), bare.clone()]).await.unwrap(), [New, New]);
    assert_eq!(all_events(&store).await, [stored(bare.clone()), stored(whole.clone())]);
    assert_eq!(store.event(of(1), whole.id).await.unwrap(), Some(stored(whole)));
    assert_eq!(database.store().event(of(1), bare.id).await.unwrap(), Some(stored(bare)));
}

async fn hostile_text_is_stored_as_it_came(database: &impl Database) {
    let store = started(database).await;
    let text =
        "'; drop table telemetry_event; -- \" \\ % _ $1 ?1 \u{1} \u{7f} \u{202e} e\u{301} \u{10FFFF} 🦀";
    let hostile = Facts {
        build_version: text.to_owned(),
        build_commit: String::new(),
        build_time: "x".repeat(4_096),
        license_key_hash: Some(text.to_owned()),
        custom_id: Some(text.to_owned()),
        ..facts("1.0")
    };
    let data = serde_json::json!({ "text": text, "long": "\u{10FFFF}".repeat(4_000) }).to_string();
    assert!(data.len() > 16_000);
    let event = NewEvent {
        reason: text.to_owned(),
        facts: hostile.clone(),
        data,
        sequence: i64::MAX,
        frequency: Some(i32::MAX),
        ..event(1, 1, 1, 0, "begin")
    };
    assert_eq!(store.append(std::slice::from_ref(&event)).await.unwrap(), [New]);
    judged(&store, at(1)).await;

    let filter = EventFilter { reason: Some(text.to_owned()), ..EventFilter::default() };
    assert_eq!(store.events(&filter, None, 10).await.unwrap(), [stored(event)]);
    let filter = InstanceFilter { build_version: Some(text.to_owned()), ..InstanceFilter::default() };
    assert_eq!(store.instances(&filter, Sort::Worst, None, 10).await.unwrap()[0].facts, hostile);
    let filter = InstanceFilter { search: Some(text.to_owned()), ..InstanceFilter::default() };
    assert_eq!(store.instances(&filter, Sort::Worst, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].facts, hostile);
    assert_eq!(store.summary(at(1)).await.unwrap()[0].build_version, text);
    let digest = store.take_digest(at(1), &|_| at(2), 10).await.unwrap().unwrap();
    assert_eq!(digest.alerts[0].custom_id.as_deref(), Some(text));
}

async fn an_empty_batch_changes_nothing(database: &impl Database) {
    let store = started(database).await;
    assert!(store.append(&[]).await.unwrap().is_empty());
    assert!(judged(&store, at(0)).await.is_empty());
    store.touch_keys(&[]).await.unwrap();
}

async fn a_repeated_event_is_stored_once_within_a_batch(database: &impl Database) {
    let store = started(database).await;
    let (first, second) = (event(1, 1, 1, 0, "update"), event(1, 1, 2, 1, "update"));
    let batch = [first.clone(), first.clone(), second.clone(), first, second];
    assert_eq!(store.append(&batch).await.unwrap(), [New, Before, New, Before, Before]);
    assert_eq!(all_events(&store).await.len(), 2);
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].updates, 2);

    for reason in ["begin", "update", "end"] {
        let today = event(2, 2, reason.len() as i64, 0, reason);
        let tomorrow = NewEvent { day: at(DAY).to_zoned(TimeZone::UTC).date(), ..today.clone() };
        assert_eq!(store.append(&[today, tomorrow]).await.unwrap(), [New, Before], "{reason}");
    }
    assert_eq!(all_events(&store).await.len(), 5);
}

async fn a_repeated_event_is_stored_once_across_batches_and_days(database: &impl Database) {
    let store = started(database).await;
    let first = event(1, 1, 1, 0, "update");
    let second = event(1, 1, 2, 1, "update");
    assert_eq!(store.append(&[first.clone(), second]).await.unwrap(), [New, New]);
    let again = |seconds| NewEvent { received_at: at(seconds), ..first.clone() };
    let next_day = NewEvent { day: at(DAY).to_zoned(TimeZone::UTC).date(), ..again(DAY) };
    let without_number = NewEvent { is_numbered: false, sequence: i64::MAX, ..next_day.clone() };
    for repetition in [again(0), again(60), next_day, without_number] {
        assert_eq!(store.append(&[repetition]).await.unwrap(), [Before]);
    }
    assert_eq!(all_events(&store).await.len(), 2);
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.updates, run.last_seen_at), (2, at(1)));
}

async fn an_event_of_another_instance_is_not_a_repeated_one(database: &impl Database) {
    let store = started(database).await;
    let batch = [event(1, 1, 1, 0, "begin"), event(2, 1, 1, 0, "begin")];
    assert_eq!(store.append(&batch).await.unwrap(), [New, New]);
    assert_eq!(store.event(of(2), batch[1].id).await.unwrap(), Some(stored(batch[1].clone())));
    assert_eq!(all_instances(&store).await.len(), 2);
}

async fn concurrent_repeated_events_are_stored_once(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (0..100).map(|number| event(number % 7, 1, number as i64, 0, "update")).collect();
    let mut reversed = events.clone();
    reversed.reverse();
    let append = async |number: usize| {
        let store = database.store();
        let events = if number.is_multiple_of(2) { &events } else { &reversed };
        let new = store.append(events).await.unwrap();
        new.into_iter().filter(|answer| *answer == New).count()
    };
    let new = join_all((0..6).map(append)).await;
    assert_eq!(new.iter().sum::<usize>(), 100, "{new:?}");
    assert_eq!(all_events(&store).await.len(), 100);
    let mut updates = 0;
    for number in 0..7 {
        updates += store.runs(of(number), 10).await.unwrap()[0].updates;
    }
    assert_eq!(updates, 100);
}

/// A proxy may send an event again to another receiver, around midnight or with a timestamp of its own.
async fn concurrent_repeated_events_are_stored_once_whatever_their_days(database: &impl Database) {
    let stores = [started(database).await, database.store(), database.store()];
    for round in 1..=30 {
        for (sequence, reason) in [(1, "begin"), (2, "update"), (3, "end")] {
            // Events of the same instances in every batch, so that receivers wait for each other.
            let batch = |day: i64| -> Vec<NewEvent> {
                let event = |instance: u128| NewEvent {
                    day: at(day * DAY).to_zoned(TimeZone::UTC).date(),
                    ..event(instance, round, sequence, 0, reason)
                };
                vec![event(round), event(1_000), event(round + 2_000)]
            };
            let batches = [batch(0), batch(1), batch(0)];
            let appended =
                join_all(stores.iter().zip(&batches).map(|(store, batch)| store.append(batch))).await;
            let new: usize = appended
                .into_iter()
                .map(|new| new.unwrap().iter().filter(|answer| **answer == New).count())
                .sum();
            assert_eq!(new, 3, "round {round}, {reason}");
        }
    }
    assert_eq!(all_events(&stores[0]).await.len(), 270);
}

async fn a_repeated_event_of_a_steady_run_is_stored_once_whatever_its_day(database: &impl Database) {
    let [one, other] = [started(database).await, database.store()];
    let begins: Vec<_> = (1..=8).map(|run| event(run, run, 1, 0, "begin")).collect();
    one.append(&begins).await.unwrap();
    assert_eq!(judged(&one, at(0)).await.len(), 8, "their runs are steady from then on");
    for round in 0..40 {
        // Two events of a run are stored by another statement than a single one.
        let update = |run: u128, sequence: i64, day: i64| NewEvent {
            day: at(day * DAY).to_zoned(TimeZone::UTC).date(),
            ..event(run, run, sequence, 0, "update")
        };
        let sequence = 2 + 2 * round;
        let pairs: Vec<_> =
            (1..=8).flat_map(|run| [update(run, sequence, 0), update(run, sequence + 1, 0)]).collect();
        let alone: Vec<_> = (1..=8).map(|run| update(run, sequence, 1)).collect();
        let (pairs, alone) = futures_util::future::join(one.append(&pairs), other.append(&alone)).await;
        let new = pairs.unwrap().into_iter().chain(alone.unwrap()).filter(|answer| *answer == New).count();
        assert_eq!(new, 16, "round {round}");
    }
}

async fn receivers_that_write_and_judge_the_same_never_wait_in_a_circle(database: &impl Database) {
    const EVENTS: i64 = 600;
    let judge = started(database).await;
    let stores: Vec<_> = (0..4).map(|_| database.store()).collect();
    let write = async |(number, store): (usize, &Arc<dyn FleetStore>)| {
        // Each batch has new instances, and instances of the batch before.
        let made = |n: i64| {
            let instance = (n / 4 + n % 3 * 5) as u128;
            let day = at(number as i64 % 2 * DAY).to_zoned(TimeZone::UTC).date();
            NewEvent { day, ..event(instance, instance * 10 + (n % 2) as u128, n, 0, "update") }
        };
        let events: Vec<_> = (0..EVENTS).map(made).collect();
        let mut new = 0;
        for batch in events.chunks(8 + number) {
            new += store.append(batch).await.unwrap().iter().filter(|answer| **answer == New).count();
        }
        new
    };
    let writing = join_all(stores.iter().enumerate().map(write));
    let judging = async {
        for _ in 0..40 {
            judge.judge(at(0), 100, &|instance, runs| decided(at(0), instance, runs)).await.unwrap();
        }
    };
    let (new, ()) = futures_util::future::join(writing, judging).await;
    assert_eq!(new.iter().sum::<usize>(), EVENTS as usize, "{new:?}");
    assert_eq!(all_events(&judge).await.len(), EVENTS as usize);
}

async fn concurrent_events_of_one_instance_all_count(database: &impl Database) {
    let store = started(database).await;
    let append = async |number: i64| {
        let store = database.store();
        let events: Vec<_> =
            (1..=20).map(|event_number| event(1, 1, number * 100 + event_number, number, "update")).collect();
        store.append(&events).await.unwrap()
    };
    join_all((0..6).map(append)).await;
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.updates, run.last_sequence, run.last_seen_at), (120, 520, at(5)));
}

async fn a_run_is_the_sum_of_its_events(database: &impl Database) {
    let store = started(database).await;
    let without_frequency = |event| NewEvent { frequency: None, ..event };
    let events = [
        event(1, 1, 1, 0, "begin"),
        NewEvent { frequency: Some(7_200), ..event(1, 1, 2, 10, "update") },
        without_frequency(event(1, 1, 3, 20, "license-state-change")),
        without_frequency(event(1, 1, 4, 30, "update")),
        NewEvent { facts: facts("1.1"), ..without_frequency(event(1, 1, 5, 40, "end")) },
    ];
    for event in events {
        store.append(&[event]).await.unwrap();
    }
    let run = Run {
        run_id: of(1),
        first_seen_at: at(0),
        last_seen_at: at(40),
        begun: true,
        ended_at: Some(at(40)),
        last_sequence: 5,
        frequency: Some(7_200),
        updates: 2,
        first_update_at: Some(at(10)),
        last_update_at: Some(at(30)),
        facts: facts("1.1"),
        facts_at: at(40),
        lost_at: None,
        forked_at: None,
        imported_until: None,
    };
    assert_eq!(store.runs(of(1), 10).await.unwrap(), [run]);
    let instance = store.instance(of(1)).await.unwrap().unwrap();
    assert_eq!((instance.first_seen_at, instance.last_seen_at), (at(0), at(40)));
    assert_eq!((instance.state, instance.judged_at), (State::Up, None));
}

async fn a_run_that_is_seen_after_its_end_has_not_ended(database: &impl Database) {
    let store = started(database).await;
    let ended = async || store.runs(of(1), 10).await.unwrap()[0].ended_at;
    store.append(&[event(1, 1, 5, 50, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(50)));
    store.append(&[event(1, 1, 4, 60, "update")]).await.unwrap();
    assert_eq!(ended().await, Some(at(50)), "an earlier event that came late");
    store.append(&[event(1, 1, 6, 55, "update")]).await.unwrap();
    assert_eq!(ended().await, None);
    store.append(&[event(1, 1, 7, 70, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(70)));
    store.append(&[event(1, 1, 3, 80, "end")]).await.unwrap();
    assert_eq!(ended().await, Some(at(80)), "it said so twice");
}

async fn facts_are_those_of_the_latest_event(database: &impl Database) {
    let store = started(database).await;
    // Within an hour, a lower number is late: the request was held up.
    let late = NewEvent { facts: facts("0.9"), ..event(1, 1, 7, 15, "update") };
    let far_ahead = NewEvent { frequency: Some(60), ..event(1, 1, i64::MAX, 10, "update") };
    store.append(&[far_ahead, late]).await.unwrap();
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].facts, facts("1.0"));
    let later = NewEvent { facts: facts("2.0"), frequency: Some(90), ..event(1, 1, 8, 3_600, "update") };
    store.append(&[later]).await.unwrap();
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.facts, run.facts_at, run.frequency), (facts("2.0"), at(3_600), Some(90)));
    store.append(&[event(1, 1, 9, 3_700, "end")]).await.unwrap();
    assert_eq!(
        store.runs(of(1), 10).await.unwrap()[0].ended_at,
        Some(at(3_700)),
        "a high number freezes nothing"
    );
}

/// The clocks of two receivers differ.
async fn times_need_not_rise_with_the_numbers(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 100, "update")]).await.unwrap();
    judged(&store, at(100)).await;
    store.append(&[event(1, 1, 2, 90, "update")]).await.unwrap();
    store.append(&[event(1, 1, 3, 120, "update"), event(1, 1, 4, 110, "update")]).await.unwrap();
    let run = store.runs(of(1), 10).await.unwrap().remove(0);
    assert_eq!((run.first_seen_at, run.last_seen_at, run.facts_at), (at(90), at(120), at(110)));
    assert_eq!((run.first_update_at, run.last_update_at), (Some(at(90)), Some(at(120))));
    let instance = store.instance(of(1)).await.unwrap().unwrap();
    assert_eq!((instance.first_seen_at, instance.last_seen_at), (at(90), at(120)));
}

async fn runs_are_listed_latest_first(database: &impl Database) {
    let store = started(database).await;
    let batch = [
        event(1, 1, 1, 30, "begin"),
        event(1, 4, 1, 10, "begin"),
        event(1, 3, 1, 20, "begin"),
        event(1, 2, 1, 20, "begin"),
        event(2, 5, 1, 90, "begin"),
    ];
    store.append(&batch).await.unwrap();
    let listed = async |limit| {
        let runs = store.runs(of(1), limit).await.unwrap();
        runs.iter().map(|run| run.run_id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(10).await, [1, 2, 3, 4]);
    assert_eq!(listed(2).await, [1, 2]);
}
