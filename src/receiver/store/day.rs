//! Days in UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// More days than lie between the first and the last.
const ALL_DAYS: i64 = 10_000_000;

/// The day of a time.
pub(crate) fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// The day that is this many days later, or earlier where the number is negative; at the ends of time the first or the
/// last day.
pub(crate) fn days_after(day: Date, days: i64) -> Date {
    day.saturating_add(SignedDuration::from_hours(24 * days.clamp(-ALL_DAYS, ALL_DAYS)))
}

/// Number of days from one day to another, negative where the other is earlier.
pub(crate) fn days_between(day: Date, other: Date) -> i64 {
    day.duration_until(other).as_hours() / 24
}

/// The first moment of a day.
pub(crate) fn start_of(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_in_utc() {
        let midnight = start_of(date(2027, 3, 1));
        assert_eq!(midnight.to_string(), "2027-03-01T00:00:00Z");
        assert_eq!(day_of(midnight), date(2027, 3, 1));
        assert_eq!(day_of(midnight - SignedDuration::from_nanos(1)), date(2027, 2, 28));
    }

    #[test]
    fn days_are_added_across_months_and_stay_within_time() {
        assert_eq!(days_after(date(2027, 2, 28), 1), date(2027, 3, 1));
        assert_eq!(days_after(date(2027, 3, 1), -366), date(2026, 2, 28));
        assert_eq!(days_after(Date::MAX, 1), Date::MAX);
        assert_eq!(days_after(Date::MIN, i64::MIN), Date::MIN);
        assert_eq!(days_after(Date::MIN, ALL_DAYS), Date::MAX);
        assert_eq!(days_between(date(2026, 11, 2), date(2026, 11, 26)), 24);
        assert_eq!(days_between(date(2026, 11, 26), date(2026, 11, 2)), -24);
    }
}
