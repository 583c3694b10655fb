//! Judging the instances that are due.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::Facts;
use super::instance::{Flags, Instance, Losses, Run, State, Transition};

/// Maximum number of runs of an instance that a judgement considers: the latest by this many, and by as many
/// the latest of those that have not ended, and by as many those of these that are not lost and silent for longest, so
/// that no loss is missed. A loop of one begin a minute is within it until its first run has
/// passed the deadline at a frequency of an hour, so that its losses are told while it lasts.
pub(crate) const JUDGED_RUNS: i64 = 128;

/// Seconds between two updates, where neither a header nor experience tells it (receiver §3).
pub(crate) const DEFAULT_FREQUENCY: i32 = 24 * 60 * 60;

/// The result of judging an instance, which the store writes down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The run whose facts are those of the instance.
    pub(crate) run_id: Uuid,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) state: State,
    pub(crate) state_since: Timestamp,
    pub(crate) flags: Flags,
    pub(crate) losses: Losses,
    pub(crate) begins_since: Option<Timestamp>,
    /// The instance is down, and nobody is told, because it is muted.
    pub(crate) untold: bool,
    /// Runs that are lost, and were not when the instance was last judged.
    pub(crate) lost: Vec<Loss>,
    pub(crate) frequency: i32,
    pub(crate) facts: Facts,
    /// Time at which the instance is due again even if no event arrives.
    pub(crate) check_at: Timestamp,
    /// Changes since the last judgement, in the order of time.
    pub(crate) transitions: Vec<Transition>,
    /// Those of the changes that an alert reports.
    pub(crate) alerts: Vec<Transition>,
}

/// A run that was lost, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) run_id: Uuid,
    pub(crate) at: Timestamp,
}

/// Judges an instance by its last judgement and its latest runs.
///
/// This is the only call that leads from a store back to the rooms above it: the store calls it between
/// reading and writing, so that both belong to one transaction.
pub(crate) type JudgeFn<'a> = &'a (dyn Fn(&Instance, &[Run]) -> Judgement + Send + Sync);

/// Keeps the judgements.
#[async_trait]
pub(crate) trait Judging: Send + Sync {
    /// Judges up to `limit` instances that are due at `now`, and returns their number. Fewer than `limit`
    /// means that no other instance is due, except those that another receiver is judging.
    async fn judge(&self, now: Timestamp, limit: i64, judge: JudgeFn<'_>) -> Result<usize, StoreError>;
}
