//! The frequency: the time between two updates to a destination, its bounds and its default (spec §2).

use std::time::Duration;

use super::duration;

pub(super) const DEFAULT_FREQUENCY: Duration = Duration::from_secs(8 * 60 * 60);
const SHORTEST: Duration = Duration::from_secs(60 * 60);
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Description of the values that a setting accepts.
pub(super) const ACCEPTS: &str = "a duration from 1h to 24h, such as 90m or 1h30m";

/// Reads a frequency; `None` where `text` is no duration or out of bounds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    duration::parse(text.trim()).and_then(in_range)
}

/// Returns `frequency` if it is within the bounds.
pub(super) fn in_range(frequency: Duration) -> Option<Duration> {
    Some(frequency).filter(|frequency| (SHORTEST..=LONGEST).contains(frequency))
}
