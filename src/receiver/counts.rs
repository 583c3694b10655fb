//! The fleet in numbers: counted by the store, and kept for a moment, so that all who ask meanwhile share one count.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clock::ReceiverClock;
use super::store::{Group, StoreError};
use super::store_handle::{QUERY_LIMIT, StoreHandle};

/// How much older than it took to make a count may get. However many ask, the store counts for a twentieth of the time.
const TIMES_OLDER: u32 = 20;

/// The last count, shared by clones.
#[derive(Clone)]
pub(crate) struct Counts {
    store: StoreHandle,
    clock: ReceiverClock,
    last: Arc<Mutex<Option<Count>>>,
}

#[derive(Clone)]
struct Count {
    groups: Result<Arc<[Group]>, StoreError>,
    at: Timestamp,
    began: Instant,
    ended: Instant,
}

impl Counts {
    pub(crate) fn new(store: StoreHandle, clock: ReceiverClock) -> Self {
        Self { store, clock, last: Arc::default() }
    }

    /// The fleet in numbers, and when it was counted.
    pub(crate) async fn ask(&self) -> Result<(Arc<[Group]>, Timestamp), StoreError> {
        let asked = self.clock.monotonic();
        // While a count is made, others wait for it.
        let mut last = self.last.lock().await;
        let count = match last.take().filter(|count| count.holds_for(asked)) {
            Some(count) => count,
            None => self.count().await,
        };
        *last = Some(count.clone());
        count.groups.map(|groups| (groups, count.at))
    }

    async fn count(&self) -> Count {
        let (at, began) = (self.clock.timestamp(), self.clock.monotonic());
        let groups = self.store.ask(QUERY_LIMIT, |store| async move { store.summary(at).await }).await;
        Count { groups: groups.map(Arc::from), at, began, ended: self.clock.monotonic() }
    }

    /// Forgets the last count: something is known to have changed.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

impl Count {
    fn holds_for(&self, asked: Instant) -> bool {
        match self.groups {
            Ok(_) => asked.saturating_duration_since(self.ended) < TIMES_OLDER * (self.ended - self.began),
            // A failure is for those alone who were waiting for it.
            Err(_) => asked < self.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::running::clock::Clock;

    fn count(groups: Result<Arc<[Group]>, StoreError>) -> Count {
        let began = Clock::system().monotonic();
        Count { groups, at: Timestamp::UNIX_EPOCH, began, ended: began + Duration::from_millis(100) }
    }

    #[test]
    fn a_count_holds_for_twenty_times_what_it_took() {
        let count = count(Ok(Arc::default()));
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
