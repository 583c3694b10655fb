//! A run and what follows from it at the moment that is judged.

use jiff::Timestamp;
use uuid::Uuid;

use super::silence::{self, Deadlines};
use crate::receiver::store::{Outage, Run};

/// A run and what follows from it at the moment that is judged.
pub(super) struct Judged<'a> {
    pub(super) run: &'a Run,
    pub(super) deadlines: Deadlines,
    /// When another run of the instance first began after this one was last heard.
    pub(super) superseded_at: Option<Timestamp>,
}

impl<'a> Judged<'a> {
    /// Judges all runs of an instance, which was last heard at `last_seen_at`.
    pub(super) fn all(
        runs: &'a [Run],
        last_seen_at: Timestamp,
        outages: &[Outage],
        now: Timestamp,
    ) -> Vec<Self> {
        let mut begins: Vec<Timestamp> = runs.iter().map(|run| run.first_seen_at).collect();
        begins.sort_unstable();
        let of = |run: &'a Run| Self {
            run,
            deadlines: match run.is_imported() {
                true => silence::deadlines_of_imported(run, last_seen_at, now),
                false => silence::deadlines(run, outages, now),
            },
            superseded_at: superseded_at(run, &begins),
        };
        runs.iter().map(of).collect()
    }

    pub(super) fn is_open(&self) -> bool {
        self.run.ended_at.is_none()
    }

    /// Whether the run was heard within its frequency and the grace.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.is_open() && now < self.deadlines.late
    }

    /// When the run was lost: it was superseded and passed its deadline without an `end`.
    pub(super) fn lost_at(&self, now: Timestamp) -> Option<Timestamp> {
        let lost_at = self.superseded_at?.max(self.deadlines.late);
        (self.is_open() && now >= lost_at).then_some(lost_at)
    }
}

/// When another run first began after `run` was last heard, of those that began at `begins`, the earliest first: its own
/// begin is not after that.
fn superseded_at(run: &Run, begins: &[Timestamp]) -> Option<Timestamp> {
    begins.get(begins.partition_point(|began_at| *began_at <= run.last_seen_at)).copied()
}

/// The key by which the run that was heard last comes last.
pub(super) fn by_last_sight(run: &Judged<'_>) -> (Timestamp, Uuid) {
    (run.run.last_seen_at, run.run.run_id)
}
