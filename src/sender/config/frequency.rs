//! How often a destination is sent an update: bounds, default, and the text of a setting.

use std::time::Duration;

use super::duration;

pub(super) const DEFAULT_FREQUENCY: Duration = Duration::from_secs(8 * 60 * 60);
const SHORTEST: Duration = Duration::from_secs(60 * 60);
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a setting accepts.
pub(super) const ACCEPTS: &str = "a duration from 1h to 24h, such as 90m or 1h30m";

/// The frequency in `text`; `None` where it is no duration or out of bounds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    duration::parse(text.trim()).and_then(in_range)
}

/// `frequency`, if it is within the bounds.
pub(super) fn in_range(frequency: Duration) -> Option<Duration> {
    Some(frequency).filter(|frequency| (SHORTEST..=LONGEST).contains(frequency))
}
