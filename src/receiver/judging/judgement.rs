//! Decides from the runs of an instance, at a moment, its state, its flags and its transitions (receiver §3). Pure: the
//! same runs, outages and moment give the same answer, in whatever order the events came.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use crate::receiver::store::{
    Change, DEFAULT_FREQUENCY, Flags, Instance, Judgement, Outage, Run, State, Transition,
};

/// Bounds of a frequency that is learned from updates, in seconds: what a sender can be set to.
const LEARNED: std::ops::RangeInclusive<i64> = 60 * 60..=24 * 60 * 60;

/// Shortest grace: how long a report may be overdue. A twentieth of the frequency where that is longer.
const SHORTEST_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// More begins than this within [`RESTARTS_WITHIN`] are restarts without end.
const MOST_BEGINS: usize = 5;
const RESTARTS_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How long silence may last: until it is late, and until it is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    late: SignedDuration,
    down: SignedDuration,
}

fn allowance(run: &Run) -> Allowance {
    let frequency = SignedDuration::from_secs(frequency(run).into());
    let grace = SHORTEST_GRACE.max(frequency / 20);
    Allowance { late: frequency + grace, down: frequency * 2 + grace }
}

/// Judges `instance` by its latest `runs` at `now`, from what was last judged of it.
///
/// Events that were received after the clock said `now` are in `runs` already, and no news of them will come: the moment
/// that is judged is the later of `now` and the last sight.
///
/// `outages` are those of the receivers, oldest first and apart: a deadline moves by the part of them that lies in the
/// silence, for nobody could have been heard then.
pub(crate) fn decide(instance: &Instance, runs: &[Run], outages: &[Outage], now: Timestamp) -> Judgement {
    let open = open_runs(runs);
    let by_last_sight = |run: &&Run| (run.last_seen_at, run.run_id);
    let latest = open.iter().copied().max_by_key(by_last_sight);
    let Some(latest) = latest.or_else(|| runs.iter().max_by_key(by_last_sight)) else {
        return unchanged(instance, now);
    };
    let last_seen_at = runs.iter().map(|run| run.last_seen_at).max().unwrap_or(latest.last_seen_at);
    let now = now.max(last_seen_at);

    // One run that is heard from is enough.
    let late_at = open.iter().map(|run| deadline(run.last_seen_at, allowance(run).late, outages)).max();
    let silent_at: Vec<Timestamp> =
        open.iter().map(|run| deadline(run.last_seen_at, allowance(run).down, outages)).collect();
    let down_at = silent_at.iter().copied().max();
    let (state, since, next) = match (late_at, down_at) {
        (Some(_), Some(down_at)) if now >= down_at => (State::Down, down_at, None),
        (Some(late_at), Some(down_at)) if now >= late_at => (State::Late, late_at, Some(down_at)),
        (Some(late_at), Some(_)) => (State::Up, latest.last_seen_at, Some(late_at)),
        // All have ended: silence is as it should be.
        _ => (State::Ended, latest.ended_at.unwrap_or(latest.last_seen_at), None),
    };
    let restarts_over = restarts_over(runs, now);
    let alive = silent_at.iter().filter(|silent_at| now < **silent_at).count();
    let flags =
        Flags { crashed: crashed(runs), several_runs: alive > 1, restarting: restarts_over.is_some() };
    // With several runs alive, each that falls silent may change what is to be said.
    let fewer_at = silent_at.iter().copied().filter(|silent_at| alive > 1 && now < *silent_at).min();
    let check_at = next.into_iter().chain(restarts_over).chain(fewer_at).min().unwrap_or(Timestamp::MAX);

    let restart = restart(instance, runs, &open);
    let mut transitions = Vec::new();
    if let Some((ended_at, begun_at)) = restart {
        transitions.push(transition(Some(State::Up), State::Ended, ended_at));
        transitions.push(transition(Some(State::Ended), State::Up, begun_at));
    }
    transitions.extend(state_transitions(instance, state, since, late_at, latest.first_seen_at));
    transitions.extend(license_transition(instance, latest));
    transitions.sort_by_key(|transition| transition.at);
    let alerts = transitions.iter().filter(|transition| is_alert(instance, transition)).cloned().collect();
    let is_same = instance.judged_at.is_some() && instance.state == state;
    Judgement {
        run_id: latest.run_id,
        last_seen_at,
        state,
        state_since: match restart {
            Some((_, begun_at)) if is_same => begun_at,
            None if is_same => instance.state_since,
            _ => since,
        },
        flags,
        frequency: frequency(latest),
        facts: latest.facts.clone(),
        check_at,
        transitions,
        alerts,
    }
}

/// The judgement of an instance without a known run: nothing changes.
fn unchanged(instance: &Instance, now: Timestamp) -> Judgement {
    Judgement {
        run_id: uuid::Uuid::nil(),
        last_seen_at: instance.last_seen_at,
        state: instance.state,
        state_since: instance.state_since,
        flags: instance.flags,
        frequency: instance.frequency,
        facts: instance.facts.clone(),
        check_at: now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX),
        transitions: Vec::new(),
        alerts: Vec::new(),
    }
}

/// The runs that have not ended, but for one that was not heard from since another began: it is presumed dead until it
/// is heard again.
fn open_runs(runs: &[Run]) -> Vec<&Run> {
    let is_succeeded = |run: &Run| {
        runs.iter().any(|other| other.run_id != run.run_id && other.first_seen_at > run.last_seen_at)
    };
    runs.iter().filter(|run| run.ended_at.is_none() && !is_succeeded(run)).collect()
}

/// Seconds between two updates: as the sender says, else as the updates were apart, else a day.
fn frequency(run: &Run) -> i32 {
    if let Some(frequency) = run.frequency {
        return frequency;
    }
    let (Some(first), Some(last)) = (run.first_update_at, run.last_update_at) else {
        return DEFAULT_FREQUENCY;
    };
    if run.updates < 2 {
        return DEFAULT_FREQUENCY;
    }
    let mean = last.duration_since(first).as_secs() / i64::from(run.updates - 1);
    i32::try_from(mean.clamp(*LEARNED.start(), *LEARNED.end())).unwrap_or(DEFAULT_FREQUENCY)
}

/// The moment at which the silence since `last_seen` has lasted for `allowance`, outages not counted.
fn deadline(last_seen: Timestamp, allowance: SignedDuration, outages: &[Outage]) -> Timestamp {
    let later = |time: Timestamp, by| time.saturating_add(by).unwrap_or(Timestamp::MAX);
    let mut deadline = later(last_seen, allowance);
    for outage in outages.iter().filter(|outage| outage.ended_at > last_seen) {
        if outage.began_at >= deadline {
            break;
        }
        deadline = later(deadline, outage.ended_at.duration_since(outage.began_at.max(last_seen)));
    }
    deadline
}

/// Whether the run that began last began without the end of the one before. A run that was heard from since is alive.
fn crashed(runs: &[Run]) -> bool {
    let mut by_begin: Vec<&Run> = runs.iter().collect();
    by_begin.sort_by_key(|run| Reverse((run.first_seen_at, run.run_id)));
    match by_begin.as_slice() {
        [latest, before, ..] => {
            latest.begun && before.ended_at.is_none() && before.last_seen_at <= latest.first_seen_at
        }
        _ => false,
    }
}

/// Where there are too many begins: when there will no longer be.
fn restarts_over(runs: &[Run], now: Timestamp) -> Option<Timestamp> {
    let over = |run: &Run| run.first_seen_at.saturating_add(RESTARTS_WITHIN).unwrap_or(Timestamp::MAX);
    let mut ends: Vec<Timestamp> =
        runs.iter().filter(|run| run.begun).map(over).filter(|end| *end > now).collect();
    ends.sort_unstable_by_key(|end| Reverse(*end));
    ends.get(MOST_BEGINS).copied()
}

/// When an instance that was up when it was last judged, and is up now, ended and began again in between.
fn restart(instance: &Instance, runs: &[Run], open: &[&Run]) -> Option<(Timestamp, Timestamp)> {
    if instance.judged_at.is_none() || instance.state != State::Up {
        return None;
    }
    let begun_at = open.iter().map(|run| run.first_seen_at).min()?;
    let mut ended_at = instance.state_since;
    for before in runs.iter().filter(|run| run.first_seen_at < begun_at) {
        ended_at = ended_at.max(before.ended_at?);
    }
    (instance.state_since < ended_at && ended_at < begun_at).then_some((ended_at, begun_at))
}

fn transition(from: Option<State>, to: State, at: Timestamp) -> Transition {
    let from = from.map(|state| state.as_str().to_owned());
    Transition { at, change: Change::State, from, to: to.as_str().to_owned() }
}

/// From the state that was judged last to `state`, through `late` where silence went past it unseen.
fn state_transitions(
    instance: &Instance,
    state: State,
    since: Timestamp,
    late_at: Option<Timestamp>,
    first_seen_at: Timestamp,
) -> Vec<Transition> {
    let mut transitions = Vec::new();
    let mut from = instance.judged_at.map(|_| instance.state);
    if from.is_none() && matches!(state, State::Late | State::Down) {
        transitions.push(transition(None, State::Up, first_seen_at));
        from = Some(State::Up);
    }
    if from == Some(state) {
        return transitions;
    }
    if let (Some(State::Up), State::Down, Some(late_at)) = (from, state, late_at) {
        transitions.push(transition(from, State::Late, late_at));
        from = Some(State::Late);
    }
    transitions.push(transition(from, state, since));
    transitions
}

fn license_transition(instance: &Instance, latest: &Run) -> Option<Transition> {
    let word = |valid| if valid { "valid" } else { "invalid" }.to_owned();
    let valid = latest.facts.license_valid;
    let changed = instance.judged_at.is_some() && instance.facts.license_valid != valid;
    changed.then(|| Transition {
        at: latest.facts_at,
        change: Change::License,
        from: Some(word(!valid)),
        to: word(valid),
    })
}

/// Whether a transition is worth an alert: an instance goes down, is down no longer (up again or ended in order), or loses a
/// valid license.
fn is_alert(instance: &Instance, transition: &Transition) -> bool {
    match (transition.change, transition.to.as_str()) {
        (Change::State, "down") => true,
        (Change::State, "up" | "ended") => instance.judged_at.is_some() && instance.state == State::Down,
        (Change::License, "invalid") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::store::Facts;

    const HOUR: i64 = 3600;

    /// The moment this many seconds after the beginning of the tests.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_708_117_583 + seconds).unwrap()
    }

    /// Begun at the first sight, an hour between two updates.
    fn run(id: u128, first_seen: i64, last_seen: i64) -> Run {
        Run {
            run_id: Uuid::from_u128(id),
            first_seen_at: at(first_seen),
            last_seen_at: at(last_seen),
            begun: true,
            ended_at: None,
            last_sequence: 1,
            frequency: Some(3600),
            updates: 0,
            first_update_at: None,
            last_update_at: None,
            facts: Facts { license_valid: true, ..Facts::default() },
            facts_at: at(last_seen),
        }
    }

    fn ended(run: Run) -> Run {
        Run { ended_at: Some(run.last_seen_at), ..run }
    }

    fn every(frequency: Option<i32>, run: Run) -> Run {
        Run { frequency, ..run }
    }

    /// An instance that was judged at the beginning, when it was up.
    fn instance() -> Instance {
        Instance {
            instance_id: Uuid::from_u128(7),
            first_seen_at: at(0),
            last_seen_at: at(0),
            state: State::Up,
            state_since: at(0),
            flags: Flags::default(),
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
    fn an_unknown_frequency_is_learned_from_the_updates() {
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
        // One that crashed before has nothing to say against it.
        assert_eq!(state(&[run(1, 0, 10), ended(run(2, 20, 40))], 50), State::Ended);
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
        assert!(
            !flags(&[ended(run(1, 0, 100)), run(2, 50, 90)], 200).several_runs,
            "a restart that overlaps"
        );
        assert!(!flags(&[run(1, 0, 40), run(2, 50, 90)], 200).several_runs, "presumed dead");
    }

    #[test]
    fn a_begin_without_the_end_before_is_a_crash() {
        assert!(flags(&[run(1, 0, 10), run(2, 20, 20)], 30).crashed);
        assert!(!flags(&[ended(run(1, 0, 10)), run(2, 20, 20)], 30).crashed);
        assert!(!flags(&[run(1, 0, 25), run(2, 20, 20)], 30).crashed, "it is alive");
        assert!(!flags(&[run(1, 0, 10)], 30).crashed);
        let unbegun = Run { begun: false, ..run(2, 20, 20) };
        assert!(!flags(&[run(1, 0, 10), unbegun], 30).crashed, "its begin was lost, and so may be the end");
        let clean = [run(1, 0, 10), ended(run(2, 20, 20)), run(3, 30, 30)];
        assert!(!flags(&clean, 30).crashed, "the last restart was clean");
    }

    #[test]
    fn more_than_five_begins_in_an_hour_are_restarts() {
        let begins =
            |count: i64| -> Vec<Run> { (0..count).map(|n| run(n as u128 + 1, n * 60, n * 60)).collect() };
        assert!(!flags(&begins(5), 300).restarting);
        assert!(flags(&begins(6), 300).restarting);
        assert!(flags(&begins(6), HOUR - 1).restarting);
        assert!(!flags(&begins(6), HOUR).restarting);
        assert!(flags(&begins(6), 299).restarting, "the last was heard after the judge looked at the clock");
        assert_eq!(decide(&instance(), &begins(6), &[], at(400)).check_at, at(HOUR));
    }

    #[test]
    fn an_outage_of_the_receivers_is_not_silence_of_an_instance() {
        let runs = [run(1, 0, 0)];
        let outage = |began, ended| Outage { began_at: at(began), ended_at: at(ended) };
        let late = |outages: &[Outage]| {
            decide(&instance(), &runs, outages, at(0)).check_at.duration_since(at(0)).as_secs()
        };
        assert_eq!(late(&[]), 3900);
        assert_eq!(late(&[outage(1000, 1500)]), 4400);
        assert_eq!(late(&[outage(-500, 500)]), 4400, "only the part after it was heard");
        assert_eq!(late(&[outage(-500, 0)]), 3900);
        assert_eq!(late(&[outage(3900, 9000)]), 3900, "it was late already");
        assert_eq!(late(&[outage(3800, 9000)]), 9100);
        assert_eq!(late(&[outage(1000, 2000), outage(4000, 5000)]), 5900, "one moves it into the next");
    }

    fn changes_of(transitions: &[Transition]) -> Vec<(i64, String)> {
        transitions
            .iter()
            .map(|transition| {
                let from = transition.from.as_deref().unwrap_or("-");
                (transition.at.duration_since(at(0)).as_secs(), format!("{from} {}", transition.to))
            })
            .collect()
    }

    #[test]
    fn transitions_have_the_time_at_which_they_became_true() {
        let down = decide(&instance(), &[run(1, 0, 0)], &[], at(9000));
        assert_eq!(
            changes_of(&down.transitions),
            [(3900, "up late".to_owned()), (7500, "late down".to_owned())]
        );
        assert_eq!(changes_of(&down.alerts), [(7500, "late down".to_owned())]);
        assert_eq!(down.state_since, at(7500));

        let late = Instance { state: State::Late, state_since: at(3900), ..instance() };
        let unchanged = decide(&late, &[run(1, 0, 0)], &[], at(4000));
        assert_eq!((unchanged.transitions.len(), unchanged.state_since), (0, at(3900)));
        let up = decide(&late, &[run(1, 0, 4100)], &[], at(4200));
        assert_eq!(changes_of(&up.transitions), [(4100, "late up".to_owned())]);
        assert!(up.alerts.is_empty(), "who was only late is not worth an alert");

        let was_down = Instance { state: State::Down, ..instance() };
        let back = decide(&was_down, &[run(1, 0, 9000)], &[], at(9001));
        assert_eq!(changes_of(&back.alerts), [(9000, "down up".to_owned())]);

        let ended = decide(&was_down, &[ended(run(1, 0, 9000))], &[], at(9001));
        assert_eq!(
            changes_of(&ended.alerts),
            [(9000, "down ended".to_owned())],
            "nobody waits for it to come back"
        );

        let new = Instance { judged_at: None, ..instance() };
        assert_eq!(
            changes_of(&decide(&new, &[run(1, 0, 0)], &[], at(1)).transitions),
            [(0, "- up".to_owned())]
        );
        let seen_too_late = decide(&new, &[run(1, 0, 0)], &[], at(9000));
        assert_eq!(
            changes_of(&seen_too_late.transitions),
            [(0, "- up".to_owned()), (3900, "up late".to_owned()), (7500, "late down".to_owned())]
        );
    }

    #[test]
    fn an_end_and_a_begin_between_two_looks_are_both_transitions() {
        let restarted = [ended(run(1, 0, 100)), run(2, 101, 101)];
        let judged = decide(&instance(), &restarted, &[], at(102));
        assert_eq!(
            changes_of(&judged.transitions),
            [(100, "up ended".to_owned()), (101, "ended up".to_owned())]
        );
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
        let changes = changes_of(&silent.transitions);
        assert_eq!(changes.last().unwrap(), &(101 + 3900, "up late".to_owned()), "{changes:?}");
    }

    #[test]
    fn a_license_that_is_no_longer_valid_is_an_alert() {
        let mut invalid = run(1, 0, 500);
        invalid.facts.license_valid = false;
        let judged = decide(&instance(), std::slice::from_ref(&invalid), &[], at(501));
        assert_eq!(changes_of(&judged.alerts), [(500, "valid invalid".to_owned())]);
        assert!(!judged.facts.license_valid);
        let new = Instance { judged_at: None, ..instance() };
        assert!(decide(&new, &[invalid], &[], at(501)).alerts.is_empty(), "it never had one");
        let mut unlicensed = instance();
        unlicensed.facts.license_valid = false;
        let valid = decide(&unlicensed, &[run(1, 0, 500)], &[], at(501));
        assert_eq!(changes_of(&valid.transitions), [(500, "invalid valid".to_owned())]);
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
                State::Up => &[State::Up, State::Late, State::Down],
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
        fn an_outage_makes_no_instance_look_worse(
            runs in any_runs(), outages in any_outages(), first in 0_i64..200_000
        ) {
            let now = end(&runs) + SignedDuration::from_secs(first);
            let (with, without) = (decide(&instance(), &runs, &outages, now), decide(&instance(), &runs, &[], now));
            prop_assert!(with.state.rank() >= without.state.rank());
        }
    }
}
