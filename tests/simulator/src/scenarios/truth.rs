//! What is true of an instance at any moment of its story, by the contract.

use std::ops::Range;
use std::time::Duration;

use uuid::Uuid;

use super::story::{Action, HOUR, Second, Story};
use crate::delivery::{Delivery, License};
use crate::truth::{self, Rules, Runs, State};

/// Number of runs up to which a receiver must know each of them: it may bound what it looks at.
const ALL_KNOWN: usize = 120;

/// What a receiver must say of an instance at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What follows from what was heard of its runs.
    pub heard: truth::Truth,
    /// Smallest number of losses that may be said; the largest is the true one.
    pub least_losses: usize,
    /// Whether one run had two events under one number within the last seven days.
    pub cloned: bool,
    /// Whether it is in a crash loop. `None`, where either may be said, in the first hour of a loop and after its end, until
    /// its last loss is an hour ago.
    pub restarting: Option<bool>,
}

/// The truth about the instance of a story.
#[derive(Clone, Debug)]
pub struct Truth<'a> {
    story: &'a Story,
    rules: Rules,
    runs: Runs,
}

impl<'a> Truth<'a> {
    /// The truth about the instance of `story`.
    pub fn of(story: &'a Story) -> Self {
        let news = story.steps.iter().filter_map(|step| match step.action {
            Action::Post { delivery, is_news: true, .. } => Some(delivery),
            _ => None,
        });
        Self { story, rules: Rules::real(), runs: Runs::of(news) }
    }

    /// What a receiver must say at `now`; `None` before it has heard of the instance.
    pub fn at(&self, now: Second) -> Option<Expected> {
        let heard = self.runs.truth(&self.rules, Duration::from_secs(now))?;
        Some(Expected {
            least_losses: if self.is_bounded() { heard.losses } else { heard.losses.min(1) },
            heard,
            cloned: self.story.forks.iter().any(|at| *at <= now && now < at + self.rules.week.as_secs()),
            restarting: self.is_restarting(now),
        })
    }

    /// Whether there are so few runs that a receiver must know all of them.
    pub fn is_bounded(&self) -> bool {
        self.runs.iter().count() <= ALL_KNOWN
    }

    /// The states that the instance passes through, in order.
    pub fn states(&self) -> Vec<State> {
        self.in_order(|truth| truth.state)
    }

    /// The versions that it passes through, in order.
    pub fn versions(&self) -> Vec<String> {
        self.in_order(|truth| truth.version)
    }

    /// The validity of its license, in order.
    pub fn licenses(&self) -> Vec<bool> {
        self.in_order(|truth| truth.license == License::Valid)
    }

    /// The runs whose losses must be told, each as often as it was lost.
    pub fn losses(&self) -> Vec<Uuid> {
        let mut lost = Vec::new();
        let end = Duration::from_secs(self.story.horizon + 1);
        for run in self.runs.iter() {
            for (index, heard) in run.heard.iter().enumerate() {
                let next = run.heard.get(index + 1).map_or(end, |next| next.at);
                // The last of what was heard in one second says what holds.
                if next <= heard.at {
                    continue;
                }
                let known = self.runs.known(&self.rules, next - Duration::from_secs(1));
                let lost_at = known.iter().find(|known| known.run.id == run.id).and_then(|run| run.lost_at());
                lost.extend(lost_at.filter(|at| *at < next).map(|_| run.id));
            }
        }
        lost.sort_unstable();
        lost
    }

    /// When to compare: at each change, shortly before the next one, and at the end of the story.
    pub fn moments(&self) -> Vec<Second> {
        let mut moments = Vec::new();
        for pair in self.changes().windows(2) {
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
        let (late_after, down_after) = self.rules.allowed(Duration::from_secs(self.story.frequency));
        let week = self.rules.week;
        let mut changes = vec![self.story.horizon];
        for run in self.runs.iter() {
            for Delivery { at, .. } in &run.heard {
                let all = [
                    Duration::ZERO,
                    late_after,
                    down_after,
                    late_after + week,
                    Duration::from_secs(24 * HOUR),
                ];
                changes.extend(all.map(|after| (*at + after).as_secs()));
            }
        }
        changes.extend(self.story.forks.iter().map(|at| at + week.as_secs()));
        for range in &self.story.loops {
            changes.extend([range.start + HOUR, range.end, self.is_over(range)]);
        }
        changes.retain(|at| *at <= self.story.horizon);
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    fn in_order<T: PartialEq>(&self, what: impl Fn(truth::Truth) -> T) -> Vec<T> {
        let moments = self.changes();
        let truths =
            moments.into_iter().filter_map(|now| self.runs.truth(&self.rules, Duration::from_secs(now)));
        let mut all: Vec<T> = truths.map(what).collect();
        all.dedup();
        all
    }

    /// When a loop must no longer be shown: an hour after the last of its runs was lost, and an hour to spare.
    fn is_over(&self, range: &Range<Second>) -> Second {
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
}
