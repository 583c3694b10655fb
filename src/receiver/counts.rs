//! The fleet in numbers: counted by the store, and kept for a moment, so that all who ask meanwhile share one count.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clock::ReceiverClock;
use super::query::flag::Flag;
use super::query::instances::InstanceQuery;
use super::store::{FleetStore, Group, Instance, InstanceFilter, Sort, State, StoreError, day_of, start_of};
use super::store_handle::{QUERY_LIMIT, StoreHandle};

/// How much older than it took to make a count may get. However many ask, the store counts for a twentieth of the time.
const TIMES_OLDER: u32 = 20;

/// Time limit of the count of the muted, which depends on how many mutes there are.
const MUTED_LIMIT: Duration = Duration::from_secs(2);

/// The fleet in numbers, at a moment.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) at: Timestamp,
    pub(crate) groups: Arc<[Group]>,
    /// Of each state that an instance is in, the one that has been in it for longest.
    pub(crate) longest: Vec<Instance>,
    /// Number of those that ended on this day, in UTC.
    pub(crate) ended_today: i64,
    /// Number of those of which nobody is told. `None` where it takes too long to count them.
    pub(crate) muted: Option<i64>,
}

/// The last count, shared by clones.
#[derive(Clone)]
pub(crate) struct Counts {
    store: StoreHandle,
    clock: ReceiverClock,
    last: Arc<Mutex<Option<Count>>>,
}

#[derive(Clone)]
struct Count {
    tally: Result<Arc<Tally>, StoreError>,
    began: Instant,
    ended: Instant,
}

impl Counts {
    pub(crate) fn new(store: StoreHandle, clock: ReceiverClock) -> Self {
        Self { store, clock, last: Arc::default() }
    }

    /// The groups of the fleet, and when they were counted.
    pub(crate) async fn ask(&self) -> Result<(Arc<[Group]>, Timestamp), StoreError> {
        self.tally().await.map(|tally| (tally.groups.clone(), tally.at))
    }

    /// The fleet in numbers.
    pub(crate) async fn tally(&self) -> Result<Arc<Tally>, StoreError> {
        let asked = self.clock.monotonic();
        // While a count is made, others wait for it.
        let mut last = self.last.lock().await;
        let count = match last.take().filter(|count| count.holds_for(asked)) {
            Some(count) => count,
            None => self.count().await,
        };
        *last = Some(count.clone());
        count.tally
    }

    async fn count(&self) -> Count {
        let began = self.clock.monotonic();
        let tally = self.count_all(self.clock.timestamp()).await;
        Count { tally: tally.map(Arc::new), began, ended: self.clock.monotonic() }
    }

    async fn count_all(&self, at: Timestamp) -> Result<Tally, StoreError> {
        let count = |store: Arc<dyn FleetStore>| async move {
            let groups = store.summary(at).await?;
            let ended_today = store.count_ended(start_of(day_of(at))).await?;
            let mut longest = Vec::new();
            for state in State::ALL {
                let of_state = InstanceFilter { states: vec![state], ..InstanceFilter::default() };
                longest.extend(store.instances(&of_state, Sort::Silent, None, 1).await?);
            }
            Ok((Arc::from(groups), longest, ended_today))
        };
        let (groups, longest, ended_today) = self.store.ask(QUERY_LIMIT, count).await?;
        let muted = |store: Arc<dyn FleetStore>| async move {
            let mutes = store.mutes().await?;
            if mutes.iter().all(|mute| mute.until <= at) {
                return Ok(0);
            }
            let muted = InstanceQuery { flags: vec![Flag::Muted], ..InstanceQuery::default() };
            let counts = store.count_by_state(&muted.filter(at, &mutes)).await?;
            Ok(counts.iter().map(|(_, count)| count).sum())
        };
        let muted = self.store.ask(MUTED_LIMIT, muted).await.ok();
        Ok(Tally { at, groups, longest, ended_today, muted })
    }

    /// Forgets the last count: something is known to have changed.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

impl Count {
    fn holds_for(&self, asked: Instant) -> bool {
        match self.tally {
            Ok(_) => asked.saturating_duration_since(self.ended) < TIMES_OLDER * (self.ended - self.began),
            // A failure is for those alone who were waiting for it.
            Err(_) => asked < self.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::clock::Clock;

    fn count(tally: Result<Tally, StoreError>) -> Count {
        let began = Clock::system().monotonic();
        Count { tally: tally.map(Arc::new), began, ended: began + Duration::from_millis(100) }
    }

    #[test]
    fn a_count_holds_for_twenty_times_what_it_took() {
        let (groups, longest) = (Arc::default(), Vec::new());
        let at = Timestamp::UNIX_EPOCH;
        let count = count(Ok(Tally { at, groups, longest, ended_today: 0, muted: None }));
        assert!(count.holds_for(count.began));
        assert!(count.holds_for(count.ended + Duration::from_millis(1_999)));
        assert!(!count.holds_for(count.ended + Duration::from_millis(2_000)));
    }

    #[test]
    fn a_failure_holds_for_those_who_waited_for_it() {
        let count = count(Err(StoreError::Unavailable(String::new())));
        assert!(count.holds_for(count.began));
        assert!(!count.holds_for(count.ended));
    }
}
