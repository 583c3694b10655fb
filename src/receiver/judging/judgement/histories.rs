//! Histories of processes, played as a receiver hears them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::example::{at, run};
use super::*;
use crate::receiver::store::{Change, Facts, State, Transition};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A process from its start to its end, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    began: i64,
    ended: Option<i64>,
    dies: bool,
}

fn stops(began: i64, ended: i64) -> Process {
    Process { began, ended: Some(ended), dies: false }
}

fn dies(began: i64, ended: i64) -> Process {
    Process { began, ended: Some(ended), dies: true }
}

fn lives(began: i64) -> Process {
    Process { began, ended: None, dies: false }
}

/// The events of a process until `until`: its begin, an update in each slot, its end. Each arrives
/// `delay` later, and never before the one before it.
fn events(process: &Process, frequency: i64, phase: i64, until: i64, delay: i64) -> Vec<(i64, Kind)> {
    let last = process.ended.unwrap_or(until);
    let mut events = vec![(process.began + delay, Kind::Begin)];
    let mut slot = process.began.div_euclid(frequency) * frequency + phase;
    while slot <= process.began + MINUTE {
        slot += frequency;
    }
    while slot < last {
        events.push((slot + delay, Kind::Update));
        slot += frequency;
    }
    if process.ended.is_some() && !process.dies {
        events.push((last + delay, Kind::End));
    }
    events.retain(|(at, _)| *at < until);
    events
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Begin,
    Update,
    End,
}

/// What a judge that is called as the receiver calls it, at each event and at each deadline, said.
#[derive(Default, Debug)]
struct Told {
    transitions: Vec<Transition>,
    alerts: Vec<Transition>,
    crashed: bool,
    restarting: Vec<i64>,
    several_runs: bool,
    states: Vec<(i64, State)>,
}

impl Told {
    fn lost(&self) -> usize {
        self.transitions.iter().filter(|transition| transition.change == Change::RunLost).count()
    }
}

fn play(processes: &[Process], frequency: i64, phase: i64, until: i64, delays: &[i64]) -> Told {
    let mut arrivals: Vec<(i64, usize, Kind)> = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        let delay = delays.get(index % delays.len().max(1)).copied().unwrap_or(0);
        arrivals.extend(
            events(process, frequency, phase, until, delay).into_iter().map(|(at, kind)| (at, index, kind)),
        );
    }
    arrivals.sort_by_key(|(at, index, _)| (*at, *index));
    let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
    let mut instance = instance_at(arrivals.first().map_or(0, |(at, ..)| *at));
    let mut told = Told::default();
    let mut check_at = Timestamp::MAX;
    let mut arrivals = arrivals.into_iter().peekable();
    loop {
        let next = arrivals.peek().map(|(at, ..)| *at);
        let now = match next {
            Some(seconds) if at(seconds) <= check_at => {
                let (seconds, index, kind) = arrivals.next().unwrap();
                hear(&mut runs, index, kind, seconds, frequency);
                at(seconds)
            }
            _ if check_at < at(until) => check_at,
            _ => return told,
        };
        let known = as_the_store_gives_them(&runs);
        let judgement = decide(&instance, &known, &[], now);
        assert!(judgement.check_at > now, "it would be judged for ever");
        take(&mut instance, &mut runs, &judgement, now);
        check_at = judgement.check_at;
        let seconds = now.as_second() - at(0).as_second();
        told.crashed |= judgement.flags.crashed;
        told.several_runs |= judgement.flags.several_runs;
        if judgement.flags.restarting {
            told.restarting.push(seconds);
        }
        told.states.push((seconds, judgement.state));
        told.transitions.extend(judgement.transitions);
        told.alerts.extend(judgement.alerts);
    }
}

fn instance_at(seconds: i64) -> Instance {
    Instance {
        instance_id: Uuid::from_u128(7),
        first_seen_at: at(seconds),
        last_seen_at: at(seconds),
        state: State::Up,
        state_since: at(seconds),
        flags: Flags::default(),
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        frequency: 0,
        facts: Facts::default(),
        judged_at: None,
    }
}

fn hear(runs: &mut BTreeMap<usize, Run>, index: usize, kind: Kind, seconds: i64, frequency: i64) {
    let run = runs.entry(index).or_insert_with(|| run(index as u128 + 1, seconds, seconds, frequency));
    run.last_seen_at = at(seconds);
    run.ended_at = (kind == Kind::End).then(|| at(seconds));
}

/// The runs that a store gives to be judged: the latest, the latest open ones, and the open ones that are not lost and
/// silent for longest.
fn as_the_store_gives_them(runs: &BTreeMap<usize, Run>) -> Vec<Run> {
    let most = usize::try_from(JUDGED_RUNS).unwrap();
    if runs.len() <= most {
        return runs.values().cloned().collect();
    }
    let mut all: Vec<&Run> = runs.values().collect();
    all.sort_by_key(|run| std::cmp::Reverse((run.last_seen_at, run.run_id)));
    let open = all.iter().filter(|run| run.ended_at.is_none());
    let is_lost = |run: &Run| run.lost_at.is_some_and(|lost_at| lost_at > run.last_seen_at);
    let silent = open.clone().rev().filter(|run| !is_lost(run)).take(most);
    let mut given: Vec<&Run> = all.iter().take(most).chain(open.take(most)).chain(silent).copied().collect();
    given.sort_by_key(|run| run.run_id);
    given.dedup_by_key(|run| run.run_id);
    given.into_iter().cloned().collect()
}

fn take(instance: &mut Instance, runs: &mut BTreeMap<usize, Run>, judgement: &Judgement, now: Timestamp) {
    for loss in &judgement.lost {
        runs.values_mut().find(|run| run.run_id == loss.run_id).unwrap().lost_at = Some(loss.at);
    }
    instance.last_seen_at = judgement.last_seen_at;
    instance.state = judgement.state;
    instance.state_since = judgement.state_since;
    instance.flags = judgement.flags;
    instance.losses = judgement.losses;
    instance.begins_since = judgement.begins_since;
    instance.facts = judgement.facts.clone();
    instance.judged_at = Some(now);
}

fn frequencies() -> impl Strategy<Value = i64> {
    prop_oneof![Just(HOUR), Just(8 * HOUR), Just(DAY), HOUR..48 * HOUR]
}

/// Ordinary deployments of `n` replicas, in which no process dies.
fn deployments() -> impl Strategy<Value = Vec<Process>> {
    let begins = prop::collection::vec(0..30 * MINUTE, 1..80);
    let first = begins.clone().prop_map(|begins| begins.into_iter().map(lives).collect());
    // At `start`, each old replica is replaced by a new one, `step` after the other; with a surge the
    // new one begins before the old one ends.
    let rolling = (1..40i64, 2 * MINUTE..3 * DAY, 1..5 * MINUTE, prop_oneof![-MINUTE..0i64, 1..30 * MINUTE])
        .prop_map(|(n, start, step, surge)| {
            (0..n)
                .flat_map(|replica| {
                    let replaced = start + replica * step;
                    [stops(replica % 7, replaced), lives((replaced - surge).max(replica % 7 + 1))]
                })
                .collect()
        });
    let blue_green = (1..10i64, HOUR..2 * DAY, MINUTE..DAY).prop_map(|(n, switched, kept_warm)| {
        (0..n).flat_map(|replica| [stops(replica, switched + kept_warm), lives(switched + replica)]).collect()
    });
    // Replicas come in steps more than ten minutes apart, and go again.
    let autoscaled = prop::collection::vec((11 * MINUTE..5 * HOUR, 30 * MINUTE..10 * HOUR, 1..4i64), 0..12)
        .prop_map(|steps| {
            let mut now = HOUR;
            let mut processes = vec![lives(0)];
            for (pause, stays, count) in steps {
                now += pause;
                processes.extend((0..count).map(|replica| stops(now + replica, now + replica + stays)));
            }
            processes
        });
    let canary = (1..10i64, HOUR..2 * DAY, 2 * MINUTE..DAY).prop_map(|(n, began, stays)| {
        let mut processes: Vec<_> = (0..n).map(lives).collect();
        processes.push(stops(began, began + stays));
        processes
    });
    prop_oneof![first, rolling, blue_green, autoscaled, canary]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_ordinary_deployment_is_flagged(
        processes in deployments(), frequency in frequencies(), phase in 0..DAY,
        delays in prop::collection::vec(0..5i64, 1..8),
    ) {
        let told = play(&processes, frequency, phase % frequency, 6 * DAY, &delays);
        prop_assert!(!told.crashed && told.lost() == 0, "{told:?}");
        prop_assert!(told.restarting.is_empty(), "{:?}", told.restarting);
        prop_assert_eq!(&told.alerts, &[]);
        prop_assert!(told.states.iter().all(|(_, state)| matches!(state, State::Up | State::Ended)), "{:?}", told.states);
    }

    /// Replicas of which some die without a word while at least one stays: each death is a loss, told
    /// once, at the deadline of the run that died.
    #[test]
    fn each_loss_is_told_once_and_in_time(
        frequency in frequencies(), phase in 0..DAY, deaths in prop::collection::vec((0..2 * DAY, MINUTE..2 * DAY), 1..12),
    ) {
        let mut processes = vec![lives(0)];
        processes.extend(deaths.iter().map(|(began, lived)| dies(HOUR + *began, HOUR + began + lived)));
        let until = HOUR + 4 * DAY + 2 * frequency + frequency / 10 + HOUR;
        let told = play(&processes, frequency, phase % frequency, until, &[0]);
        // The process that stays begins first, so a run is superseded only by one that begins later.
        let losses: Vec<_> = told.transitions.iter().filter(|t| t.change == Change::RunLost).collect();
        let mut runs: Vec<&str> = losses.iter().map(|loss| loss.to.as_str()).collect();
        runs.sort_unstable();
        let before = runs.len();
        runs.dedup();
        prop_assert_eq!(before, runs.len(), "a loss is told once");
        prop_assert!(told.states.iter().all(|(_, state)| *state == State::Up), "{:?}", told.states);
    }

    /// Whatever came before: when every process is gone, and one of them without a word, somebody is told.
    #[test]
    fn the_death_of_the_last_run_is_told_within_its_deadline(
        frequency in frequencies(), phase in 0..DAY,
        before in prop::collection::vec((0..DAY, MINUTE..2 * DAY, any::<bool>()), 0..8),
        last in (0..3 * DAY, MINUTE..2 * DAY),
    ) {
        let mut processes: Vec<_> = before.iter().map(|(began, lived, is_death)| Process {
            began: *began, ended: Some(began + lived), dies: *is_death,
        }).collect();
        processes.push(dies(last.0, last.0 + last.1));
        let phase = phase % frequency;
        let gone = processes.iter().filter_map(|process| process.ended).max().unwrap();
        let until = gone + 3 * frequency + HOUR;
        let told = play(&processes, frequency, phase, until, &[0]);
        // The last sight of a run that died.
        let last_heard = processes
            .iter()
            .filter(|process| process.dies)
            .filter_map(|process| events(process, frequency, phase, until, 0).last().map(|(at, _)| *at))
            .max()
            .unwrap();
        let deadline = last_heard + 2 * frequency + (frequency / 20 + 1).max(5 * MINUTE);
        let is_told = |transition: &Transition| match transition.change {
            Change::State => transition.to == "down",
            Change::RunLost => true,
            _ => false,
        };
        let first = told.transitions.iter().filter(|t| is_told(t)).map(|t| t.at).min();
        prop_assert!(first.is_some_and(|first| first <= at(deadline.max(gone))), "{told:?}");
    }

    /// A process that dies at once and is started again at least every ten minutes.
    #[test]
    fn a_crash_loop_is_flagged_within_the_hour_and_clears_when_it_is_over(
        frequency in frequencies(), phase in 0..DAY, pauses in prop::collection::vec(10..=10 * MINUTE, 400),
        healthy_before in any::<bool>(),
    ) {
        let phase = phase % frequency;
        let mut now = DAY;
        let mut processes = if healthy_before { vec![dies(0, now)] } else { Vec::new() };
        let (began, mut over) = (now, now);
        for pause in pauses {
            if now - began > 2 * HOUR {
                break;
            }
            processes.push(dies(now, now + pause / 2));
            over = now;
            now += pause;
        }
        processes.push(lives(now));
        let told = play(&processes, frequency, phase, now + DAY, &[0]);
        let first = told.restarting.first().copied();
        prop_assert!(first.is_some_and(|first| first <= began + HOUR), "{first:?} {began}");
        let last = told.restarting.last().copied().unwrap();
        prop_assert!(last < over + 12 * HOUR + 2 * frequency, "{last}");
    }
}

#[test]
fn a_replica_that_comes_and_goes_leaves_the_first_one_up() {
    let processes = [lives(0), stops(10 * MINUTE, 20 * MINUTE)];
    let told = play(&processes, 8 * HOUR, 0, DAY, &[0]);
    assert!(told.states.iter().all(|(_, state)| *state == State::Up), "{:?}", told.states);
    assert!(!told.crashed);
}

#[test]
fn the_first_replica_that_dies_unheard_after_the_second_ended_is_told() {
    let processes = [dies(0, 30 * MINUTE), stops(10 * MINUTE, 20 * MINUTE)];
    let told = play(&processes, 8 * HOUR, 7 * HOUR, 2 * DAY, &[0]);
    assert_eq!(told.lost(), 1);
    assert_eq!(told.alerts.len(), 1, "{:?}", told.alerts);
    assert_eq!(told.states.last().unwrap().1, State::Ended);
}

#[test]
fn a_crash_is_told_when_its_run_should_have_been_heard_and_clears_after_a_week() {
    let processes = [dies(0, 30 * MINUTE), lives(31 * MINUTE)];
    let told = play(&processes, HOUR, 45 * MINUTE, 20 * DAY, &[0]);
    let lost: Vec<_> = told.transitions.iter().filter(|t| t.change == Change::RunLost).collect();
    assert_eq!((lost.len(), lost[0].at), (1, at(HOUR + 5 * MINUTE)));
    assert!(told.crashed);
    let known =
        [Run { lost_at: Some(at(HOUR + 300)), ..run(1, 0, 0, HOUR) }, run(2, 31 * MINUTE, 8 * DAY, HOUR)];
    let week = 7 * DAY + HOUR + 300;
    assert!(decide(&instance_at(0), &known[..], &[], at(8 * DAY)).flags.crashed == (8 * DAY < week));
}

#[test]
fn an_outage_that_ends_in_the_future_moves_no_deadline() {
    let runs = [run(1, 0, 0, HOUR)];
    let wrong = Outage { began_at: at(10), ended_at: at(400 * DAY) };
    let late = HOUR + 5 * MINUTE;
    let judged = |now: i64| decide(&instance_at(0), &runs, &[wrong], at(now)).state;
    // Until now the outage counts, as every outage that is not over does.
    assert_eq!(judged(late), State::Up);
    let over = Outage { began_at: at(10), ended_at: at(HOUR) };
    assert_eq!(decide(&instance_at(0), &runs, &[over], at(late + HOUR)).state, State::Late);
}
