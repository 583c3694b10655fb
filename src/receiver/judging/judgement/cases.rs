//! Single cases, and what holds for any runs.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::example::at;
use super::*;
use crate::receiver::store::{Change, DEFAULT_FREQUENCY, Facts, State, Transition};

const HOUR: i64 = 3600;

/// Run that began when it was first seen, with an hour between two updates.
fn run(id: u128, first_seen: i64, last_seen: i64) -> Run {
    example::run(id, first_seen, last_seen, HOUR)
}

fn ended(run: Run) -> Run {
    Run { ended_at: Some(run.last_seen_at), ..run }
}

fn every(frequency: Option<i32>, run: Run) -> Run {
    Run { frequency, ..run }
}

/// As it was judged at the beginning, when it was up.
fn instance() -> Instance {
    Instance {
        instance_id: Uuid::from_u128(7),
        first_seen_at: at(0),
        last_seen_at: at(0),
        state: State::Up,
        state_since: at(0),
        flags: Flags::default(),
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        frequency: 3600,
        facts: Facts { license_valid: true, ..Facts::default() },
        judged_at: Some(at(0)),
    }
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

fn told(transitions: &[Transition]) -> Vec<(i64, String)> {
    transitions
        .iter()
        .map(|transition| {
            let from = transition.from.as_deref().unwrap_or("-");
            (transition.at.duration_since(at(0)).as_secs(), format!("{from} {}", transition.to))
        })
        .collect()
}

#[test]
fn transitions_are_told_with_the_time_at_which_they_became_true() {
    let down = decide(&instance(), &[run(1, 0, 0)], &[], at(9000));
    assert_eq!(told(&down.transitions), [(3900, "up late".to_owned()), (7500, "late down".to_owned())]);
    assert_eq!(told(&down.alerts), [(7500, "late down".to_owned())]);
    assert_eq!(down.state_since, at(7500));

    let late = Instance { state: State::Late, state_since: at(3900), ..instance() };
    let unchanged = decide(&late, &[run(1, 0, 0)], &[], at(4000));
    assert_eq!((unchanged.transitions.len(), unchanged.state_since), (0, at(3900)));
    let up = decide(&late, &[run(1, 0, 4100)], &[], at(4200));
    assert_eq!(told(&up.transitions), [(4100, "late up".to_owned())]);
    assert!(up.alerts.is_empty(), "who was only late is not worth an alert");

    let was_down = Instance { state: State::Down, ..instance() };
    let back = decide(&was_down, &[run(1, 0, 9000)], &[], at(9001));
    assert_eq!(told(&back.alerts), [(9000, "down up".to_owned())]);

    let ended = decide(&was_down, &[ended(run(1, 0, 9000))], &[], at(9001));
    assert_eq!(told(&ended.alerts), [(9000, "down ended".to_owned())], "nobody waits for it to come back");

    let new = Instance { judged_at: None, ..instance() };
    assert_eq!(told(&decide(&new, &[run(1, 0, 0)], &[], at(1)).transitions), [(0, "- up".to_owned())]);
    let seen_too_late = decide(&new, &[run(1, 0, 0)], &[], at(9000));
    assert_eq!(
        told(&seen_too_late.transitions),
        [(0, "- up".to_owned()), (3900, "up late".to_owned()), (7500, "late down".to_owned())]
    );
}

#[test]
fn an_end_and_a_begin_between_two_looks_are_both_told() {
    let restarted = [ended(run(1, 0, 100)), run(2, 101, 101)];
    let judged = decide(&instance(), &restarted, &[], at(102));
    assert_eq!(told(&judged.transitions), [(100, "up ended".to_owned()), (101, "ended up".to_owned())]);
    assert_eq!((judged.state, judged.state_since), (State::Up, at(101)));
    assert!(judged.alerts.is_empty());
    let again = Instance { state_since: judged.state_since, ..instance() };
    assert!(decide(&again, &restarted, &[], at(200)).transitions.is_empty());

    for up_all_the_time in [
        [run(1, 0, 100), run(2, 101, 101)],
        [ended(run(1, 0, 100)), run(2, 50, 101)],
        [ended(run(1, 50, 100)), run(2, 0, 101)],
    ] {
        let judged = decide(&instance(), &up_all_the_time, &[], at(102));
        assert!(judged.transitions.is_empty(), "{:?}", judged.transitions);
    }
    let silent = decide(&instance(), &restarted, &[], at(101 + 2 * HOUR));
    assert_eq!(silent.state, State::Late);
    let told = told(&silent.transitions);
    assert_eq!(told.last().unwrap(), &(101 + 3900, "up late".to_owned()), "{told:?}");
}

#[test]
fn an_end_and_a_begin_are_told_whatever_an_earlier_run_did() {
    let day = 24 * HOUR;
    let yesterday = Instance { state_since: at(-day), ..instance() };
    let restart = |crashed: Run, looked_at: i64| {
        let runs = [crashed, ended(run(2, 50, 100)), run(3, 110, 120)];
        let judged = decide(&yesterday, &runs, &[], at(looked_at));
        let states = judged.transitions.iter().filter(|transition| transition.change == Change::State);
        (told(&states.cloned().collect::<Vec<_>>()), judged.state_since)
    };
    let both = vec![(100, "up ended".to_owned()), (110, "ended up".to_owned())];
    let none = (vec![], at(-day));
    // It was lost long before: the restart is told, as it is to who looks in between.
    assert_eq!(restart(run(1, -day, -2 * HOUR), 130), (both.clone(), at(110)));
    // It may have been alive while the other two changed places.
    assert_eq!(restart(run(1, -day, 10), 130), none);
    // Also where it is known by now to be lost: it was not when the other ended.
    assert_eq!(restart(run(1, -day, 10), 4_000).0, none.0);
    // The run that began after the end was lost, and another one lives.
    let runs = [ended(run(1, -day, 100)), run(2, 110, 120), run(3, 130, 140)];
    let judged = decide(&yesterday, &runs, &[], at(150));
    assert_eq!((told(&judged.transitions), judged.state_since), (both.clone(), at(110)));
    // Several between two looks.
    let runs = [ended(run(1, -day, 100)), ended(run(2, 110, 120)), run(3, 130, 140)];
    let judged = decide(&yesterday, &runs, &[], at(150));
    let more = [(120, "up ended".to_owned()), (130, "ended up".to_owned())];
    assert_eq!((told(&judged.transitions), judged.state_since), ([both, more.to_vec()].concat(), at(130)));
}

#[test]
fn a_license_that_is_no_longer_valid_is_told() {
    let mut invalid = run(1, 0, 500);
    invalid.facts.license_valid = false;
    let judged = decide(&instance(), std::slice::from_ref(&invalid), &[], at(501));
    assert_eq!(told(&judged.alerts), [(500, "valid invalid".to_owned())]);
    assert!(!judged.facts.license_valid);
    let new = Instance { judged_at: None, ..instance() };
    assert!(decide(&new, &[invalid], &[], at(501)).alerts.is_empty(), "it never had one");
    let mut unlicensed = instance();
    unlicensed.facts.license_valid = false;
    let valid = decide(&unlicensed, &[run(1, 0, 500)], &[], at(501));
    assert_eq!(told(&valid.transitions), [(500, "invalid valid".to_owned())]);
    assert!(valid.alerts.is_empty());
}

prop_compose! {
    fn any_run(id: u128)(
        first in 0_i64..40_000,
        length in 0_i64..40_000,
        begun: bool,
        has_ended in prop::bool::weighted(0.4),
        frequency in prop::option::of(1_i32..10_000),
    ) -> Run {
        let run = Run { begun, ..every(frequency, run(id, first, first + length)) };
        if has_ended { ended(run) } else { run }
    }
}

fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    (1_usize..8).prop_flat_map(|count| (1..=count as u128).map(any_run).collect::<Vec<_>>())
}

fn any_outages() -> impl Strategy<Value = Vec<Outage>> {
    prop::collection::vec((0_i64..20_000, 1_i64..20_000), 0..4).prop_map(|gaps| {
        let mut time = 0;
        gaps.into_iter()
            .map(|(pause, length)| {
                let began_at = time + pause;
                time = began_at + length;
                Outage { began_at: at(began_at), ended_at: at(time) }
            })
            .collect()
    })
}

fn end(runs: &[Run]) -> Timestamp {
    runs.iter().map(|run| run.last_seen_at).max().unwrap()
}

proptest! {
    #[test]
    fn time_alone_moves_states_along_the_documented_ways(
        runs in any_runs(), outages in any_outages(), first in 0_i64..200_000, later in 0_i64..500_000
    ) {
        let now = end(&runs) + SignedDuration::from_secs(first);
        let before = decide(&instance(), &runs, &outages, now).state;
        let after = decide(&instance(), &runs, &outages, now + SignedDuration::from_secs(later)).state;
        let allowed: &[State] = match before {
            State::Up => &[State::Up, State::Late, State::Down, State::Ended],
            State::Late => &[State::Late, State::Down],
            State::Down => &[State::Down],
            State::Ended => &[State::Ended],
        };
        prop_assert!(allowed.contains(&after), "{before:?} became {after:?}");
    }

    #[test]
    fn the_order_in_which_runs_are_read_changes_nothing(
        runs in any_runs(), outages in any_outages(), first in 0_i64..200_000, turn in 0_usize..8
    ) {
        let now = end(&runs) + SignedDuration::from_secs(first);
        let mut turned = runs.clone();
        turned.rotate_left(turn % runs.len());
        turned.reverse();
        prop_assert_eq!(decide(&instance(), &runs, &outages, now), decide(&instance(), &turned, &outages, now));
    }

    #[test]
    fn nothing_changes_before_the_next_look(
        runs in any_runs(), outages in any_outages(), first in 0_i64..200_000, part in 0.0..1.0_f64
    ) {
        let now = end(&runs) + SignedDuration::from_secs(first);
        let judged = decide(&instance(), &runs, &outages, now);
        prop_assert!(judged.check_at > now);
        let wait = judged.check_at.duration_since(now).min(SignedDuration::from_secs(1_000_000));
        let before = now + SignedDuration::from_secs_f64(wait.as_secs_f64() * part);
        let looked = decide(&instance(), &runs, &outages, before);
        prop_assert_eq!((judged.state, judged.flags), (looked.state, looked.flags));
        if judged.check_at < Timestamp::MAX {
            let looked = decide(&instance(), &runs, &outages, judged.check_at);
            prop_assert!(looked.check_at > judged.check_at);
        }
    }

    #[test]
    fn what_was_heard_after_the_judge_looked_at_the_clock_is_judged_as_of_then(
        runs in any_runs(), outages in any_outages(), before in 1_i64..50_000
    ) {
        let end = end(&runs);
        let looked = end - SignedDuration::from_secs(before);
        prop_assert_eq!(
            decide(&instance(), &runs, &outages, looked),
            decide(&instance(), &runs, &outages, end)
        );
    }

    #[test]
    fn an_outage_makes_nobody_look_worse(
        runs in any_runs(), outages in any_outages(), first in 0_i64..200_000
    ) {
        let now = end(&runs) + SignedDuration::from_secs(first);
        let (with, without) = (decide(&instance(), &runs, &outages, now), decide(&instance(), &runs, &[], now));
        let is_alive_for_longer = (with.state, without.state) == (State::Up, State::Ended);
        prop_assert!(is_alive_for_longer || with.state.rank() >= without.state.rank());
    }
}

#[test]
fn a_version_that_is_rolled_back_changes_when_its_run_ends() {
    let release = |version: &str, run: Run| {
        let facts = Facts { build_version: version.to_owned(), ..run.facts.clone() };
        Run { facts, ..run }
    };
    let before = instance();
    let judged =
        Instance { facts: Facts { build_version: "2.0".to_owned(), ..before.facts.clone() }, ..before };
    // The run that stays was last heard before the canary began.
    let stays = release("1.0", run(1, 0, 10));
    let changes = |canary: Run, now| {
        let runs = [stays.clone(), release("2.0", canary)];
        let judgement = decide(&judged, &runs, &[], at(now));
        let versions = judgement.transitions.into_iter().filter(|told| told.change == Change::Version);
        versions.map(|told| (told.at, told.to)).collect::<Vec<_>>()
    };
    assert_eq!(changes(run(2, 100, 200), 300), []);
    assert_eq!(changes(ended(run(2, 100, 200)), 300), [(at(200), "1.0".to_owned())]);
    let brief = every(Some(60), run(2, 100, 200));
    assert_eq!(changes(brief, 1000), [(at(200 + 60 + 300), "1.0".to_owned())]);
}
