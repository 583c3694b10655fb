//! Which of the latest changes are new. Pure.

use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{Change, FleetChange};

/// Number of the latest changes that are looked at.
pub(super) const LOOKED_AT: i64 = 50;

/// The latest changes that there were.
///
/// A change became true before it was noticed, so a new one may be older than one that was there before. Where changes were
/// forgotten with their instance, older ones move up in their place, which are not new.
pub(super) struct Latest {
    known: Vec<Key>,
    /// The time at which or before which there may be changes that were not looked at.
    beyond: Option<Timestamp>,
}

#[derive(PartialEq, Eq)]
struct Key {
    instance_id: Uuid,
    at: Timestamp,
    change: Change,
    to: String,
}

impl Key {
    fn of(change: &FleetChange) -> Self {
        let transition = &change.transition;
        Self {
            instance_id: change.instance_id,
            at: transition.at,
            change: transition.change,
            to: transition.to.clone(),
        }
    }
}

impl Latest {
    /// The changes that are there now, the latest first, and those of them that were not there before.
    pub(super) fn of(found: Vec<FleetChange>, before: Option<Latest>) -> (Self, Vec<FleetChange>) {
        let known = found.iter().map(Key::of).collect();
        let last = found.last().map(|last| last.transition.at);
        let beyond = last.filter(|_| found.len() as i64 >= LOOKED_AT);
        let new = match before {
            None => Vec::new(),
            Some(before) => found.into_iter().filter(|change| before.lacks(change)).collect(),
        };
        (Self { known, beyond }, new)
    }

    fn lacks(&self, change: &FleetChange) -> bool {
        self.beyond.is_none_or(|beyond| beyond < change.transition.at)
            && !self.known.contains(&Key::of(change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::{License, Transition};

    fn change(second: i64) -> FleetChange {
        let at = Timestamp::from_second(second).unwrap();
        let transition = Transition { at, change: Change::State, from: None, to: "up".to_owned() };
        let (instance_id, key_id) = (Uuid::from_u128(second as u128), Uuid::nil());
        FleetChange { instance_id, custom_id: None, key_id, license: License::None, transition }
    }

    fn changes(seconds: impl DoubleEndedIterator<Item = i64>) -> Vec<FleetChange> {
        seconds.rev().map(change).collect()
    }

    fn seconds(changes: &[FleetChange]) -> Vec<i64> {
        changes.iter().map(|change| change.transition.at.as_second()).collect()
    }

    #[test]
    fn what_was_not_there_before_is_new_however_old() {
        let (latest, new) = Latest::of(changes([10, 20, 30].into_iter()), None);
        assert!(new.is_empty(), "at the first look nothing is");
        let (latest, new) = Latest::of(changes([5, 10, 20, 25, 30, 40].into_iter()), Some(latest));
        assert_eq!(seconds(&new), [40, 25, 5]);
        let (_, new) = Latest::of(changes([5, 10, 20, 25, 30, 40].into_iter()), Some(latest));
        assert!(new.is_empty());
    }

    #[test]
    fn what_moves_up_where_others_were_forgotten_is_not_new() {
        let (latest, _) = Latest::of(changes(100..150), None);
        let (latest, new) = Latest::of(changes(90..140), Some(latest));
        assert!(new.is_empty(), "{:?}", seconds(&new));
        let (_, new) = Latest::of(changes(91..141), Some(latest));
        assert_eq!(seconds(&new), [140]);
    }
}
