//! What the receiver counts (receiver §5).

use std::time::Duration;

/// Counters that every thread may move.
#[derive(Clone, Default)]
pub(crate) struct Metrics {}

impl Metrics {
    /// An event was stored. Reasons that are not in the contract count as `other`.
    pub(crate) fn stored(&self, _reason: &str) {}

    /// An event had been stored before.
    pub(crate) fn repeated(&self) {}

    /// A request was refused; `cause` is one of a fixed set of words, such as `checksum`.
    pub(crate) fn rejected(&self, _cause: &'static str) {}

    /// How long it took from an event's arrival to its answer.
    pub(crate) fn answered(&self, _took: Duration) {}

    /// The store did not do what it was asked.
    pub(crate) fn store_failed(&self) {}
}
