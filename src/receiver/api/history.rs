//! The history of an instance in answers: its runs, and its changes.

use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::store::{Run, Transition};

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
