//! Which instances are due, and what is written of a judgement.

use std::sync::mpsc;
use std::thread;

use futures_util::future::join_all;

use super::*;
use crate::receiver::judging::judgement::decide;

const LIMIT: Duration = Duration::from_secs(30);

suite! {
    a_new_instance_is_due_once
    an_update_that_says_nothing_new_makes_no_instance_due
    a_repeated_event_makes_no_instance_due
    an_event_that_says_something_new_makes_an_instance_due
    an_update_that_shows_that_two_runs_live_beside_each_other_makes_the_instance_due
    an_update_of_an_instance_that_is_not_up_makes_it_due
    silence_makes_an_instance_due_at_its_time
    no_more_than_the_limit_are_judged
    a_judgement_is_written_as_decided
    a_judgement_considers_the_latest_runs_and_those_silent_for_longest
    no_loss_is_missed_however_many_runs_there_are
    a_judgement_considers_an_open_run_however_many_have_ended_since
    an_event_that_arrives_during_a_judgement_is_judged_next
    an_update_that_arrives_during_a_judgement_is_judged_next
    receivers_that_judge_at_the_same_time_write_once
}

async fn a_new_instance_is_due_once(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "update"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    assert_eq!(judged(&store, at(0)).await, [of(1), of(2)]);
    assert!(judged(&store, at(0)).await.is_empty());
}

async fn an_update_that_says_nothing_new_makes_no_instance_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    for number in 2..5 {
        store.append(&[event(1, 1, number, number * 10, "update")]).await.unwrap();
    }
    assert!(judged(&store, at(100)).await.is_empty());
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().last_seen_at, at(40));
}

async fn a_repeated_event_makes_no_instance_due(database: &impl Database) {
    let store = started(database).await;
    let begin = event(1, 1, 1, 0, "begin");
    store.append(std::slice::from_ref(&begin)).await.unwrap();
    judged(&store, at(0)).await;
    assert_eq!(store.append(&[begin]).await.unwrap(), [Before]);
    assert!(judged(&store, at(1)).await.is_empty());
}

async fn an_event_that_says_something_new_makes_an_instance_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    let events = [
        event(1, 1, 2, 1, "license-state-change"),
        event(1, 1, 3, 2, "begin"),
        event(1, 1, 4, 3, "hello"),
        NewEvent { facts: facts("1.1"), ..event(1, 1, 5, 4, "update") },
        NewEvent { facts: facts("1.1"), frequency: Some(60), ..event(1, 1, 6, 5, "update") },
        NewEvent { facts: facts("1.1"), ..event(1, 2, 1, 6, "update") },
        event(1, 2, 2, 7, "end"),
    ];
    for event in events {
        let shown = format!("{event:?}");
        let now = event.received_at;
        store.append(&[event]).await.unwrap();
        assert_eq!(judged(&store, now).await, [of(1)], "{shown}");
        assert!(judged(&store, now).await.is_empty());
    }
}

/// Two runs begin at the same time. The next update of the one by which the instance was judged shows that both live.
async fn an_update_that_shows_that_two_runs_live_beside_each_other_makes_the_instance_due(
    database: &impl Database,
) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(1, 2, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    store.append(&[event(1, 1, 2, 10, "update")]).await.unwrap();
    assert_eq!(judged(&store, at(10)).await, [of(1)]);
    store.append(&[event(1, 1, 3, 20, "update")]).await.unwrap();
    assert!(judged(&store, at(20)).await.is_empty());
}

async fn an_update_of_an_instance_that_is_not_up_makes_it_due(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(7_200)).await;
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Down);
    store.append(&[event(1, 1, 2, 7_300, "update")]).await.unwrap();
    assert_eq!(judged(&store, at(7_300)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Up);
}

async fn silence_makes_an_instance_due_at_its_time(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    assert!(judged(&store, at(3_600)).await.is_empty());
    assert_eq!(judged(&store, at(3_601)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Down);
}

async fn no_more_than_the_limit_are_judged(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=5).map(|number| event(number, 1, 1, number as i64, "begin")).collect();
    store.append(&events).await.unwrap();
    let decide = |instance: &Instance, runs: &[Run]| decided(at(10), instance, runs);
    for expected in [2, 2, 1, 0] {
        assert_eq!(store.judge(at(10), 2, &decide).await.unwrap(), expected);
    }
}

async fn a_judgement_is_written_as_decided(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 5, "begin"), event(1, 2, 1, 9, "begin")]).await.unwrap();
    let license = Transition { at: at(8), change: Change::License, from: None, to: "invalid".to_owned() };
    let judgement = Judgement {
        run_id: of(2),
        last_seen_at: at(0),
        state: State::Late,
        state_since: at(7),
        flags: Flags { crashed: true, several_runs: false, cloned: true, restarting: true },
        losses: Losses { count: 3, last_at: Some(at(6)) },
        begins_since: Some(at(2)),
        untold: true,
        lost: vec![Loss { run_id: of(2), at: at(10) }],
        frequency: 1_234,
        facts: Facts {
            license_valid: false,
            license_key_hash: Some("abc".to_owned()),
            custom_id: Some("Berlin 1".to_owned()),
            ..facts("3.0")
        },
        check_at: at(1_000),
        transitions: vec![
            state_change(at(6), None, State::Up),
            license.clone(),
            state_change(at(7), Some(State::Up), State::Late),
        ],
        alerts: vec![license.clone()],
    };
    store.judge(at(10), 10, &|_, _| judgement.clone()).await.unwrap();
    let instance = Instance {
        instance_id: of(1),
        first_seen_at: at(5),
        last_seen_at: at(9),
        state: judgement.state,
        state_since: judgement.state_since,
        flags: judgement.flags,
        losses: judgement.losses,
        begins_since: judgement.begins_since,
        untold: true,
        frequency: judgement.frequency,
        facts: judgement.facts.clone(),
        judged_at: Some(at(10)),
    };
    assert_eq!(store.instance(of(1)).await.unwrap().as_ref(), Some(&instance));
    assert_eq!(all_instances(&store).await, [instance]);
    assert_eq!(store.runs(of(1), 1).await.unwrap()[0].lost_at, Some(at(10)));
    let latest_first = [license.clone(), judgement.transitions[2].clone(), judgement.transitions[0].clone()];
    assert_eq!(store.transitions(of(1), 10).await.unwrap(), latest_first);
    assert_eq!(store.transitions(of(1), 1).await.unwrap(), std::slice::from_ref(&license));
    assert_eq!(store.waiting_alerts().await.unwrap(), 1);
    let alert = store.take_digest(at(11), &|_| at(12), 10).await.unwrap().unwrap().alerts.remove(0);
    assert_eq!((alert.instance_id, alert.transition), (of(1), license));
    assert_eq!((alert.custom_id.as_deref(), alert.build_version.as_str()), (Some("Berlin 1"), "3.0"));

    assert!(judged(&store, at(999)).await.is_empty());
    assert_eq!(judged(&store, at(1_000)).await, [of(1)]);
}

async fn no_loss_is_missed_however_many_runs_there_are(database: &impl Database) {
    let store = started(database).await;
    // A begin a minute, each heard once, for many more minutes than runs are judged at once.
    let last = 3 * JUDGED_RUNS;
    let begin =
        |run: i64| NewEvent { frequency: Some(86_400), ..event(1, run as u128, 1, run * 60, "begin") };
    store.append(&(1..=last).map(begin).collect::<Vec<_>>()).await.unwrap();
    // Nobody judged before all of them had passed their deadline.
    let mut now = at(last * 60 + 26 * 3_600);
    for _ in 0..10 {
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], now);
        store.judge(now, 10, &decide).await.unwrap();
        now += SignedDuration::from_mins(1);
    }
    let transitions = store.transitions(of(1), 10_000).await.unwrap();
    let lost = transitions.iter().filter(|transition| transition.change == Change::RunLost);
    assert_eq!(lost.count() as i64, last - 1, "each once, and the last run is not superseded");
}

async fn a_judgement_considers_the_latest_runs_and_those_silent_for_longest(database: &impl Database) {
    let store = started(database).await;
    let last = 2 * JUDGED_RUNS + 8;
    let events: Vec<_> = (1..=last).map(|run| event(1, run as u128, 1, run, "begin")).collect();
    store.append(&events).await.unwrap();
    let given = Mutex::new(Vec::new());
    let decide = |instance: &Instance, runs: &[Run]| {
        given.lock().unwrap().extend(runs.iter().map(|run| run.run_id.as_u128() as i64));
        decided(at(last), instance, runs)
    };
    store.judge(at(last), 10, &decide).await.unwrap();
    let expected: Vec<_> =
        (1..=last).rev().filter(|run| *run > last - JUDGED_RUNS || *run <= JUDGED_RUNS).collect();
    assert_eq!(given.into_inner().unwrap(), expected);
}

/// The event may be stored before or after the judgement is written.
async fn an_event_that_arrives_during_a_judgement_is_judged_next(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    let other = database.store();
    let end = event(1, 1, 2, 1, "end");
    let during = Mutex::new(None);
    let runtime = tokio::runtime::Handle::current();
    let decide = |instance: &Instance, runs: &[Run]| {
        let (other, end) = (other.clone(), end.clone());
        *during.lock().unwrap() = Some(runtime.spawn(async move { other.append(&[end]).await }));
        decided(at(0), instance, runs)
    };
    store.judge(at(0), 10, &decide).await.unwrap();
    let appended = during.into_inner().unwrap().unwrap();
    assert_eq!(appended.await.unwrap().unwrap(), [New]);
    assert_eq!(judged(&store, at(1)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Ended);
}

async fn an_update_that_arrives_during_a_judgement_is_judged_next(database: &impl Database) {
    let store = started(database).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judged(&store, at(0)).await;
    let (other, late) = (database.store(), DAY / 2);
    let (sender, stored) = mpsc::channel();
    let (stored, answers) = (Mutex::new(stored), Mutex::new(None));
    let decide = |instance: &Instance, runs: &[Run]| {
        let (other, sender) = (other.clone(), sender.clone());
        thread::spawn(move || {
            let appended = runtime().block_on(other.append(&[event(1, 1, 2, late, "update")]));
            sender.send(appended.unwrap()).unwrap();
        });
        // A store may let the update in at once, or keep it waiting until the judgement is written.
        let stored = stored.lock().unwrap();
        let has_come = || {
            let answer = stored.recv_timeout(Duration::from_millis(10));
            answer.inspect(|answer| *answers.lock().unwrap() = Some(answer.clone())).is_ok()
        };
        let what = "the update is stored, or waits for a lock";
        test_support::wait_until(what, LIMIT, || has_come() || database.is_waiting_for_a_lock());
        decided(at(late), instance, runs)
    };
    store.judge(at(late), 10, &decide).await.unwrap();
    let answer = answers.into_inner().unwrap();
    let answer = answer.unwrap_or_else(|| stored.into_inner().unwrap().recv_timeout(LIMIT).unwrap());
    assert_eq!(answer, [New]);
    assert_eq!(judged(&store, at(late)).await, [of(1)]);
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Up);
}

async fn receivers_that_judge_at_the_same_time_write_once(database: &impl Database) {
    let store = started(database).await;
    let events: Vec<_> = (1..=60).map(|number| event(number, number, 1, 0, "begin")).collect();
    store.append(&events).await.unwrap();
    let judge = async |_| {
        let store = database.store();
        let decide = |instance: &Instance, runs: &[Run]| decided(at(0), instance, runs);
        while store.judge(at(0), 7, &decide).await.unwrap() == 7 {}
    };
    join_all((0..4).map(judge)).await;
    judged(&store, at(0)).await;
    assert_eq!(store.waiting_alerts().await.unwrap(), 60);
    for number in 1..=60 {
        let begun = state_change(at(0), None, State::Up);
        assert_eq!(store.transitions(of(number), 10).await.unwrap(), [begun]);
    }
}

async fn a_judgement_considers_an_open_run_however_many_have_ended_since(database: &impl Database) {
    let store = started(database).await;
    let replicas = (1..=JUDGED_RUNS as u128 + 2).map(|run| event(1, run, 1, run as i64, "begin"));
    store.append(&replicas.collect::<Vec<_>>()).await.unwrap();
    let ends = (2..=JUDGED_RUNS as u128 + 2).map(|run| event(1, run, 2, 1_000 + run as i64, "end"));
    store.append(&ends.collect::<Vec<_>>()).await.unwrap();
    let open = Mutex::new(Vec::new());
    let decide = |instance: &Instance, runs: &[Run]| {
        assert!(runs.is_sorted_by_key(|run| (std::cmp::Reverse(run.last_seen_at), run.run_id)));
        open.lock().unwrap().extend(runs.iter().filter(|run| run.ended_at.is_none()).map(|run| run.run_id));
        decided(at(2_000), instance, runs)
    };
    store.judge(at(2_000), 10, &decide).await.unwrap();
    assert_eq!(*open.lock().unwrap(), [of(1)]);
}
