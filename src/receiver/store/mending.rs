//! Mending times that lie in the future: a clock that was ahead left them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::error::StoreError;
use super::outages::{Outage, Reading, Standing, TOLERANCE, spanning};

/// A deadline further ahead than this was judged by a clock that was ahead: two frequencies of a month, two months of
/// outages, and the time for which a loss is remembered.
const FARTHEST_CHECK: SignedDuration = SignedDuration::from_hours(200 * 24);

/// A deadline after this means that nothing is awaited, in Unix seconds.
const NEVER: i64 = 253_370_764_800;

/// Longest pause between two tries to deliver an alert.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// The times of a run.
pub(super) const RUN_TIMES: [&str; 11] = [
    "first_seen_at",
    "last_seen_at",
    "ended_at",
    "last_sequence_at",
    "frequency_at",
    "first_update_at",
    "last_update_at",
    "facts_at",
    "lost_at",
    "forked_at",
    "imported_until",
];

/// The times of an instance, except the one at which it is due.
pub(super) const INSTANCE_TIMES: [&str; 6] =
    ["first_seen_at", "last_seen_at", "state_since", "judged_at", "last_loss_at", "begins_since"];

/// The times of a key, except those that lie ahead by their meaning.
pub(super) const KEY_TIMES: [&str; 4] = ["created_at", "last_used_at", "revoked_at", "flooded_at"];

/// Mends what a clock that was ahead left behind.
#[async_trait]
pub(crate) trait Mending: Send + Sync {
    /// Brings back the mark, the outages, and every time of events, runs, instances, transitions, alerts, mutes and keys that
    /// lies in the future. Instances with such times become due. Returns the number of rows that were changed.
    ///
    /// A clock that is behind the mark mends nothing, unless it `is_believed`. Nor does one that is not set.
    async fn mend(
        &self,
        reading: Reading,
        outage_after: Duration,
        is_believed: bool,
    ) -> Result<u64, StoreError>;
}

/// How times are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mend {
    /// Times after this lie in the future.
    pub(super) future: Timestamp,
    /// How far the clock was ahead: as far as the mark is.
    pub(super) ahead: SignedDuration,
    /// No time is brought back to before this.
    pub(super) earliest: Timestamp,
    pub(super) now: Timestamp,
    /// The mark is brought back, too.
    pub(super) brings_back: bool,
}

impl Mend {
    /// Deadlines between these two are too far ahead.
    pub(super) fn too_far(&self) -> [Timestamp; 2] {
        let never = Timestamp::from_second(NEVER).unwrap_or(Timestamp::MAX);
        [self.now.saturating_add(FARTHEST_CHECK).unwrap_or(Timestamp::MAX), never]
    }

    /// The latest time at which an alert can be tried next.
    pub(super) fn latest_try(&self) -> Timestamp {
        self.future.saturating_add(LONGEST_PAUSE).unwrap_or(Timestamp::MAX)
    }
}

/// How times are mended by a clock that shows `now`, or `None` where they are not.
///
/// Times move back as the mark does, and so keep their order and what lies between them; but none of them to before the
/// last mark of a clock that was right.
pub(super) fn plan(
    standing: Standing,
    is_believed: bool,
    last: Option<Timestamp>,
    outages: &[Outage],
    now: Timestamp,
) -> Option<Mend> {
    match standing {
        Standing::NotSet => return None,
        Standing::Behind { .. } if !is_believed => return None,
        Standing::Behind { .. } | Standing::Ahead | Standing::Right => {}
    }
    let ahead = last.map_or(SignedDuration::ZERO, |last| last.duration_since(now)).max(SignedDuration::ZERO);
    Some(Mend {
        future: now.saturating_add(TOLERANCE).unwrap_or(Timestamp::MAX),
        ahead,
        earliest: spanning(outages, now).map_or(now, |outage| outage.began_at.min(now)),
        now,
        brings_back: standing != Standing::Right,
    })
}
