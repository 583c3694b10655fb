//! Queries of people and programs that look at the fleet.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::facts::Facts;
use super::instance::{Flags, Instance, Run, State, Transition};
use super::release::Release;

/// Time for which an instance is new after it was first seen.
pub(crate) const NEW_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A stored event. Its kind is always `usr`, its type `telemetry.custom`, and it is persistent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEvent {
    pub(crate) id: Uuid,
    pub(crate) instance_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: i64,
    pub(crate) received_at: Timestamp,
    pub(crate) reason: String,
    pub(crate) frequency: Option<i32>,
    /// The key that it came with; nil where an earlier version stored it.
    pub(crate) key_id: Uuid,
    pub(crate) product: String,
    pub(crate) data: String,
}

/// The number of instances that agree in all the other fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) state: State,
    pub(crate) license_valid: bool,
    pub(crate) flags: Flags,
    /// Whether they were first seen within [`NEW_FOR`].
    pub(crate) is_new: bool,
    pub(crate) build_version: String,
    pub(crate) count: i64,
}

/// A selection of instances: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InstanceFilter {
    pub(crate) state: Option<State>,
    pub(crate) license_valid: Option<bool>,
    pub(crate) build_version: Option<String>,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) product: Option<String>,
    /// Name of the release, as [`Release`](super::release::Release) has it.
    pub(crate) release: Option<String>,
    /// Of an earlier version than the one with this key of a [`Release`](super::release::Release).
    pub(crate) older_than: Option<String>,
    pub(crate) crashed: Option<bool>,
    pub(crate) several_runs: Option<bool>,
    pub(crate) cloned: Option<bool>,
    pub(crate) restarting: Option<bool>,
    /// First seen after this time.
    pub(crate) first_seen_after: Option<Timestamp>,
    /// A part of the custom id in upper or lower case (see [`searched`]), or the beginning of the instance id
    /// (see [`ids_beginning_with`]).
    pub(crate) search: Option<String>,
}

impl InstanceFilter {
    /// Whether an instance matches. The stores say the same in SQL.
    pub(crate) fn matches(&self, instance: &Instance) -> bool {
        let Self {
            state,
            license_valid,
            build_version,
            key_id,
            product,
            release,
            older_than,
            crashed,
            several_runs,
            cloned,
            restarting,
            first_seen_after,
            search,
        } = self;
        let (flags, facts) = (instance.flags, &instance.facts);
        let of_version = || Release::of(&facts.build_version);
        state.is_none_or(|state| state == instance.state)
            && license_valid.is_none_or(|valid| valid == facts.license_valid)
            && build_version.as_ref().is_none_or(|version| *version == facts.build_version)
            && key_id.is_none_or(|key_id| key_id == facts.key_id)
            && product.as_ref().is_none_or(|product| *product == facts.product)
            && release.as_ref().is_none_or(|release| *release == of_version().name)
            && older_than.as_ref().is_none_or(|key| of_version().key < *key)
            && crashed.is_none_or(|crashed| crashed == flags.crashed)
            && several_runs.is_none_or(|several| several == flags.several_runs)
            && cloned.is_none_or(|cloned| cloned == flags.cloned)
            && restarting.is_none_or(|restarting| restarting == flags.restarting)
            && first_seen_after.is_none_or(|after| instance.first_seen_at > after)
            && search.as_deref().is_none_or(|search| is_found(instance, search))
    }
}

fn is_found(instance: &Instance, search: &str) -> bool {
    let has_name = searched(&instance.facts).is_some_and(|name| name.contains(&search.to_lowercase()));
    let has_id = || {
        ids_beginning_with(search).is_some_and(|(first, last)| (first..=last).contains(&instance.instance_id))
    };
    has_name || has_id()
}

/// The last instance of a page, after which the next one begins. Pages are sorted by state, the worst first,
/// then by `state_since`, the latest first, then by id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InstanceCursor {
    pub(crate) state: State,
    pub(crate) state_since: Timestamp,
    pub(crate) instance_id: Uuid,
}

/// A selection of events: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventFilter {
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) reason: Option<String>,
    /// Received at or after this time.
    pub(crate) from: Option<Timestamp>,
    /// Received before this time.
    pub(crate) to: Option<Timestamp>,
}

/// The last event of a page, after which the next one begins. Pages are sorted by time, then by instance,
/// then by id, each falling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EventCursor {
    pub(crate) received_at: Timestamp,
    pub(crate) instance_id: Uuid,
    pub(crate) id: Uuid,
}

/// Answers queries.
#[async_trait]
pub(crate) trait Queries: Send + Sync {
    /// The fleet in numbers, in no order.
    async fn summary(&self, now: Timestamp) -> Result<Vec<Group>, StoreError>;

    /// Up to `limit` instances, in the order of [`InstanceCursor`].
    async fn instances(
        &self,
        filter: &InstanceFilter,
        after: Option<InstanceCursor>,
        limit: i64,
    ) -> Result<Vec<Instance>, StoreError>;

    /// One instance.
    async fn instance(&self, id: Uuid) -> Result<Option<Instance>, StoreError>;

    /// The latest `limit` runs of an instance, the last seen first.
    async fn runs(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Run>, StoreError>;

    /// The latest `limit` transitions of an instance, the latest first.
    async fn transitions(&self, instance_id: Uuid, limit: i64) -> Result<Vec<Transition>, StoreError>;

    /// Up to `limit` events, in the order of [`EventCursor`].
    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// One event.
    async fn event(&self, instance_id: Uuid, id: Uuid) -> Result<Option<StoredEvent>, StoreError>;
}

/// The text that a search looks in: the custom id in lower case. It is stored, because no database folds the
/// case of all of Unicode the way Rust does, or another database does.
pub(super) fn searched(facts: &Facts) -> Option<String> {
    facts.custom_id.as_deref().map(str::to_lowercase)
}

/// The first and the last id whose text begins with `text`, in upper or lower case. `None` if no id does.
pub(super) fn ids_beginning_with(text: &str) -> Option<(Uuid, Uuid)> {
    let filled = |with: &str| {
        let rest = with.get(text.len()..)?;
        let id = format!("{text}{rest}");
        // Hyphens in other positions make another form of a UUID, or none.
        Uuid::parse_str(&id).ok().filter(|parsed| parsed.to_string().eq_ignore_ascii_case(&id))
    };
    Some((filled("00000000-0000-0000-0000-000000000000")?, filled("ffffffff-ffff-ffff-ffff-ffffffffffff")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_the_beginning_of_their_text() {
        let id = |text: &str| Uuid::parse_str(text).unwrap();
        let range = ids_beginning_with("aB0");
        let expected =
            (id("ab000000-0000-0000-0000-000000000000"), id("ab0fffff-ffff-ffff-ffff-ffffffffffff"));
        assert_eq!(range, Some(expected));
        let whole = "abcdef01-2345-6789-abcd-ef0123456789";
        assert_eq!(ids_beginning_with(whole), Some((id(whole), id(whole))));
        assert_eq!(ids_beginning_with(""), Some((Uuid::nil(), Uuid::max())));
        for text in [
            "g",
            "abcdef012",
            "abcdef-01",
            "{abcdef0",
            "urn:uuid:",
            "abcdef01-2345-6789-abcd-ef01234567890",
            "ä",
            "0\u{10FFFF}",
        ] {
            assert_eq!(ids_beginning_with(text), None, "{text}");
        }
    }
}
