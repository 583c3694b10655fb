//! The fleet in numbers: counted by the store, and kept for a moment, so that whoever asks meanwhile shares one count.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::shared::Shared;
use super::store::{Group, StoreError};

/// A count may be older by so many times what it took: however many ask, the store counts for a twentieth of the time.
const TIMES_OLDER: u32 = 20;

/// The last count.
#[derive(Default)]
pub(crate) struct Counts(Mutex<Option<Count>>);

#[derive(Clone)]
struct Count {
    groups: Result<Arc<[Group]>, StoreError>,
    at: Timestamp,
    began: Instant,
    ended: Instant,
}

impl Counts {
    /// The fleet in numbers, and when it was counted.
    pub(crate) async fn ask(&self, shared: &Shared) -> Result<(Arc<[Group]>, Timestamp), StoreError> {
        let asked = shared.clock.monotonic();
        // Whoever finds somebody counting waits for that.
        let mut last = self.0.lock().await;
        let count = match last.take().filter(|count| count.holds_for(asked)) {
            Some(count) => count,
            None => Count::make(shared).await,
        };
        *last = Some(count.clone());
        count.groups.map(|groups| (groups, count.at))
    }

    /// Something is known to have changed.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

impl Count {
    async fn make(shared: &Shared) -> Self {
        let (at, began) = (shared.now(), shared.clock.monotonic());
        let groups = shared.ask(|store| async move { store.summary(at).await }).await;
        Self { groups: groups.map(Arc::from), at, began, ended: shared.clock.monotonic() }
    }

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
