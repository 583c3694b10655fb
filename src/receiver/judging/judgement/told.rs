//! Single cases of what changed and what of it is told.

use super::decide;
use super::example::{self, at, ended, every, instance};
use crate::receiver::store::{Change, Facts, Instance, Run, State, Transition};

const HOUR: i64 = 3600;

/// Run that began when it was first seen, with an hour between two updates.
fn run(id: u128, first_seen: i64, last_seen: i64) -> Run {
    example::run(id, first_seen, last_seen, HOUR)
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
