//! Bounds the events between their arrival and their answer. An event beyond the bound is turned away before it is even
//! read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most events between arrival and answer. Some 300 ms of what a machine of two processors stores, and with events of the
/// largest size 128 MiB. A sender does not come again, so a fleet that begins at once is better kept waiting for a while.
const MOST: usize = 8 * 1024;

/// The events between arrival and answer. Clones count the same ones.
#[derive(Clone)]
pub(crate) struct Backlog(Arc<Semaphore>);

/// One event in the backlog. Held for as long as a request waits for its answer or the event waits to be stored.
#[derive(Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit);

impl Backlog {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Takes a slot; `None` where all are taken.
    pub(crate) fn enter(&self) -> Option<Slot> {
        self.0.clone().try_acquire_owned().ok().map(Slot)
    }

    /// Number of slots that are taken.
    pub(crate) fn count(&self) -> usize {
        MOST - self.0.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_there_is_no_slot_until_one_is_given_back() {
        let backlog = Backlog::new();
        let mut slots: Vec<Slot> = (0..MOST).map(|_| backlog.enter().unwrap()).collect();
        assert_eq!(backlog.count(), MOST);
        assert!(backlog.enter().is_none());
        slots.pop();
        assert!(backlog.enter().is_some());
    }
}
