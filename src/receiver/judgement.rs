//! What an instance's runs mean at a moment: its state, its flags, and what changed (receiver §3). Pure: the same
//! runs, outages and moment give the same answer, in whatever order the events came.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::store::{Change, Flags, Instance, Judgement, Outage, Run, State, Transition};

/// Where neither a header nor experience says how often an instance reports.
const DEFAULT_FREQUENCY: i32 = 24 * 60 * 60;

/// What is learned from experience is no less and no more than a sender can be set to.
const LEARNED: std::ops::RangeInclusive<i64> = 60 * 60..=24 * 60 * 60;

/// So long may a report be overdue, or a twentieth of the frequency where that is longer.
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

impl Allowance {
    fn of(frequency: i32) -> Self {
        let frequency = SignedDuration::from_secs(frequency.into());
        let grace = SHORTEST_GRACE.max(frequency / 20);
        Self { late: frequency + grace, down: frequency * 2 + grace }
    }
}

/// Judges `instance` by its latest `runs` at `now`, from what was last judged of it.
///
/// `outages` are those of the receivers, oldest first and apart: a deadline moves by the part of them that lies in the
/// silence, for nobody could have been heard then.
pub(crate) fn judge(instance: &Instance, runs: &[Run], outages: &[Outage], now: Timestamp) -> Judgement {
    let open = open_runs(runs, outages, now);
    let by_last_sight = |run: &&Run| (run.last_seen_at, run.run_id);
    let latest =
        open.iter().copied().max_by_key(by_last_sight).or_else(|| runs.iter().max_by_key(by_last_sight));
    let Some(latest) = latest else { return unchanged(instance, now) };

    let frequency = frequency(latest);
    let allowance = Allowance::of(frequency);
    let late_at = deadline(latest.last_seen_at, allowance.late, outages);
    let down_at = deadline(latest.last_seen_at, allowance.down, outages);
    let restarts = restarts(runs, now);
    let (state, since) = match latest.ended_at {
        // Silence is as it should be.
        Some(ended_at) if open.is_empty() => (State::Ended, ended_at),
        _ if now >= down_at => (State::Down, down_at),
        _ if now >= late_at => (State::Late, late_at),
        _ => (State::Up, latest.last_seen_at),
    };
    let next = match state {
        State::Up => Some(late_at),
        State::Late => Some(down_at),
        State::Down | State::Ended => None,
    };
    let flags =
        Flags { crashed: crashed(runs), several_runs: open.len() > 1, restarting: restarts.is_some() };
    // Of several runs, each can fall silent for itself.
    let alone_at = if open.len() > 1 { open.iter().map(|run| silent_at(run, outages)).min() } else { None };
    let check_at = next.into_iter().chain(restarts).chain(alone_at).min().unwrap_or(Timestamp::MAX);

    let mut transitions = state_transitions(instance, state, since, late_at, latest.first_seen_at);
    transitions.extend(license_transition(instance, latest));
    transitions.sort_by_key(|transition| transition.at);
    let alerts = transitions.iter().filter(|transition| is_alert(instance, transition)).cloned().collect();
    let is_same = instance.judged_at.is_some() && instance.state == state;
    Judgement {
        run_id: latest.run_id,
        state,
        state_since: if is_same { instance.state_since } else { since },
        flags,
        frequency,
        facts: latest.facts.clone(),
        // Never in the past: what is due at this moment is judged now.
        check_at: check_at.max(now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(now)),
        transitions,
        alerts,
    }
}

/// An instance of which no run is known: nothing is to be said of it.
fn unchanged(instance: &Instance, now: Timestamp) -> Judgement {
    Judgement {
        run_id: uuid::Uuid::nil(),
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

/// The runs that count as alive: those without an end, but for one that was not heard from since another began, which is
/// presumed dead until it is heard again, and one that fell silent while another did not.
fn open_runs<'a>(runs: &'a [Run], outages: &[Outage], now: Timestamp) -> Vec<&'a Run> {
    let is_succeeded = |run: &Run| {
        runs.iter().any(|other| other.run_id != run.run_id && other.first_seen_at > run.last_seen_at)
    };
    let mut open: Vec<&Run> =
        runs.iter().filter(|run| run.ended_at.is_none() && !is_succeeded(run)).collect();
    if open.iter().any(|run| now < silent_at(run, outages)) {
        open.retain(|run| now < silent_at(run, outages));
    } else if let Some(latest) = open.iter().copied().max_by_key(|run| (run.last_seen_at, run.run_id)) {
        // All are silent: what is left is when the last of them was heard.
        open = vec![latest];
    }
    open
}

/// When a run, heard from no more, counts as down.
fn silent_at(run: &Run, outages: &[Outage]) -> Timestamp {
    deadline(run.last_seen_at, Allowance::of(frequency(run)).down, outages)
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

/// Where there are too many begins: when there will be too many no more.
fn restarts(runs: &[Run], now: Timestamp) -> Option<Timestamp> {
    let over = |run: &Run| run.first_seen_at.saturating_add(RESTARTS_WITHIN).unwrap_or(Timestamp::MAX);
    let mut ends: Vec<Timestamp> = runs
        .iter()
        .filter(|run| run.begun && run.first_seen_at <= now)
        .map(over)
        .filter(|end| *end > now)
        .collect();
    ends.sort_unstable_by_key(|end| Reverse(*end));
    ends.get(MOST_BEGINS).copied()
}

/// From the state that was judged last to `state`, through `late` where silence went past it unseen.
fn state_transitions(
    instance: &Instance,
    state: State,
    since: Timestamp,
    late_at: Timestamp,
    first_seen_at: Timestamp,
) -> Vec<Transition> {
    let step = |from: Option<State>, to: State, at| Transition {
        at,
        change: Change::State,
        from: from.map(|state| state.as_str().to_owned()),
        to: to.as_str().to_owned(),
    };
    let mut transitions = Vec::new();
    let mut from = instance.judged_at.map(|_| instance.state);
    if from.is_none() && matches!(state, State::Late | State::Down) {
        transitions.push(step(None, State::Up, first_seen_at));
        from = Some(State::Up);
    }
    if from == Some(state) {
        return transitions;
    }
    if from == Some(State::Up) && state == State::Down {
        transitions.push(step(from, State::Late, late_at));
        from = Some(State::Late);
    }
    transitions.push(step(from, state, since));
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

/// Somebody is told of an instance that goes down, of one that comes back from there, and of a license that is no longer
/// valid.
fn is_alert(instance: &Instance, transition: &Transition) -> bool {
    match (transition.change, transition.to.as_str()) {
        (Change::State, "down") => true,
        (Change::State, "up") => instance.judged_at.is_some() && instance.state == State::Down,
        (Change::License, "invalid") => true,
        _ => false,
    }
}
