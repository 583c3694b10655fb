//! Runs whose events were imported: nobody could hear them after the file was copied.

use jiff::Timestamp;
use uuid::Uuid;

use super::decide;
use super::example::{at, ended, instance, run};
use crate::receiver::store::{Change, Facts, Instance, Judgement, Loss, Run, State};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Time at which a run of an hour's frequency that was heard at 0 is late.
const LATE: i64 = HOUR + 300;

fn imported(run: Run) -> Run {
    Run { imported_until: Some(run.last_seen_at), ..run }
}

fn unlicensed(run: Run) -> Run {
    Run { facts: Facts { license_valid: false, ..run.facts }, ..run }
}

fn judged(runs: &[Run], now: i64) -> Judgement {
    decide(&instance(), runs, &[], at(now))
}

/// What is told, and when it became true.
fn told(judgement: &Judgement) -> Vec<(&str, Timestamp)> {
    judgement.alerts.iter().map(|alert| (alert.to.as_str(), alert.at)).collect()
}

#[test]
fn the_silence_after_an_import_is_no_evidence() {
    let runs = [imported(run(1, 0, 100, HOUR))];
    for now in [100, LATE + 100, 10 * HOUR, 1000 * DAY] {
        let judgement = judged(&runs, now);
        assert_eq!((judgement.state, told(&judgement)), (State::Up, Vec::new()), "{now}");
        let next = judgement.check_at.duration_since(at(now)).as_secs();
        assert!((HOUR..=2 * HOUR).contains(&next), "it is judged again in time, should it be heard: {next}");
    }
    assert_eq!(
        judged(&[run(1, 0, 100, HOUR)], 10 * HOUR).state,
        State::Down,
        "heard by the network, it is down"
    );
}

#[test]
fn an_end_in_the_file_is_an_end() {
    let judgement = judged(&[imported(ended(run(1, 0, 100, HOUR)))], 30 * DAY);
    assert_eq!(
        (judgement.state, judgement.state_since, told(&judgement)),
        (State::Ended, at(100), Vec::new())
    );
}

#[test]
fn silence_within_the_file_counts_and_is_told_to_nobody() {
    let crashed = [imported(run(1, 0, 0, HOUR)), imported(run(2, 3 * HOUR, 5 * HOUR, HOUR))];
    let judgement = judged(&crashed, DAY);
    assert_eq!(judgement.lost, [Loss { run_id: Uuid::from_u128(1), at: at(3 * HOUR) }]);
    assert!(judgement.flags.crashed);
    assert_eq!((judgement.state, told(&judgement)), (State::Up, Vec::new()));
    assert!(!judged(&crashed, 30 * DAY).flags.crashed, "a loss of the past is not shown as one of today");
    // The file was copied before the deadline of the first run, which may have gone on beside the second.
    let restarted = [imported(run(1, 0, 0, HOUR)), imported(run(2, 60, 120, HOUR))];
    assert_eq!(judged(&restarted, 30 * DAY).lost, []);
    // It ended, and the run before was lost: no run is left, since a time in the past.
    let over = [imported(run(1, 0, 0, HOUR)), imported(ended(run(2, 3 * HOUR, 5 * HOUR, HOUR)))];
    let judgement = judged(&over, DAY);
    assert_eq!((judgement.state, told(&judgement)), (State::Ended, Vec::new()));
}

#[test]
fn an_instance_that_is_heard_by_the_network_again_is_judged_as_any_other() {
    let run = Run { imported_until: Some(at(100)), ..run(1, 0, DAY, HOUR) };
    let judgement = judged(std::slice::from_ref(&run), DAY + 10 * HOUR);
    assert_eq!(judgement.state, State::Down);
    assert_eq!(told(&judgement), [("down", at(DAY + 2 * HOUR + 300))]);
    let unlicensed = unlicensed(run);
    assert_eq!(told(&judged(&[unlicensed], DAY)), [("invalid", at(DAY))]);
}

#[test]
fn a_change_of_the_past_is_a_transition_and_no_alert() {
    let judgement = judged(&[imported(unlicensed(run(1, 0, 100, HOUR)))], DAY);
    let license =
        judgement.transitions.iter().find(|transition| transition.change == Change::License).unwrap();
    assert_eq!((license.to.as_str(), license.at), ("invalid", at(100)));
    assert_eq!(told(&judgement), []);
}

#[test]
fn the_end_of_an_alarm_is_told() {
    let runs = [imported(run(1, 0, DAY, HOUR))];
    let down = Instance { state: State::Down, ..instance() };
    let judgement = decide(&down, &runs, &[], at(2 * DAY));
    assert_eq!((judgement.state, told(&judgement)), (State::Up, vec![("up", at(DAY))]));
}
