//! A destination as the scheduler sees it, with the decision whether a slot that fell due is used (spec §3).

use std::time::{Duration, SystemTime};

use actix::Recipient;
use tokio::time::Instant;

use super::config::DestinationName;
use super::destination::Deliver;

/// Time after a delivered event within which a slot is skipped, because the event already carried the whole state.
const QUIET: Duration = Duration::from_secs(60);

/// Destination from the scheduler's point of view.
pub(crate) struct Scheduled {
    pub(super) name: DestinationName,
    pub(super) frequency: Duration,
    pub(super) actor: Recipient<Deliver>,
    /// Time of the next update; `None` before `begin`.
    pub(super) next_slot: Option<SystemTime>,
    last_event: Option<LastEvent>,
    /// Whether a slot fell due while the outcome of the last event was not known. The slot is used if that event
    /// fails.
    has_open_slot: bool,
}

/// Last event that was handed to a destination.
struct LastEvent {
    sequence: u64,
    /// Time at which the event was handed over, in wall-clock and in monotonic time.
    at: (SystemTime, Instant),
    /// Whether the destination accepted the event; `None` while that is not known.
    is_delivered: Option<bool>,
}

impl LastEvent {
    /// Whether less than [`QUIET`] has passed since the event. Both clocks have to agree: the wall clock alone
    /// counts a jump of the clock and the time in which the machine slept.
    fn is_recent(&self, (wall, monotonic): (SystemTime, Instant)) -> bool {
        monotonic.duration_since(self.at.1) < QUIET
            && wall.duration_since(self.at.0).is_ok_and(|elapsed| elapsed < QUIET)
    }
}

impl Scheduled {
    pub(crate) fn new(name: DestinationName, frequency: Duration, actor: Recipient<Deliver>) -> Self {
        Self { name, frequency, actor, next_slot: None, last_event: None, has_open_slot: false }
    }

    /// Remembers an event that is handed over.
    pub(super) fn remember_event(&mut self, sequence: u64, now: (SystemTime, Instant)) {
        self.last_event = Some(LastEvent { sequence, at: now, is_delivered: None });
    }

    /// Learns the outcome of an event. Returns whether an open slot is used now, because the last event failed.
    pub(super) fn learn_outcome(&mut self, sequence: u64, is_delivered: bool) -> bool {
        match self.last_event.as_mut().filter(|last| last.sequence == sequence) {
            Some(last) => {
                last.is_delivered = Some(is_delivered);
                std::mem::take(&mut self.has_open_slot) && !is_delivered
            }
            None => false,
        }
    }

    /// Whether a slot that fell due is used. It is not, if the destination accepted another event within [`QUIET`].
    /// It stays open, if the outcome of such an event is not known yet.
    pub(super) fn uses_slot(&mut self, now: (SystemTime, Instant)) -> bool {
        let last = self.last_event.as_ref().filter(|last| last.is_recent(now));
        match last.map(|last| last.is_delivered) {
            Some(Some(true)) => false,
            Some(None) => {
                self.has_open_slot = true;
                false
            }
            Some(Some(false)) | None => true,
        }
    }
}
