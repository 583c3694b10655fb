//! Arithmetic with times that every store can hold.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The time that lies `by` before `now`, but no earlier than 1970: no event is older than that, and
/// PostgreSQL does not know every year that a [`Timestamp`] does.
pub(crate) fn before(now: Timestamp, by: Duration) -> Timestamp {
    let earlier = SignedDuration::try_from(by).ok().and_then(|by| now.checked_sub(by).ok());
    earlier.map_or(Timestamp::UNIX_EPOCH, |earlier| earlier.max(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_before_1970_is_asked_of_a_store() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(before(now, Duration::from_secs(400)), Timestamp::from_second(600).unwrap());
        assert_eq!(before(now, Duration::from_secs(1_001)), Timestamp::UNIX_EPOCH);
        assert_eq!(before(now, Duration::MAX), Timestamp::UNIX_EPOCH);
    }
}
