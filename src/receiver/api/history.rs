//! The history of an instance in answers: its runs, its changes, its events, and its silence.

use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::silence::{Month, Spells};
use crate::receiver::store::{EventMark, Run, Transition};

#[derive(Serialize)]
pub(crate) struct RunRow {
    pub(crate) run_id: Uuid,
    pub(crate) first_seen_at: Moment,
    pub(crate) last_seen_at: Moment,
    pub(crate) begun: bool,
    pub(crate) ended_at: Option<Moment>,
    /// When it was lost, unless it was heard since.
    pub(crate) lost_at: Option<Moment>,
    /// When one of its numbers was last seen with another content.
    pub(crate) forked_at: Option<Moment>,
    pub(crate) updates: i32,
    pub(crate) build_version: String,
    pub(crate) license_valid: bool,
}

impl From<Run> for RunRow {
    fn from(run: Run) -> Self {
        Self {
            run_id: run.run_id,
            first_seen_at: Moment(run.first_seen_at),
            last_seen_at: Moment(run.last_seen_at),
            begun: run.begun,
            ended_at: run.ended_at.map(Moment),
            lost_at: run.lost_at.filter(|lost_at| *lost_at > run.last_seen_at).map(Moment),
            forked_at: run.forked_at.map(Moment),
            updates: run.updates,
            build_version: run.facts.build_version,
            license_valid: run.facts.license_valid,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct TransitionRow {
    pub(crate) at: Moment,
    pub(crate) change: &'static str,
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}

impl From<Transition> for TransitionRow {
    fn from(transition: Transition) -> Self {
        let Transition { at, change, from, to } = transition;
        Self { at: Moment(at), change: change.as_str(), from, to }
    }
}

/// An event without what it said.
#[derive(Serialize)]
pub(crate) struct MarkRow {
    pub(crate) id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) ts: Moment,
    pub(crate) reason: String,
}

impl From<EventMark> for MarkRow {
    fn from(mark: EventMark) -> Self {
        let EventMark { id, run_id, sequence, received_at, reason } = mark;
        Self { id, run_id, sequence, ts: Moment(received_at), reason }
    }
}

/// The silence of a month.
#[derive(Serialize)]
pub(crate) struct MonthRow {
    /// Its first day.
    pub(crate) month: Date,
    pub(crate) down: SpellsRow,
    pub(crate) late: SpellsRow,
    /// The part of the time in which it was up, of that in which it was down, late or up.
    pub(crate) in_time: Option<f64>,
}

/// The spells of a state in a month.
#[derive(Serialize)]
pub(crate) struct SpellsRow {
    pub(crate) count: i64,
    pub(crate) seconds: i64,
}

impl From<Month> for MonthRow {
    fn from(month: Month) -> Self {
        let in_time = month.in_time();
        let Month { first_day, down, late, .. } = month;
        Self { month: first_day, down: down.into(), late: late.into(), in_time }
    }
}

impl From<Spells> for SpellsRow {
    fn from(spells: Spells) -> Self {
        let Spells { count, seconds } = spells;
        Self { count, seconds }
    }
}
