//! How long a run may be silent.

use jiff::{SignedDuration, Timestamp};

use crate::receiver::store::{DEFAULT_FREQUENCY, Outage, Run};

/// The time that is `by` after `time`, as far as there is one.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Bounds of a frequency that is learned from the gaps between updates, in seconds: those of a sender.
const LEARNED: std::ops::RangeInclusive<i64> = 60 * 60..=24 * 60 * 60;

/// Least time by which a report may be overdue; a twentieth of the frequency where that is longer.
const SHORTEST_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// When a silence has lasted too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// After one frequency and the grace.
    pub(crate) late: Timestamp,
    /// After two frequencies and the grace.
    pub(crate) down: Timestamp,
}

/// The time by which a report may be overdue.
pub(crate) fn grace(frequency: SignedDuration) -> SignedDuration {
    SHORTEST_GRACE.max(frequency / 20)
}

/// The deadlines of `run`, as they are known at `now`.
pub(super) fn deadlines(run: &Run, outages: &[Outage], now: Timestamp) -> Deadlines {
    deadlines_after(run.last_seen_at, frequency(run), outages, now)
}

/// The deadlines of what was last heard at `last_seen` and reports every `frequency` seconds.
pub(crate) fn deadlines_after(
    last_seen: Timestamp,
    frequency: i32,
    outages: &[Outage],
    now: Timestamp,
) -> Deadlines {
    let frequency = SignedDuration::from_secs(i64::from(frequency));
    let grace = grace(frequency);
    let after = |silence| deadline(last_seen, silence, outages, now);
    Deadlines { late: after(frequency + grace), down: after(frequency * 2 + grace) }
}

/// Time after which an imported instance is judged again, at least.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// The deadlines of a run whose latest event was imported. Nobody could have heard it after the file was copied, so its
/// silence counts up to `last_sight`, when its instance was last heard by whatever run. What had not passed by then lies
/// ahead, however long ago that was.
pub(super) fn deadlines_of_imported(run: &Run, last_sight: Timestamp, now: Timestamp) -> Deadlines {
    let Deadlines { late, down } = deadlines(run, &[], now);
    let unheard_for = now.duration_since(last_sight);
    let ahead = |deadline| match deadline <= last_sight {
        true => deadline,
        false => later(deadline, unheard_for).max(later(now, LOOK_AGAIN)),
    };
    Deadlines { late: ahead(late), down: ahead(down) }
}

/// Seconds between two updates: as the sender says, else as the updates were apart, else a day.
pub(super) fn frequency(run: &Run) -> i32 {
    if let Some(frequency) = run.frequency {
        return frequency;
    }
    let (Some(first), Some(last)) = (run.first_update_at, run.last_update_at) else {
        return DEFAULT_FREQUENCY;
    };
    if run.updates < 2 {
        return DEFAULT_FREQUENCY;
    }
    let mean = last.duration_since(first).as_secs() / i64::from(run.updates - 1);
    i32::try_from(mean.clamp(*LEARNED.start(), *LEARNED.end())).unwrap_or(DEFAULT_FREQUENCY)
}

/// The moment at which the silence since `last_seen` has lasted for `silence`, outages not counted.
fn deadline(last_seen: Timestamp, silence: SignedDuration, outages: &[Outage], now: Timestamp) -> Timestamp {
    let mut deadline = later(last_seen, silence);
    for outage in outages {
        let (began_at, ended_at) = (outage.began_at.max(last_seen), outage.ended_at.min(now));
        if began_at >= deadline {
            break;
        }
        if ended_at > began_at {
            deadline = later(deadline, ended_at.duration_since(began_at));
        }
    }
    deadline
}
