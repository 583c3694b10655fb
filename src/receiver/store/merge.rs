//! The rules by which runs and instances take up events. None of them depends on the order in which events
//! arrive: the values of a run are minima, maxima and sums, or come
//! from the last event in an order that is that of time, and within an hour that of the numbers.
//!
//! A batch is summed up here, a delta for each run and instance. [`take_up_run`] is the same rules in SQL, by
//! which both stores add the delta of a run to its row.

use std::collections::{BTreeMap, HashSet};
#[cfg(feature = "postgres")]
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use uuid::Uuid;

use super::facts::Facts;
use super::ingest::NewEvent;

/// Sum of a batch's events of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunDelta<'a> {
    pub(super) instance_id: Uuid,
    pub(super) run_id: Uuid,
    pub(super) first_seen_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    pub(super) begun: bool,
    /// Time and number of the latest `end`.
    pub(super) end: Option<(Timestamp, i64)>,
    /// The highest number, and the time of its event.
    pub(super) last_sequence: i64,
    pub(super) last_sequence_at: Timestamp,
    /// The latest frequency, and the time of its event.
    pub(super) frequency: Option<(Timestamp, i32)>,
    pub(super) updates: i32,
    pub(super) first_update_at: Option<Timestamp>,
    pub(super) last_update_at: Option<Timestamp>,
    pub(super) facts: &'a Facts,
    pub(super) facts_at: Timestamp,
    pub(super) facts_sequence: i64,
    /// Time of the latest event with a number that another event had before.
    pub(super) forked_at: Option<Timestamp>,
    /// Time of the latest event that was imported.
    pub(super) imported_until: Option<Timestamp>,
    /// Whether one of the events is no update, has a number that was used before, or was imported.
    has_other_events: bool,
}

/// Sum of a batch's events of one instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InstanceDelta<'a> {
    pub(super) instance_id: Uuid,
    pub(super) first_seen_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    /// Whether the instance has to be judged in any case: one of the events is no update or was imported, or they are
    /// of several runs.
    pub(super) needs_judgement: bool,
    /// The run that was seen last, with its frequency and facts.
    pub(super) run_id: Uuid,
    pub(super) frequency: Option<i32>,
    pub(super) facts: &'a Facts,
}

/// Sums up events, in the order of ids, which is the order in which rows are locked. `forks` has the instance and the id
/// of those whose number had been used before.
pub(super) fn sum_up<'a>(
    events: impl Iterator<Item = &'a NewEvent>,
    forks: &HashSet<(Uuid, Uuid)>,
) -> (Vec<RunDelta<'a>>, Vec<InstanceDelta<'a>>) {
    let mut runs: BTreeMap<(Uuid, Uuid), RunDelta<'a>> = BTreeMap::new();
    for event in events {
        let delta = RunDelta::of(event, forks.contains(&(event.instance_id, event.id)));
        runs.entry((event.instance_id, event.run_id)).and_modify(|run| run.add(&delta)).or_insert(delta);
    }
    let mut instances: BTreeMap<Uuid, InstanceDelta<'a>> = BTreeMap::new();
    for run in runs.values() {
        let delta = InstanceDelta::of(run);
        instances.entry(run.instance_id).and_modify(|instance| instance.add(&delta)).or_insert(delta);
    }
    (runs.into_values().collect(), instances.into_values().collect())
}

impl<'a> RunDelta<'a> {
    fn of(event: &'a NewEvent, is_fork: bool) -> Self {
        let at = event.received_at;
        let update = (event.reason == "update").then_some(at);
        Self {
            instance_id: event.instance_id,
            run_id: event.run_id,
            first_seen_at: at,
            last_seen_at: at,
            begun: event.reason == "begin",
            end: (event.reason == "end").then_some((at, event.sequence)),
            last_sequence: event.sequence,
            last_sequence_at: at,
            frequency: event.frequency.map(|frequency| (at, frequency)),
            updates: i32::from(update.is_some()),
            first_update_at: update,
            last_update_at: update,
            facts: &event.facts,
            facts_at: at,
            facts_sequence: event.sequence,
            forked_at: is_fork.then_some(at),
            imported_until: event.is_imported.then_some(at),
            has_other_events: update.is_none() || is_fork || event.is_imported,
        }
    }

    /// What comes last in this order says the facts of a run: within an hour by the clock, the highest number, because a
    /// request that was held up may arrive after one that was sent later; else the latest. So a number far ahead, or the
    /// numbers of a snapshot that was restored, hold nothing up for longer.
    fn facts_order(&self) -> (i64, i64, Timestamp) {
        (self.facts_at.as_second().div_euclid(60 * 60), self.facts_sequence, self.facts_at)
    }

    fn add(&mut self, other: &Self) {
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
        self.begun |= other.begun;
        self.end = of_latest(self.end, other.end);
        self.frequency = of_latest(self.frequency, other.frequency);
        self.updates += other.updates;
        self.first_update_at = self.first_update_at.into_iter().chain(other.first_update_at).min();
        self.last_update_at = self.last_update_at.max(other.last_update_at);
        if other.last_sequence > self.last_sequence {
            self.last_sequence = other.last_sequence;
            self.last_sequence_at = other.last_sequence_at;
        }
        if other.facts_order() > self.facts_order() {
            self.facts = other.facts;
            (self.facts_at, self.facts_sequence) = (other.facts_at, other.facts_sequence);
        }
        self.forked_at = self.forked_at.max(other.forked_at);
        self.imported_until = self.imported_until.max(other.imported_until);
        self.has_other_events |= other.has_other_events;
    }
}

/// The later value; of two at the same time, the one that is there.
fn of_latest<T>(stored: Option<(Timestamp, T)>, new: Option<(Timestamp, T)>) -> Option<(Timestamp, T)> {
    match (stored, new) {
        (Some(stored), Some(new)) if new.0 > stored.0 => Some(new),
        (stored, new) => stored.or(new),
    }
}

impl<'a> InstanceDelta<'a> {
    fn of(run: &RunDelta<'a>) -> Self {
        Self {
            instance_id: run.instance_id,
            first_seen_at: run.first_seen_at,
            last_seen_at: run.last_seen_at,
            needs_judgement: run.has_other_events,
            run_id: run.run_id,
            frequency: run.frequency.map(|(_, frequency)| frequency),
            facts: run.facts,
        }
    }

    fn add(&mut self, other: &Self) {
        self.needs_judgement = true;
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        if other.last_seen_at > self.last_seen_at {
            self.last_seen_at = other.last_seen_at;
            self.run_id = other.run_id;
            self.frequency = other.frequency;
            self.facts = other.facts;
        }
    }
}

/// Condition on a row of `telemetry_run`: its process has not said `end`, or was heard after that. An event with a lower
/// number that came after the `end` was only late, unless the number had been used before: then a snapshot was restored.
pub(super) const IS_OPEN: &str =
    "(ended_at is null or last_sequence > end_sequence and last_sequence_at >= ended_at
    or coalesce(forked_at > ended_at, false))";

/// Condition on an instance and one of its runs, as SQL names it: another run that is open began when the run was last
/// seen, or later. An update of the run then shows that the two live beside each other. `is_of_instance` is the condition
/// that a row of `telemetry_run` belongs to the instance.
pub(super) fn began_beside(is_of_instance: &str, run_id: &str) -> String {
    format!(
        "exists (select 1 from telemetry_run where {is_of_instance} and run_id <> {run_id} and {IS_OPEN}
             and first_seen_at >= (select last_seen_at from telemetry_run
                 where {is_of_instance} and run_id = {run_id}))"
    )
}

/// Condition on a row of `telemetry_run` that is open: it was not judged to be lost, or was heard after that.
pub(super) const IS_NOT_LOST: &str = "(lost_at is null or lost_at <= last_seen_at)";

/// How a column of a run takes up a delta.
#[derive(Clone, Copy)]
enum Rule {
    Least,
    Greatest,
    Sum,
    Either,
    /// The value that came with the greater value of this column; of two equal ones, with the higher number.
    With(&'static str),
    /// The value of the last event in the order of `RunDelta::facts_order`.
    Facts,
}

/// Columns of `telemetry_run` that add up, besides its key and the facts, in the order in which the stores
/// write them.
const RUN_COLUMNS: [(&str, Rule); 16] = [
    ("first_seen_at", Rule::Least),
    ("last_seen_at", Rule::Greatest),
    ("begun", Rule::Either),
    ("ended_at", Rule::Greatest),
    ("end_sequence", Rule::With("ended_at")),
    ("last_sequence", Rule::Greatest),
    ("last_sequence_at", Rule::With("last_sequence")),
    ("frequency", Rule::With("frequency_at")),
    ("frequency_at", Rule::Greatest),
    ("updates", Rule::Sum),
    ("first_update_at", Rule::Least),
    ("last_update_at", Rule::Greatest),
    ("facts_at", Rule::Facts),
    ("facts_sequence", Rule::Facts),
    ("forked_at", Rule::Greatest),
    ("imported_until", Rule::Greatest),
];

/// Whether the facts of one row, with its time and its number, come after those of another in the order of
/// `RunDelta::facts_order`. `hour` is the hour of a time, as a number that rises. The first condition says nothing that the
/// second does not: it spares the database the hours of an event that is later by its time and by its number.
pub(super) fn has_later_facts(hour: fn(&str) -> String, new: [&str; 2], old: [&str; 2]) -> String {
    let ([new_at, new_number], [old_at, old_number]) = (new, old);
    format!(
        "({new_at} >= {old_at} and {new_number} > {old_number}
         or ({}, {new_number}, {new_at}) > ({}, {old_number}, {old_at}))",
        hour(new_at),
        hour(old_at)
    )
}

/// Columns of a new row of `telemetry_run`, its facts being in `facts`.
pub(super) fn run_columns(facts: &[&str]) -> String {
    let columns = RUN_COLUMNS.iter().map(|(column, _)| *column);
    let columns: Vec<&str> =
        ["instance_id", "run_id"].into_iter().chain(columns).chain(facts.iter().copied()).collect();
    columns.join(", ")
}

/// The end of an `insert into telemetry_run as run`, which adds the new row to the one that is there.
///
/// `least` and `greatest` are the database's functions of these names. Whether they skip a null or return it
/// does not matter.
pub(super) fn take_up_run(least: &str, greatest: &str, hour: fn(&str) -> String, facts: &[&str]) -> String {
    let is_later = has_later_facts(
        hour,
        ["excluded.facts_at", "excluded.facts_sequence"],
        ["run.facts_at", "run.facts_sequence"],
    );
    let facts = facts.iter().map(|column| (*column, Rule::Facts));
    let assignments: Vec<String> = RUN_COLUMNS
        .into_iter()
        .chain(facts)
        .map(|(column, rule)| {
            let (old, new) = (format!("run.{column}"), format!("excluded.{column}"));
            let value = match rule {
                Rule::Least => format!("coalesce({least}({old}, {new}), {old}, {new})"),
                Rule::Greatest => format!("coalesce({greatest}({old}, {new}), {old}, {new})"),
                Rule::Sum => format!("{old} + {new}"),
                Rule::Either => format!("{old} or {new}"),
                Rule::Facts => format!("case when {is_later} then {new} else {old} end"),
                Rule::With(other) => format!(
                    "case when run.{other} is null or excluded.{other} > run.{other}
                         or excluded.{other} = run.{other} and excluded.last_sequence > run.last_sequence
                     then {new} else {old} end"
                ),
            };
            format!("{column} = {value}")
        })
        .collect();
    format!("on conflict (instance_id, run_id) do update set {}", assignments.join(", "))
}

/// A hash of facts, equal for equal facts. Another version of the standard library may compute another one.
#[cfg(feature = "postgres")]
pub(super) fn fingerprint(facts: &Facts) -> i64 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    hasher.finish().cast_signed()
}
