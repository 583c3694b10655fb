//! Wrong clocks leave nothing behind.

use super::*;
use crate::receiver::judging::judgement;

suite! {
    what_a_clock_ahead_left_is_mended
    a_delivery_that_failed_in_the_future_failed_by_now
    a_gap_before_a_clock_ahead_remains_as_long_as_it_was
    an_event_shows_when_an_outage_was_over
    a_clock_behind_changes_nothing
    a_clock_behind_is_believed_when_it_stays
    time_is_counted_on_from_the_mark
    wrong_clocks_of_every_kind_leave_nothing
    times_in_the_future_are_found_at_the_start
    where_nothing_is_wrong_nothing_is_mended
    an_unnumbered_event_with_the_same_id_a_day_later_is_a_repetition
}

const LIMIT: Duration = Duration::from_secs(30);

async fn mark(store: &Arc<dyn FleetStore>, seconds: i64) -> Marked {
    store.make_room(at(seconds)).await.unwrap();
    store.mark(by(at(seconds)), LIMIT).await.unwrap()
}

async fn mend(store: &Arc<dyn FleetStore>, seconds: i64) -> u64 {
    store.mend(by(at(seconds)), LIMIT, true).await.unwrap()
}

async fn judge(store: &Arc<dyn FleetStore>, seconds: i64, outages: &[Outage]) {
    let decide = |instance: &Instance, runs: &[Run]| judgement::decide(instance, runs, outages, at(seconds));
    store.judge(at(seconds), 1_000, &decide).await.unwrap();
}

/// All times in the store, except the deadlines.
async fn times(store: &Arc<dyn FleetStore>, instances: u128) -> Vec<Timestamp> {
    let mut times: Vec<_> = all_events(store).await.iter().map(|event| event.received_at).collect();
    for instance in all_instances(store).await {
        times.extend([instance.first_seen_at, instance.last_seen_at, instance.state_since]);
        times.extend(
            [instance.judged_at, instance.losses.last_at, instance.begins_since].into_iter().flatten(),
        );
    }
    for instance in 1..=instances {
        for run in store.runs(of(instance), 100).await.unwrap() {
            times.extend([run.first_seen_at, run.last_seen_at, run.facts_at]);
            let others = [run.ended_at, run.first_update_at, run.last_update_at, run.lost_at, run.forked_at];
            times.extend(others.into_iter().flatten());
        }
        let transitions = store.transitions(of(instance), 100).await.unwrap();
        times.extend(transitions.iter().map(|transition| transition.at));
    }
    for key in store.keys().await.unwrap() {
        times.extend([Some(key.created_at), key.last_used_at, key.revoked_at].into_iter().flatten());
    }
    times
}

#[track_caller]
fn assert_none_after(times: &[Timestamp], now: Timestamp) {
    assert!(!times.is_empty());
    let future: Vec<_> = times.iter().filter(|time| **time > now).collect();
    assert!(future.is_empty(), "{future:?} after {now}");
}

/// A receiver whose clock is ahead: it marks, stores, judges.
async fn work_ahead(store: &Arc<dyn FleetStore>, from: i64) {
    store.make_room(at(from)).await.unwrap();
    let outages = mark(store, from).await.outages;
    let events = [
        event(1, 1, 2, from + 1, "update"),
        event(1, 1, 3, from + 2, "end"),
        event(1, 3, 1, from + 3, "begin"),
        event(2, 2, 1, from + 1, "begin"),
    ];
    store.append(&events).await.unwrap();
    judge(store, from + 3, &outages).await;
    store.touch_keys(&[(of(1), at(from + 3))]).await.unwrap();
    mark(store, from + 4).await;
}

async fn what_a_clock_ahead_left_is_mended(database: &impl Database) {
    let store = started(database).await;
    store.add_key(&keys::key(1, "key")).await.unwrap();
    let key = store.keys().await.unwrap()[0].id;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judge(&store, 1, &[]).await;
    mark(&store, 1).await;

    work_ahead(&store, 400 * DAY + 2).await;
    store.touch_keys(&[(key, at(400 * DAY + 5))]).await.unwrap();
    let for_an_hour = |id: u128, from: i64| Mute {
        id: of(id),
        of: Muted::Instance(of(1)),
        reason: "maintenance".to_owned(),
        until: at(from + 3_600),
        created_at: at(from),
    };
    for mute in [for_an_hour(1, 0), for_an_hour(2, 400 * DAY + 5)] {
        assert!(store.add_mutes(std::slice::from_ref(&mute)).await.unwrap());
    }
    let ahead = mark(&store, 7).await;
    assert_eq!(ahead.standing, Standing::Ahead);
    assert_eq!(ahead.mark, at(400 * DAY + 6), "nothing was written");
    assert!(mend(&store, 7).await > 0);

    let marked = mark(&store, 8).await;
    assert_eq!((marked.standing, marked.mark, marked.outages), (Standing::Right, at(8), vec![]));
    assert_none_after(&times(&store, 2).await, at(8));
    let mut ends: Vec<_> = store.mutes().await.unwrap().iter().map(|mute| mute.until).collect();
    ends.sort();
    assert_eq!(ends, [at(3_600), at(3_606)], "a mute keeps its length");
    // Times moved by as much as the clock was ahead, so that their order is what it was.
    let runs = store.runs(of(1), 10).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run_id).collect::<Vec<_>>(), [of(3), of(1)]);
    assert_eq!((runs[1].first_seen_at, runs[1].last_seen_at, runs[1].ended_at), (at(0), at(5), Some(at(5))));
    assert_eq!(runs[0].first_seen_at, at(6));
    let key = store.keys().await.unwrap().remove(0);
    assert_eq!(key.last_used_at, Some(at(6)));
    assert_eq!(judged(&store, at(8)).await, [of(1), of(2)], "they are judged again");
    // The first of them falls silent: nothing of the clock holds its deadline up.
    judge(&store, 8, &[]).await;
    judge(&store, 6 + 3_600 + 301, &[]).await;
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Late);
}

async fn a_delivery_that_failed_in_the_future_failed_by_now(database: &impl Database) {
    let (store, hour) = (started(database).await, 3_600);
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    judge(&store, 3 * hour, &[]).await;
    mark(&store, 3 * hour).await;
    let ahead = 400 * DAY;
    mark(&store, ahead).await;
    let next_try = |_| at(ahead + hour);
    let digest = store.take_digest(at(ahead + 1), &next_try, 10).await.unwrap().unwrap();
    store.digest_failed(digest.id, at(ahead + 2), "refused").await.unwrap();
    assert_eq!(mark(&store, 4 * hour).await.standing, Standing::Ahead);
    assert!(mend(&store, 4 * hour).await > 0);
    let waiting = store.waiting_digests(10).await.unwrap();
    let (failed_at, why) = waiting[0].failure.clone().unwrap();
    assert!(failed_at <= at(4 * hour) && why == "refused", "{failed_at}");
}

async fn a_gap_before_a_clock_ahead_remains_as_long_as_it_was(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    // Nobody for an hour, then a clock ahead for ten seconds, then again nobody for ten minutes.
    mark(&store, 3_600 + 30 * DAY).await;
    mark(&store, 3_610 + 30 * DAY).await;
    assert_eq!(mark(&store, 4_210).await.standing, Standing::Ahead);
    mend(&store, 4_210).await;
    let outage = Outage { began_at: at(0), ended_at: at(4_200) };
    assert_eq!(mark(&store, 4_211).await.outages, [outage]);
}

async fn an_event_shows_when_an_outage_was_over(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    // What a past version left: the mark stays in the future while receivers whose clock is right are at work.
    mark(&store, 400 * DAY).await;
    store.append(&[event(1, 1, 2, 100, "update"), event(1, 1, 3, 50_000, "update")]).await.unwrap();
    assert_eq!(mark(&store, 60_000).await.standing, Standing::Ahead);
    mend(&store, 60_000).await;
    let outage = Outage { began_at: at(0), ended_at: at(100) };
    assert_eq!(mark(&store, 60_001).await.outages, [outage]);
}

async fn a_clock_behind_changes_nothing(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, -4_000, "begin")]).await.unwrap();
    judge(&store, 1, &[]).await;
    let before = times(&store, 2).await;
    for behind in [3_600, 100 * DAY] {
        let marked = mark(&store, -behind).await;
        // No more would be undone than was lived.
        let lived = Duration::from_secs(behind.min(4_000).unsigned_abs());
        assert_eq!((marked.standing, marked.mark), (Standing::Behind { lived }, at(0)));
        assert_eq!(store.mend(by(at(-behind)), LIMIT, false).await.unwrap(), 0);
    }
    assert_eq!(times(&store, 2).await, before);
    let marked = mark(&store, 2).await;
    assert_eq!((marked.standing, marked.outages), (Standing::Right, vec![]));
}

async fn a_clock_behind_is_believed_when_it_stays(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store
        .append(&[event(1, 1, 1, 0, "begin"), event(1, 1, 2, 10, "end"), event(1, 3, 1, 11, "begin")])
        .await
        .unwrap();
    judge(&store, 12, &[]).await;
    mark(&store, 12).await;
    mend(&store, -3_600).await;
    assert_none_after(&times(&store, 1).await, at(-3_600));
    let marked = mark(&store, -3_599).await;
    assert_eq!((marked.standing, marked.mark, marked.outages), (Standing::Right, at(-3_599), vec![]));
    judge(&store, -3_599, &[]).await;
    assert_eq!(store.instance(of(1)).await.unwrap().unwrap().state, State::Up);
}

async fn time_is_counted_on_from_the_mark(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin")]).await.unwrap();
    let counted = |seconds| Reading { counted: Some(at(seconds)), ..by(at(-3_600)) };
    for (seconds, outages) in [(1, 0), (20, 0), (100, 1), (90, 1)] {
        let marked = store.mark(counted(seconds), LIMIT).await.unwrap();
        assert_eq!(marked.mark, at(seconds.max(if outages == 1 { 100 } else { 0 })));
        assert_eq!(marked.outages.len(), outages, "{marked:?}");
    }
}

async fn wrong_clocks_of_every_kind_leave_nothing(database: &impl Database) {
    let store = started(database).await;
    mark(&store, 0).await;
    store.append(&[event(1, 1, 1, 0, "begin"), event(1, 1, 2, 1, "update")]).await.unwrap();
    judge(&store, 1, &[]).await;
    mark(&store, 1).await;
    let mut now = 1;
    let of_2038 = 2_147_483_647 - at(0).as_second();
    let of_9999 = 253_370_000_000 - at(0).as_second();
    for ahead in [400 * DAY, of_2038, of_9999, 90 * 60, 60, -3_600, -200 * DAY, 1 - at(0).as_second()] {
        for marks in [1, 40] {
            for second in 0..marks {
                let wrong = mark(&store, now + second + ahead).await;
                assert_eq!(
                    matches!(wrong.standing, Standing::Behind { .. }),
                    ahead < 0,
                    "{ahead}: {wrong:?}"
                );
            }
            now += marks + 1;
            if mark(&store, now).await.standing == Standing::Ahead {
                mend(&store, now).await;
            }
            let marked = mark(&store, now).await;
            let right = (Standing::Right, at(now), vec![]);
            // A clock that is behind leaves no mark by itself; 40 seconds are a gap then.
            let gap = Outage { began_at: at(now - marks - 1), ended_at: at(now) };
            match ahead < 0 && marks > 30 {
                true => assert!(marked.outages.contains(&gap), "{ahead}: {marked:?}"),
                false if ahead > 0 => {
                    assert_eq!((marked.standing, marked.mark, marked.outages), right, "{ahead}")
                }
                false => assert_eq!((marked.standing, marked.mark), (right.0, right.1), "{ahead}"),
            }
        }
    }
    assert_none_after(&times(&store, 1).await, at(now));
}

async fn times_in_the_future_are_found_at_the_start(database: &impl Database) {
    let store = started(database).await;
    store.make_room(at(50 * DAY)).await.unwrap();
    // Another receiver stored them before its first mark.
    store.append(&[event(1, 1, 1, 50 * DAY, "begin"), event(2, 2, 1, 0, "begin")]).await.unwrap();
    judge(&store, 50 * DAY, &[]).await;
    assert_eq!(mark(&store, 1).await.standing, Standing::Right);
    assert!(store.mend(by(at(1)), LIMIT, false).await.unwrap() > 0);
    assert_none_after(&times(&store, 2).await, at(1));
    assert_eq!(judged(&store, at(2)).await, [of(1), of(2)]);
}

async fn where_nothing_is_wrong_nothing_is_mended(database: &impl Database) {
    let store = started(database).await;
    assert_eq!(mend(&store, 0).await, 0, "an empty store");
    mark(&store, 0).await;
    store
        .append(&[event(1, 1, 1, 0, "begin"), event(2, 2, 1, 3, "begin"), event(2, 2, 2, 4, "end")])
        .await
        .unwrap();
    judge(&store, 4, &[]).await;
    let (before, runs) = (all_instances(&store).await, store.runs(of(2), 10).await.unwrap());
    assert_eq!(mend(&store, 1).await, 0, "a few seconds are no other time");
    assert_eq!((all_instances(&store).await, store.runs(of(2), 10).await.unwrap()), (before, runs));
}

async fn an_unnumbered_event_with_the_same_id_a_day_later_is_a_repetition(database: &impl Database) {
    let store = started(database).await;
    let first = NewEvent {
        run_id: Uuid::nil(),
        is_numbered: false,
        sequence: at(0).as_microsecond(),
        ..event(1, 1, 1, 0, "update")
    };
    let later = NewEvent {
        received_at: at(DAY),
        day: at(DAY).to_zoned(TimeZone::UTC).date(),
        sequence: at(DAY).as_microsecond(),
        ..first.clone()
    };
    assert_eq!(store.append(std::slice::from_ref(&first)).await.unwrap(), [New]);
    assert_eq!(store.append(&[later]).await.unwrap(), [Before]);
    assert_eq!(all_events(&store).await, [stored(first)]);
    assert_eq!(store.runs(of(1), 10).await.unwrap()[0].last_seen_at, at(0));
}
