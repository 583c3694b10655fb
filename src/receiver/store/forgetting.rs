//! Deleting events and instances by hand, and everything by age.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::error::StoreError;
use super::filter::InstanceFilter;
use super::instance::State;

/// Number of its frequencies for which a silent run is kept at least, however short the retention. After
/// three of them any judgement takes the run for silent.
pub(super) const KEPT_FREQUENCIES: i32 = 3;

/// The instances that are to be forgotten.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Doomed {
    /// One, whatever its state.
    One(Uuid),
    /// All that match.
    Matching(Box<InstanceFilter>),
    /// All that belong to this key.
    OfKey(Uuid),
    /// Those that belong to this key and have been down or ended since before this time.
    SilentOfKey(Uuid, Timestamp),
}

impl Doomed {
    /// The time after which an instance must be due, so that its state holds at `now`. An event makes its instance due,
    /// so one that was heard since it was judged to be silent is not forgotten. The margin is for receivers whose clocks
    /// differ. `None` where an instance is forgotten although it is heard from.
    pub(super) fn judged_beyond(&self, now: Timestamp) -> Option<Timestamp> {
        let is_silent = match self {
            Self::One(_) | Self::OfKey(_) => false,
            Self::Matching(filter) => selects_silence(filter),
            Self::SilentOfKey(..) => true,
        };
        is_silent.then(|| now.saturating_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX))
    }
}

/// Whether a filter, or one of those within it, selects instances for being silent.
fn selects_silence(filter: &InstanceFilter) -> bool {
    let by_state = !filter.states.is_empty() && !filter.states.contains(&State::Up);
    by_state || filter.last_seen_before.is_some() || filter.any_of.iter().flatten().any(selects_silence)
}

/// What one piece of forgetting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Number of instances that were forgotten.
    pub(crate) forgotten: u64,
    /// Where the next piece goes on; `None` where no instance is left.
    pub(crate) next: Option<Uuid>,
}

/// Deletes what is no longer needed.
#[async_trait]
pub(crate) trait Forgetting: Send + Sync {
    /// Deletes what is older than `retention` at `now`: events, transitions and delivered alerts; mutes that
    /// ended more than a week ago; instances that were down or had ended before that, or whose last event was imported and is as old; and silent runs, except the one by which an instance was last
    /// judged. A store may keep events for up to a day longer.
    async fn tidy(&self, now: Timestamp, retention: Duration) -> Result<(), StoreError>;

    /// Number of instances that would be forgotten.
    async fn count_doomed(&self, doomed: &Doomed, now: Timestamp) -> Result<u64, StoreError>;

    /// Forgets the next instances after the id `after`, a piece of them in one transaction: with their runs, transitions
    /// and undelivered alerts, and with their events if these are asked for. Events of these instances wait for the end
    /// of the transaction, and make them anew.
    async fn forget(
        &self,
        doomed: &Doomed,
        now: Timestamp,
        after: Option<Uuid>,
        with_events: bool,
    ) -> Result<Piece, StoreError>;

    /// Deletes an event; what was concluded from it stays. Returns `false` if there is no such event.
    async fn delete_event(&self, instance_id: Uuid, id: Uuid) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_silence_is_one_wherever_it_is_said() {
        let now = Timestamp::UNIX_EPOCH;
        let all = InstanceFilter::default;
        let down = || InstanceFilter { states: vec![State::Down], ..all() };
        let silent = || InstanceFilter { last_seen_before: Some(now), ..all() };
        let any_of = |filters: Vec<InstanceFilter>| InstanceFilter { any_of: Some(filters), ..all() };
        let is_judged = |filter| Doomed::Matching(Box::new(filter)).judged_beyond(now).is_some();
        for of_silence in
            [down(), silent(), any_of(vec![all(), down()]), any_of(vec![any_of(vec![silent()])])]
        {
            assert!(is_judged(of_silence.clone()), "{of_silence:?}");
        }
        let up_too = InstanceFilter { states: vec![State::Down, State::Up], ..all() };
        for other in [all(), any_of(vec![]), any_of(vec![all(), up_too.clone()]), up_too] {
            assert!(!is_judged(other.clone()), "{other:?}");
        }
    }
}
