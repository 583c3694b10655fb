//! What a batch of events comes to, a row for each run and each instance: every field merges by a rule that does not ask
//! in which order the events came.

use std::collections::BTreeMap;
#[cfg(feature = "postgres")]
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Facts, NewEvent};

/// What events of one run say together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunDelta<'a> {
    pub(super) instance_id: Uuid,
    pub(super) run_id: Uuid,
    pub(super) first_seen_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    pub(super) begun: bool,
    pub(super) has_news: bool,
    pub(super) end: Option<(i64, Timestamp)>,
    pub(super) last_sequence: i64,
    pub(super) frequency: Option<(i64, i32)>,
    pub(super) updates: i32,
    pub(super) first_update_at: Option<Timestamp>,
    pub(super) last_update_at: Option<Timestamp>,
    pub(super) facts: &'a Facts,
    pub(super) facts_at: Timestamp,
}

/// What events of one instance say together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InstanceDelta<'a> {
    pub(super) instance_id: Uuid,
    pub(super) first_seen_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    /// One of them says more than that the instance is still there.
    pub(super) has_news: bool,
    /// The run of the latest one, and what it says.
    pub(super) run_id: Uuid,
    pub(super) frequency: Option<i32>,
    pub(super) facts: &'a Facts,
}

/// In the order of their ids, which is the order in which their rows are locked.
pub(super) fn fold<'a>(
    events: impl Iterator<Item = &'a NewEvent>,
) -> (Vec<RunDelta<'a>>, Vec<InstanceDelta<'a>>) {
    let mut runs: BTreeMap<(Uuid, Uuid), RunDelta<'a>> = BTreeMap::new();
    for event in events {
        let delta = RunDelta::of(event);
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
    fn of(event: &'a NewEvent) -> Self {
        let at = event.received_at;
        let update = (event.reason == "update").then_some(at);
        Self {
            instance_id: event.instance_id,
            run_id: event.run_id,
            first_seen_at: at,
            last_seen_at: at,
            begun: event.reason == "begin",
            has_news: update.is_none(),
            end: (event.reason == "end").then_some((event.sequence, at)),
            last_sequence: event.sequence,
            frequency: event.frequency.map(|frequency| (event.sequence, frequency)),
            updates: i32::from(update.is_some()),
            first_update_at: update,
            last_update_at: update,
            facts: &event.facts,
            facts_at: at,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
        self.begun |= other.begun;
        self.has_news |= other.has_news;
        self.end = self.end.max(other.end);
        self.frequency = self.frequency.max(other.frequency);
        self.updates += other.updates;
        self.first_update_at = self.first_update_at.into_iter().chain(other.first_update_at).min();
        self.last_update_at = self.last_update_at.max(other.last_update_at);
        if other.last_sequence > self.last_sequence {
            self.last_sequence = other.last_sequence;
            self.facts = other.facts;
            self.facts_at = other.facts_at;
        }
    }
}

impl<'a> InstanceDelta<'a> {
    fn of(run: &RunDelta<'a>) -> Self {
        Self {
            instance_id: run.instance_id,
            first_seen_at: run.first_seen_at,
            last_seen_at: run.last_seen_at,
            has_news: run.has_news,
            run_id: run.run_id,
            frequency: run.frequency.map(|(_, frequency)| frequency),
            facts: run.facts,
        }
    }

    fn add(&mut self, other: &Self) {
        // Two runs of one instance in one batch are worth a look in any case.
        self.has_news = true;
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        if other.last_seen_at > self.last_seen_at {
            self.last_seen_at = other.last_seen_at;
            self.run_id = other.run_id;
            self.frequency = other.frequency;
            self.facts = other.facts;
        }
    }
}

/// The same for the same facts. Another version of the standard library may make another one of them.
#[cfg(feature = "postgres")]
pub(super) fn fingerprint(facts: &Facts) -> i64 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    hasher.finish().cast_signed()
}
