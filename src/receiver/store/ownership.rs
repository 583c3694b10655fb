//! To whom an instance belongs, and how many new ones a key may report (receiver §1).

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::ingest::{Appended, NewEvent};

/// The id of the keys that a host gives its receiver itself, which no store has. They are one owner, whatever
/// their secrets are.
pub(crate) const HOST_KEY: Uuid = Uuid::from_u128(0x686f_7374_0000_8000_8000_0000_0000_0000);

/// The name of that owner.
pub(crate) const HOST_KEY_NAME: &str = "host";

/// Time over which new instances are counted.
pub(crate) const NEW_WITHIN: Duration = Duration::from_secs(60 * 60);

/// The owner of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) key_id: Uuid,
    /// Whether its key is in use. A revoked key owns nothing.
    pub(super) is_in_use: bool,
}

impl Owner {
    /// Whether an event of `key_id` is refused.
    fn keeps_out(self, key_id: Uuid) -> bool {
        let is_in_use = self.is_in_use || self.key_id == HOST_KEY;
        self.key_id != key_id && is_in_use && !self.key_id.is_nil()
    }
}

/// An instance that goes to another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TakeOver {
    pub(super) instance_id: Uuid,
    /// The owner before.
    pub(super) from: Uuid,
    pub(super) to: Uuid,
    pub(super) at: Timestamp,
}

/// Which events of a batch are stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Admission {
    /// For each event, why it is refused, if it is.
    pub(super) refused: Vec<Option<Appended>>,
    pub(super) taken_over: Vec<TakeOver>,
}

/// Keys of a batch that report new instances and are limited, with their limits. `owners` are those of the instances that
/// are known.
pub(super) fn limited_keys(events: &[&NewEvent], owners: &HashMap<Uuid, Owner>) -> HashMap<Uuid, i32> {
    let new = events.iter().filter(|event| !owners.contains_key(&event.instance_id));
    new.filter_map(|event| Some((event.facts.key_id, event.new_per_hour?))).collect()
}

/// Decides which events of a batch are stored.
///
/// `owners` are those of the instances that are known, `counts` the number of instances that each limited key reported
/// for the first time within [`NEW_WITHIN`]. Of several keys that report a new instance in one batch, the first owns it.
pub(super) fn admit(
    events: &[&NewEvent],
    mut owners: HashMap<Uuid, Owner>,
    mut counts: HashMap<Uuid, i64>,
) -> Admission {
    let mut admission = Admission::default();
    for event in events {
        let (instance_id, key_id) = (event.instance_id, event.facts.key_id);
        let refused = match owners.get(&instance_id).copied() {
            Some(owner) if owner.keeps_out(key_id) => Some(Appended::OtherKey),
            Some(owner) => {
                if owner.key_id != key_id {
                    owners.insert(instance_id, Owner { key_id, is_in_use: true });
                    let (from, to, at) = (owner.key_id, key_id, event.received_at);
                    admission.taken_over.push(TakeOver { instance_id, from, to, at });
                }
                None
            }
            None => {
                let count = counts.entry(key_id).or_default();
                let is_allowed = event.new_per_hour.is_none_or(|limit| *count < i64::from(limit));
                if is_allowed {
                    *count += 1;
                    owners.insert(instance_id, Owner { key_id, is_in_use: true });
                }
                (!is_allowed).then_some(Appended::TooManyNew)
            }
        };
        admission.refused.push(refused);
    }
    admission
}

/// The first and the last id of the events of an instance with the same `webhook-id`: see [`NewEvent::id`].
pub(super) fn ids_of_same_number(id: Uuid) -> (Uuid, Uuid) {
    let (number, _) = id.as_u64_pair();
    (Uuid::from_u64_pair(number, 0), Uuid::from_u64_pair(number, u64::MAX))
}

/// Keeps to whom instances belong.
#[async_trait]
pub(crate) trait Ownership: Send + Sync {
    /// Gives an instance to another key, and notes it as a transition. Returns `false` if there is no such instance or
    /// no such key in use. The events of the key that owned it are refused from then on.
    async fn move_instance(
        &self,
        instance_id: Uuid,
        key_id: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Notes that new instances of a key were refused, and puts an alert into the outbox where `tells`. Returns whether
    /// it is the first time within [`NEW_WITHIN`]; otherwise it changes nothing.
    async fn note_flood(
        &self,
        key_id: Uuid,
        limit: i32,
        now: Timestamp,
        tells: bool,
    ) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::super::suite::{at, event};
    use super::*;

    fn of_key(key: u128, event: NewEvent) -> NewEvent {
        let mut event = event;
        event.facts.key_id = Uuid::from_u128(key);
        event
    }

    fn owned_by(key: u128, is_in_use: bool) -> HashMap<Uuid, Owner> {
        HashMap::from([(Uuid::from_u128(1), Owner { key_id: Uuid::from_u128(key), is_in_use })])
    }

    fn admitted(events: &[NewEvent], owners: HashMap<Uuid, Owner>, count: i64) -> Admission {
        let counts = HashMap::from([(Uuid::from_u128(10), count)]);
        admit(&events.iter().collect::<Vec<_>>(), owners, counts)
    }

    #[test]
    fn an_instance_belongs_to_the_key_that_reported_it_first() {
        let events = [of_key(10, event(1, 1, 1, 0, "begin")), of_key(11, event(1, 1, 2, 1, "update"))];
        assert_eq!(admitted(&events, HashMap::new(), 0).refused, [None, Some(Appended::OtherKey)]);
        assert_eq!(
            admitted(&events, owned_by(11, true), 0),
            Admission { refused: vec![Some(Appended::OtherKey), None], taken_over: Vec::new() }
        );
    }

    #[test]
    fn a_revoked_key_owns_nothing_and_nobody_owns_what_an_earlier_version_stored() {
        let events = [
            of_key(10, event(1, 1, 1, 7, "begin")),
            of_key(10, event(1, 1, 2, 8, "update")),
            of_key(11, event(1, 1, 3, 9, "update")),
        ];
        for before in [12, 0] {
            let admission = admitted(&events, owned_by(before, before == 0), 0);
            assert_eq!(admission.refused, [None, None, Some(Appended::OtherKey)]);
            let (from, to) = (Uuid::from_u128(before), Uuid::from_u128(10));
            let taken = TakeOver { instance_id: Uuid::from_u128(1), from, to, at: at(7) };
            assert_eq!(admission.taken_over, [taken], "once");
        }
    }

    #[test]
    fn a_key_reports_as_many_new_instances_as_it_may() {
        let new = |number: u128| NewEvent {
            new_per_hour: Some(3),
            ..of_key(10, event(number, number, 1, 0, "begin"))
        };
        let events = [new(1), new(2), new(3), new(2), NewEvent { new_per_hour: None, ..new(4) }];
        let refused = Some(Appended::TooManyNew);
        assert_eq!(admitted(&events, HashMap::new(), 1).refused, [None, None, refused, None, None]);
        assert_eq!(admitted(&events[..2], owned_by(10, true), 3).refused, [None, refused]);
    }

    #[test]
    fn the_keys_of_the_host_are_in_use_although_no_store_has_them() {
        let owners = HashMap::from([(Uuid::from_u128(1), Owner { key_id: HOST_KEY, is_in_use: false })]);
        let events = [of_key(10, event(1, 1, 1, 0, "begin"))];
        assert_eq!(admitted(&events, owners, 0).refused, [Some(Appended::OtherKey)]);
    }
}
