//! Single cases of states and flags.

use uuid::Uuid;

use super::decide;
use super::example::{self, at, ended, every, instance};
use crate::receiver::store::{DEFAULT_FREQUENCY, Flags, Loss, Losses, Outage, Run, State};

const HOUR: i64 = 3600;

/// Run that began when it was first seen, with an hour between two updates.
fn run(id: u128, first_seen: i64, last_seen: i64) -> Run {
    example::run(id, first_seen, last_seen, HOUR)
}

fn state(runs: &[Run], now: i64) -> State {
    decide(&instance(), runs, &[], at(now)).state
}

fn flags(runs: &[Run], now: i64) -> Flags {
    decide(&instance(), runs, &[], at(now)).flags
}

#[test]
fn silence_is_judged_by_frequency_and_grace() {
    let day = 24 * HOUR;
    for (frequency, late, down) in [
        (Some(3600), HOUR + 300, 2 * HOUR + 300),
        // 5 % of 8 hours are 24 minutes.
        (Some(28_800), 8 * HOUR + 1440, 16 * HOUR + 1440),
        (Some(86_400), day + 4320, 2 * day + 4320),
        (Some(1), 301, 302),
        (None, day + 4320, 2 * day + 4320),
    ] {
        let runs = [every(frequency, run(1, 0, 0))];
        for (now, expected) in [
            (0, State::Up),
            (late - 1, State::Up),
            (late, State::Late),
            (down - 1, State::Late),
            (down, State::Down),
            (1000 * day, State::Down),
        ] {
            assert_eq!(state(&runs, now), expected, "{frequency:?} {now}");
        }
    }
}

#[test]
fn a_frequency_that_nobody_tells_is_learned_from_the_updates() {
    let learned = |updates, first, last| {
        let silent = Run {
            updates,
            first_update_at: Some(at(first)),
            last_update_at: Some(at(last)),
            ..every(None, run(1, 0, last))
        };
        decide(&instance(), &[silent], &[], at(last)).frequency
    };
    assert_eq!(learned(1, 100, 100), DEFAULT_FREQUENCY);
    assert_eq!(learned(4, HOUR, 13 * HOUR), 4 * 3600);
    assert_eq!(learned(3, 0, 60), 3600, "not less than a sender can be set to");
    assert_eq!(learned(2, 0, 100 * HOUR), 24 * 3600, "and not more");
}

#[test]
fn an_instance_has_ended_when_its_last_run_has() {
    let first = ended(run(1, 0, 10));
    assert_eq!(state(std::slice::from_ref(&first), 1_000_000), State::Ended);
    assert_eq!(state(&[first.clone(), run(2, 20, 20)], 30), State::Up);
    assert_eq!(state(&[first, ended(run(2, 20, 40))], 1_000_000), State::Ended);
    // One that was superseded counts until its deadline.
    let superseded = [run(1, 0, 10), ended(run(2, 20, 40))];
    assert_eq!(state(&superseded, 50), State::Up);
    assert_eq!(state(&superseded, HOUR + 310), State::Ended);
}

#[test]
fn of_several_runs_the_last_one_ends_it() {
    // Heard after the other began: both are alive.
    let replica = run(1, 0, 100);
    assert_eq!(state(&[replica.clone(), ended(run(2, 50, 120))], 130), State::Up);
    assert_eq!(state(&[ended(replica.clone()), ended(run(2, 50, 120))], 130), State::Ended);
    assert_eq!(state(&[replica, ended(run(2, 50, 120))], 3 * HOUR), State::Down);
}

#[test]
fn one_run_that_is_heard_from_is_enough() {
    let (slow, fast) = (every(Some(86_400), run(1, 0, 100)), run(2, 50, 3600));
    for now in [3600, 3 * HOUR, 20 * HOUR] {
        assert_eq!(state(&[slow.clone(), fast.clone()], now), State::Up, "{now}");
    }
}

#[test]
fn several_runs_are_said_while_they_are_alive() {
    let both = [run(1, 0, 100), run(2, 50, 90)];
    assert!(flags(&both, 200).several_runs);
    assert!(!flags(&both, 5 * HOUR).several_runs);
    assert!(!flags(&[ended(run(1, 0, 100)), run(2, 50, 90)], 200).several_runs, "a restart that overlaps");
    assert!(!flags(&[run(1, 0, 40), run(2, 50, 90)], 200).several_runs, "presumed dead");
}

#[test]
fn a_run_is_lost_at_its_deadline_unless_it_ended_or_is_heard_again() {
    let lost = |runs: &[Run], now| decide(&instance(), runs, &[], at(now)).lost;
    let deadline = 10 + HOUR + 300;
    let crashed = [run(1, 0, 10), run(2, 20, 20)];
    assert_eq!(lost(&crashed, deadline - 1), []);
    assert_eq!(lost(&crashed, deadline), [Loss { run_id: Uuid::from_u128(1), at: at(deadline) }]);
    assert_eq!(lost(&[ended(run(1, 0, 10)), run(2, 20, 20)], deadline), []);
    assert_eq!(lost(&[run(1, 0, 25), run(2, 20, 20)], 2 * deadline), [], "nobody began after it was heard");
    let known = Run { lost_at: Some(at(deadline)), ..run(1, 0, 10) };
    assert_eq!(lost(&[known.clone(), run(2, 20, 20)], deadline + 1), [], "it is told once");
    let again = Run { last_seen_at: at(deadline + 10), ..known };
    let again_at = 2 * deadline;
    assert_eq!(lost(&[again, run(2, 9000, 9000)], again_at + 10_000).len(), 1, "and when it is lost again");
    // It was long silent when the next one began.
    let late = [run(1, 0, 10), run(2, 9000, 9000)];
    assert_eq!(lost(&late, 9001), [Loss { run_id: Uuid::from_u128(1), at: at(9000) }]);
}

#[test]
fn losses_and_forks_are_shown_for_a_week() {
    let week = 7 * 24 * HOUR;
    let deadline = 10 + HOUR + 300;
    let judged = |now: i64| {
        let forked = Run { forked_at: Some(at(100)), ..run(2, 20, now) };
        decide(&instance(), &[run(1, 0, 10), forked], &[], at(now))
    };
    let before = judged(deadline - 1);
    assert_eq!((before.flags.crashed, before.losses), (false, Losses::default()));
    let after = judged(deadline);
    assert_eq!(after.losses, Losses { count: 1, last_at: Some(at(deadline)) });
    assert!(after.flags.crashed && after.flags.cloned);
    assert!(judged(99 + week).flags.cloned && !judged(100 + week).flags.cloned);
    assert!(judged(deadline + week - 1).flags.crashed && !judged(deadline + week).flags.crashed);
    assert_eq!(judged(100 + week).check_at, at(deadline + week), "the loss is forgotten next");
}

#[test]
fn the_receivers_own_outage_is_nobodys_silence() {
    let runs = [run(1, 0, 0)];
    let outage = |began, ended| Outage { began_at: at(began), ended_at: at(ended) };
    let late = |outages: &[Outage]| {
        let judged = decide(&instance(), &runs, outages, at(100_000));
        judged.transitions[0].at.duration_since(at(0)).as_secs()
    };
    assert_eq!(late(&[]), 3900);
    assert_eq!(late(&[outage(1000, 1500)]), 4400);
    assert_eq!(late(&[outage(-500, 500)]), 4400, "only the part after it was heard");
    assert_eq!(late(&[outage(-500, 0)]), 3900);
    assert_eq!(late(&[outage(3900, 9000)]), 3900, "it was late already");
    assert_eq!(late(&[outage(3800, 9000)]), 9100);
    assert_eq!(late(&[outage(1000, 2000), outage(4000, 5000)]), 5900, "one moves it into the next");
}
