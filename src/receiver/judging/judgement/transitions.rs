//! What changed since an instance was last judged, and what of it somebody is told.

use jiff::Timestamp;

use super::judged::Judged;
use super::standing::Standing;
use crate::receiver::store::{Change, Facts, Instance, Loss, Run, State, Transition};

/// When an instance that was up when it was last judged ended and began again since then, in the order of time: the gaps
/// in which it had no run. A run that never said `end` lasts until it was lost.
pub(super) fn restarts(
    instance: &Instance,
    runs: &[Judged<'_>],
    now: Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    if instance.judged_at.is_none() || instance.state != State::Up {
        return Vec::new();
    }
    let lasts_until =
        |run: &Judged<'_>| run.run.ended_at.or_else(|| run.lost_at(now)).unwrap_or(Timestamp::MAX);
    let mut lives: Vec<_> = runs.iter().map(|run| (run.run.first_seen_at, lasts_until(run))).collect();
    lives.sort_unstable();
    let mut ended_at = instance.state_since;
    let mut gaps = Vec::new();
    for (begun_at, lasted_until) in lives {
        if instance.state_since < ended_at && ended_at < begun_at {
            gaps.push((ended_at, begun_at));
        }
        ended_at = ended_at.max(lasted_until);
    }
    gaps
}

fn state_transition(from: Option<State>, to: State, at: Timestamp) -> Transition {
    let from = from.map(|state| state.as_str().to_owned());
    Transition { at, change: Change::State, from, to: to.as_str().to_owned() }
}

/// Everything that changed since the instance was last judged, in the order of time.
pub(super) fn since_last_judgement(
    instance: &Instance,
    runs: &[Judged<'_>],
    standing: &Standing,
    lost: &[Loss],
    restarts: &[(Timestamp, Timestamp)],
    speaker: &Run,
    now: Timestamp,
) -> Vec<Transition> {
    let spoken_at = spoken_at(runs, speaker, now);
    let first_seen_at = runs.iter().map(|run| run.run.first_seen_at).min().unwrap_or(standing.since);
    let mut transitions = Vec::new();
    for (ended_at, begun_at) in restarts {
        transitions.push(state_transition(Some(State::Up), State::Ended, *ended_at));
        transitions.push(state_transition(Some(State::Ended), State::Up, *begun_at));
    }
    transitions.extend(state_transitions(instance, standing, first_seen_at));
    transitions.extend(lost.iter().map(|loss| Transition {
        at: loss.at,
        change: Change::RunLost,
        from: None,
        to: loss.run_id.to_string(),
    }));
    transitions.extend(license_transition(instance, speaker, spoken_at));
    for (change, text) in TEXTS {
        transitions.extend(text_transition(instance, speaker, spoken_at, change, text));
    }
    transitions.sort_by_key(|transition| transition.at);
    transitions
}

/// From the state that was judged last to the present one, through `late` where silence passed it
/// between two judgements.
fn state_transitions(instance: &Instance, standing: &Standing, first_seen_at: Timestamp) -> Vec<Transition> {
    let mut transitions = Vec::new();
    let mut from = instance.judged_at.map(|_| instance.state);
    if from.is_none() && matches!(standing.state, State::Late | State::Down) {
        transitions.push(state_transition(None, State::Up, first_seen_at));
        from = Some(State::Up);
    }
    if from == Some(standing.state) {
        return transitions;
    }
    if let (Some(State::Up), State::Down, Some(late_at)) = (from, standing.state, standing.late_at) {
        transitions.push(state_transition(from, State::Late, late_at));
        from = Some(State::Late);
    }
    transitions.push(state_transition(from, standing.state, standing.since));
    transitions
}

/// Since when the facts of the speaker are those of the instance: since it sent them, or since the last of the runs that
/// began after it ended or fell silent, as a canary does that is rolled back.
fn spoken_at(runs: &[Judged<'_>], speaker: &Run, now: Timestamp) -> Timestamp {
    let began_at = |run: &Run| (run.first_seen_at, run.run_id);
    let later = runs.iter().filter(|run| began_at(run.run) > began_at(speaker));
    let gone_at = later.map(|run| run.run.ended_at.unwrap_or(run.deadlines.late)).filter(|at| *at <= now);
    gone_at.fold(speaker.facts_at, Timestamp::max)
}

fn license_transition(instance: &Instance, speaker: &Run, at: Timestamp) -> Option<Transition> {
    let word = |valid| if valid { "valid" } else { "invalid" }.to_owned();
    let valid = speaker.facts.license_valid;
    let changed = instance.judged_at.is_some() && instance.facts.license_valid != valid;
    changed.then(|| Transition { at, change: Change::License, from: Some(word(!valid)), to: word(valid) })
}

/// A fact that is a text.
type Text = fn(&Facts) -> &String;

/// Facts whose changes are told as they are.
const TEXTS: [(Change, Text); 2] =
    [(Change::Version, |facts| &facts.build_version), (Change::Product, |facts| &facts.product)];

/// A change of a fact. One that was not known before, such as the product of an event that an earlier version stored, has
/// not changed.
fn text_transition(
    instance: &Instance,
    speaker: &Run,
    at: Timestamp,
    change: Change,
    text: Text,
) -> Option<Transition> {
    let (from, to) = (text(&instance.facts), text(&speaker.facts));
    let changed = instance.judged_at.is_some() && from != to && !from.is_empty();
    changed.then(|| Transition { at, change, from: Some(from.clone()), to: to.clone() })
}

/// The transitions that somebody is told of. Of what an imported file tells of the past, that is only the end of what
/// was told.
pub(super) fn alerts(state: State, transitions: &[Transition], runs: &[Judged<'_>]) -> Vec<Transition> {
    let imported_until = runs.iter().filter_map(|run| run.run.imported_until).max();
    let imported: Vec<String> =
        runs.iter().filter(|run| run.run.is_imported()).map(|run| run.run.run_id.to_string()).collect();
    let is_past = |transition: &Transition| match (transition.change, transition.to.as_str()) {
        (Change::State, "up" | "ended") => false,
        (Change::RunLost, run) => imported.iter().any(|imported| imported == run),
        _ => imported_until.is_some_and(|until| transition.at <= until),
    };
    let is_told = |transition: &&Transition| transition.is_told(state) && !is_past(transition);
    transitions.iter().filter(is_told).cloned().collect()
}
