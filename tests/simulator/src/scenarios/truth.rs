//! What is true of an instance at any moment of its story, by the contract.

use std::collections::BTreeMap;

use deployment_telemetry::Reason;
use uuid::Uuid;

use super::story::{Action, DAY, HOUR, Second, Story};
use crate::delivery::{Delivery, License};
use crate::truth::State;

/// Time for which a loss, or the evidence of a clone, is shown.
const SHOWN: Second = 7 * DAY;

/// Number of runs up to which a receiver must know each of them: it may bound what it looks at.
const ALL_KNOWN: usize = 30;

/// What a receiver must say of an instance at a moment. `None` where it may say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// State of the instance.
    pub state: State,
    /// Whether a run was lost within the last seven days.
    pub crashed: bool,
    /// Smallest and largest number of losses within the last seven days.
    pub losses: (usize, usize),
    /// Whether two runs are alive, each heard after the other began.
    pub several_runs: bool,
    /// Whether one run had two events under one number within the last seven days.
    pub cloned: bool,
    /// Whether it is in a crash loop; anything in the first hour of a loop, and until its last loss is an hour ago.
    pub restarting: Option<bool>,
    /// Version of the run that began last of those alive.
    pub version: Option<String>,
    /// Whether the license of that run is valid.
    pub license_valid: Option<bool>,
}

/// The runs of a story.
#[derive(Clone, Debug)]
pub struct Truth<'a> {
    story: &'a Story,
    runs: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Run {
    id: Uuid,
    /// All that was heard of it, repetitions not counted.
    heard: Vec<Delivery>,
}

/// What is known of a run at a moment.
struct Known<'a> {
    run: &'a Run,
    first: Second,
    last: Delivery,
    late_at: Second,
    down_at: Second,
    /// When another run first began after this one was last heard.
    superseded_at: Option<Second>,
}

impl<'a> Truth<'a> {
    /// The truth about the instance of `story`.
    pub fn of(story: &'a Story) -> Self {
        let mut runs = BTreeMap::<Uuid, Run>::new();
        for step in &story.steps {
            if let Action::Post { delivery, is_news: true, .. } = step.action {
                let id = delivery.run_id;
                runs.entry(id).or_insert(Run { id, heard: Vec::new() }).heard.push(delivery);
            }
        }
        Self { story, runs: runs.into_values().collect() }
    }

    /// What a receiver must say at `now`; `None` before it has heard of the instance.
    pub fn at(&self, now: Second) -> Option<Expected> {
        let known = self.known(now);
        if known.is_empty() {
            return None;
        }
        let losses =
            known.iter().filter_map(|run| run.lost_at()).filter(|at| *at <= now && now < at + SHOWN).count();
        let at_least = if self.is_bounded() { losses } else { losses.min(1) };
        let speaker = speaker(&known, now);
        Some(Expected {
            state: state(&known, now),
            crashed: losses > 0,
            losses: (at_least, losses),
            several_runs: has_several_runs(&known, now),
            cloned: self.story.forks.iter().any(|at| *at <= now && now < at + SHOWN),
            restarting: self.is_restarting(now),
            version: speaker.map(|delivery| delivery.version()),
            license_valid: speaker.map(|delivery| delivery.license_valid()),
        })
    }

    /// Whether there are so few runs that a receiver must know all of them.
    pub fn is_bounded(&self) -> bool {
        self.runs.len() <= ALL_KNOWN
    }

    /// The states that the instance passes through, in order.
    pub fn states(&self) -> Vec<State> {
        self.in_order(|expected| Some(expected.state))
    }

    /// The versions that it passes through, in order.
    pub fn versions(&self) -> Vec<String> {
        self.in_order(|expected| expected.version)
    }

    /// The validity of its license, in order.
    pub fn licenses(&self) -> Vec<bool> {
        self.in_order(|expected| expected.license_valid)
    }

    /// The runs whose losses must be told, each as often as it was lost.
    pub fn losses(&self) -> Vec<Uuid> {
        let mut lost = Vec::new();
        for run in &self.runs {
            for (index, heard) in run.heard.iter().enumerate() {
                let next = run.heard.get(index + 1).map_or(self.story.horizon + 1, |next| next.at.as_secs());
                // The last of what was heard in one second says what holds.
                let known = (next > heard.at.as_secs()).then(|| self.known(next - 1)).unwrap_or_default();
                let lost_at = known.iter().find(|known| known.run.id == run.id).and_then(Known::lost_at);
                lost.extend(lost_at.filter(|at| *at < next).map(|_| run.id));
            }
        }
        lost.sort_unstable();
        lost
    }

    /// When to compare: at each change and shortly before the next one, as far as the story goes.
    pub fn moments(&self) -> Vec<Second> {
        let changes = self.changes();
        let mut moments = Vec::new();
        for pair in changes.windows(2) {
            if self.at(pair[0].saturating_sub(1)) != self.at(pair[0]) {
                moments.extend([pair[0], pair[1] - 1]);
            }
        }
        moments.push(self.story.horizon);
        moments.dedup();
        moments
    }

    /// The moments at which anything may change.
    fn changes(&self) -> Vec<Second> {
        let story = self.story;
        let mut changes = vec![story.horizon];
        for run in &self.runs {
            for heard in &run.heard {
                let at = heard.at.as_secs();
                let late_at = at + story.frequency + story.grace();
                changes.extend([at, late_at, late_at + story.frequency, late_at + SHOWN]);
            }
        }
        changes.extend(story.forks.iter().map(|at| at + SHOWN));
        for range in &story.loops {
            changes.extend([range.start + HOUR, range.end, self.is_over(range)]);
        }
        changes.retain(|at| *at <= story.horizon);
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    fn in_order<T: PartialEq>(&self, what: impl Fn(Expected) -> Option<T>) -> Vec<T> {
        let mut all: Vec<T> =
            self.changes().into_iter().filter_map(|now| self.at(now)).filter_map(what).collect();
        all.dedup();
        all
    }

    /// When a loop must no longer be shown: an hour after the last of its runs was lost.
    fn is_over(&self, range: &std::ops::Range<Second>) -> Second {
        range.end + self.story.frequency + self.story.grace() + 2 * HOUR
    }

    fn is_restarting(&self, now: Second) -> Option<bool> {
        let range = self.story.loops.iter().find(|range| range.start <= now && now < self.is_over(range));
        match range {
            None => Some(false),
            Some(range) if (range.start + HOUR..=range.end).contains(&now) => Some(true),
            Some(_) => None,
        }
    }

    fn known(&self, now: Second) -> Vec<Known<'_>> {
        let begins: Vec<(Uuid, Second)> = self
            .runs
            .iter()
            .map(|run| (run.id, run.heard[0].at.as_secs()))
            .filter(|(_, first)| *first <= now)
            .collect();
        self.runs.iter().filter_map(|run| self.known_run(run, &begins, now)).collect()
    }

    fn known_run<'r>(&self, run: &'r Run, begins: &[(Uuid, Second)], now: Second) -> Option<Known<'r>> {
        let last = *run.heard.iter().rev().find(|delivery| delivery.at.as_secs() <= now)?;
        let at = last.at.as_secs();
        let later = begins.iter().filter(|(other, first)| *other != run.id && *first > at);
        Some(Known {
            run,
            first: run.heard[0].at.as_secs(),
            last,
            late_at: at + self.story.frequency + self.story.grace(),
            down_at: at + 2 * self.story.frequency + self.story.grace(),
            superseded_at: later.map(|(_, first)| *first).min(),
        })
    }
}

impl Known<'_> {
    fn is_open(&self) -> bool {
        self.last.reason != Reason::End
    }

    fn is_alive(&self, now: Second) -> bool {
        self.is_open() && now < self.late_at
    }

    /// When the run is lost, unless it is heard before.
    fn lost_at(&self) -> Option<Second> {
        self.superseded_at.filter(|_| self.is_open()).map(|at| at.max(self.late_at))
    }
}

fn state(known: &[Known<'_>], now: Second) -> State {
    if known.iter().any(|run| run.is_alive(now)) {
        return State::Up;
    }
    let waited_for = known.iter().filter(|run| run.is_open() && run.superseded_at.is_none());
    match waited_for.map(|run| run.down_at).max() {
        None => State::Ended,
        Some(down_at) if now < down_at => State::Late,
        Some(_) => State::Down,
    }
}

fn has_several_runs(known: &[Known<'_>], now: Second) -> bool {
    let heard_after = |one: &Known<'_>, other: &Known<'_>| one.last.at.as_secs() > other.first;
    let alive: Vec<_> = known.iter().filter(|run| run.is_alive(now)).collect();
    alive.iter().enumerate().any(|(index, one)| {
        alive[..index].iter().any(|other| heard_after(one, other) && heard_after(other, one))
    })
}

/// The last that was heard of the run that began last of those alive; `None` where several did at once.
fn speaker<'a>(known: &'a [Known<'_>], now: Second) -> Option<&'a Delivery> {
    let alive = || known.iter().filter(|run| run.is_alive(now));
    let last = alive().map(|run| run.first).max()?;
    let mut speakers = alive().filter(|run| run.first == last).map(|run| &run.last);
    let speaker = speakers.next()?;
    let says = |delivery: &Delivery| (delivery.release, delivery.license == License::Valid);
    speakers.all(|other| says(other) == says(speaker)).then_some(speaker)
}
