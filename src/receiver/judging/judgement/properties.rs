//! What holds for any runs.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::decide;
use super::example::{self, at, ended, every, instance};
use crate::receiver::store::{Outage, Run, State};

const HOUR: i64 = 3600;

/// Run that began when it was first seen, with an hour between two updates.
fn run(id: u128, first_seen: i64, last_seen: i64) -> Run {
    example::run(id, first_seen, last_seen, HOUR)
}

prop_compose! {
    fn any_run(id: u128)(
        first in 0_i64..40_000,
        length in 0_i64..40_000,
        begun: bool,
        has_ended in prop::bool::weighted(0.4),
        frequency in prop::option::of(1_i32..10_000),
        is_imported in prop::bool::weighted(0.2),
    ) -> Run {
        let imported_until = is_imported.then_some(at(first + length));
        let run = Run { begun, imported_until, ..every(frequency, run(id, first, first + length)) };
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
