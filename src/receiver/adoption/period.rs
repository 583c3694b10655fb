//! The days that are asked for.

use jiff::civil::Date;

use crate::receiver::store::{days_after, days_between};

/// Number of days of the longest period: as long as a census is kept.
const LONGEST: i64 = 5 * 366;

/// Number of days, unless a request asks for others.
const USUAL: i64 = 90;

/// Number of days after its first for which a release has a curve.
pub(super) const UPTAKE_DAYS: i64 = 90;

/// Days from the first to the last, both included; none where the first is after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: Date,
    pub(crate) to: Date,
}

impl Period {
    /// The period of a request. What lies more than five years before its end is left out.
    pub(crate) fn of(from: Option<Date>, to: Option<Date>, today: Date) -> Self {
        let to = to.unwrap_or(today);
        let from = from.unwrap_or_else(|| days_after(to, 1 - USUAL));
        Self { from: from.max(days_after(to, 1 - LONGEST)), to }
    }

    fn length(self) -> i64 {
        (days_between(self.from, self.to) + 1).max(0)
    }

    /// The period of the same length that ends when this one begins.
    pub(crate) fn before(self) -> Self {
        Self { from: days_after(self.from, -self.length()), to: days_after(self.from, -1) }
    }

    /// The first day of which numbers by release are needed, so that releases that appeared before the period have a
    /// curve.
    pub(crate) fn first_point(self) -> Date {
        days_after(self.from, -UPTAKE_DAYS)
    }

    /// The first day that matters at all.
    pub(crate) fn first_day(self) -> Date {
        self.first_point().min(self.before().from)
    }

    pub(crate) fn contains(self, day: Date) -> bool {
        (self.from..=self.to).contains(&day)
    }

    pub(super) fn days(self) -> impl Iterator<Item = Date> {
        (0..self.length()).map(move |number| days_after(self.from, number))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_period_has_both_ends_and_one_of_the_same_length_before_it() {
        let today = date(2026, 11, 26);
        let period = Period::of(None, None, today);
        assert_eq!((period.from, period.to), (date(2026, 8, 29), today));
        assert_eq!(period.days().count(), 90);
        let before = period.before();
        assert_eq!((before.from, before.to), (date(2026, 5, 31), date(2026, 8, 28)));
        let day = Period::of(Some(today), Some(today), today);
        assert_eq!(day.before().from, day.before().to);
        assert!(day.contains(today) && !day.contains(date(2026, 11, 25)));
    }

    #[test]
    fn a_period_is_never_longer_than_a_census_is_kept_and_may_be_empty() {
        let today = date(2026, 11, 26);
        assert_eq!(Period::of(Some(Date::MIN), None, today).from, days_after(today, 1 - LONGEST));
        for (from, to) in [(Date::MIN, Date::MAX), (Date::MAX, Date::MAX), (Date::MIN, Date::MIN)] {
            let period = Period::of(Some(from), Some(to), today);
            assert!(period.days().count() as i64 <= LONGEST, "{period:?}");
            assert!(period.before().days().count() as i64 <= LONGEST, "{period:?}");
        }
        let empty = Period::of(Some(date(2026, 11, 27)), None, today);
        assert_eq!((empty.days().count(), empty.before().days().count()), (0, 0));
        assert!(!empty.contains(today) && !empty.contains(empty.from));
    }
}
