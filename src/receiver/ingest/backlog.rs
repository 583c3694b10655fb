//! How many events are between their arrival and their answer: there is a bound, and whoever comes beyond it is turned
//! away before the event is even read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Some 300 ms of what a machine of two processors stores, and with events of the largest size 128 MiB. A sender does
/// not come again, so that a fleet that begins at once is better kept waiting for a while.
const MOST: usize = 8 * 1024;

#[derive(Clone)]
pub(crate) struct Backlog(Arc<Semaphore>);

/// Held by an event for as long as somebody waits for its answer or it waits to be stored.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit);

impl Backlog {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// `None` where all places are taken.
    pub(crate) fn enter(&self) -> Option<Place> {
        self.0.clone().try_acquire_owned().ok().map(Place)
    }

    /// How many places are taken.
    pub(crate) fn count(&self) -> usize {
        MOST - self.0.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_beyond_the_bound_finds_no_place_until_one_is_given_back() {
        let backlog = Backlog::new();
        let mut places: Vec<Place> = (0..MOST).map(|_| backlog.enter().unwrap()).collect();
        assert_eq!(backlog.count(), MOST);
        assert!(backlog.enter().is_none());
        places.pop();
        assert!(backlog.enter().is_some());
    }
}
