//! The newest release, and how it does compared with the one before it.

use jiff::civil::Date;
use serde::Serialize;

use super::releases::ReleaseRow;
use super::share::releases_out;
use super::uptake::Uptake;
use crate::receiver::store::{CensusRow, days_between};

/// The newest release in use that is more than a pre-release.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Newest {
    pub(crate) release: String,
    pub(crate) servers: i64,
    pub(crate) share: Option<f64>,
    /// Days since it was first counted; `None` where it was in use before the census began.
    pub(crate) days: Option<i64>,
    /// `None` where nobody knows how far that one was after as many days.
    pub(crate) before: Option<ReleaseBefore>,
}

/// The release before the newest.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ReleaseBefore {
    pub(crate) release: String,
    /// Its share of the active servers as many days after it was first counted.
    pub(crate) share: f64,
}

impl Newest {
    /// `rows` are those of `day`.
    pub(super) fn of(
        rows: &[&CensusRow],
        day: Option<Date>,
        releases: &[ReleaseRow],
        curves: &[Uptake],
    ) -> Option<Self> {
        let newest = *releases_out(rows).first()?;
        let row = releases.iter().find(|row| row.release.as_deref() == Some(newest))?;
        let days = row.first_day.zip(day).map(|(first, day)| days_between(first, day));
        // Curves are sorted, the newest release first.
        let before = curves.iter().skip_while(|curve| curve.release != newest).nth(1);
        let before = before.zip(days).and_then(|(curve, days)| {
            let share = curve.share.get(usize::try_from(days).ok()?).copied().flatten()?;
            Some(ReleaseBefore { release: curve.release.clone(), share })
        });
        Some(Self { release: newest.to_owned(), servers: row.servers, share: row.share, days, before })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::receiver::adoption::releases::releases;
    use crate::receiver::store::{FirstDays, Kind, Release};

    const TODAY: Date = Date::constant(2027, 1, 31);

    fn row(version: &str, count: i64) -> CensusRow {
        let kind = Kind { build_version: version.to_owned(), ..Kind::default() };
        CensusRow { day: TODAY, release: Release::of(version), kind, count }
    }

    fn curve(release: &str, share: &[Option<f64>]) -> Uptake {
        Uptake { release: release.to_owned(), first_day: date(2027, 1, 1), share: share.into() }
    }

    fn newest(rows: &[CensusRow], first_days: &[(&str, Date)], curves: &[Uptake]) -> Option<Newest> {
        let rows: Vec<_> = rows.iter().collect();
        let named = ["2.4", "2.3", "2.2", "main"].map(str::to_owned);
        let first = FirstDays {
            census: Some(date(2026, 1, 1)),
            releases: first_days.iter().map(|(release, day)| ((*release).to_owned(), *day)).collect(),
        };
        Newest::of(&rows, Some(TODAY), &releases(&rows, None, &named, &first), curves)
    }

    #[test]
    fn the_newest_release_is_compared_with_the_one_before_at_its_age() {
        let rows = [row("2.4.0-rc.1", 1), row("2.3.1", 5), row("2.3.0", 1), row("2.2.0", 2), row("main", 1)];
        let first = [("2.3", date(2027, 1, 29)), ("2.2", date(2027, 1, 1))];
        let curves = [
            curve("2.4", &[Some(0.1)]),
            curve("2.3", &[Some(0.2), Some(0.4), Some(0.6)]),
            curve("2.2", &[Some(0.1), None, Some(0.3), Some(0.9)]),
        ];
        let found = newest(&rows, &first, &curves).unwrap();
        let before = ReleaseBefore { release: "2.2".to_owned(), share: 0.3 };
        let expected = Newest {
            release: "2.3".to_owned(),
            servers: 6,
            share: Some(0.6),
            days: Some(2),
            before: Some(before),
        };
        assert_eq!(found, expected);
        // A day later the one before was not counted on that day of its life.
        let later = [("2.3", date(2027, 1, 30)), first[1]];
        assert_eq!(newest(&rows, &later, &curves).unwrap().before, None);
    }

    #[test]
    fn nothing_is_said_that_nobody_knows() {
        let old = newest(&[row("2.3.1", 5)], &[("2.3", date(2026, 1, 1))], &[]).unwrap();
        assert_eq!((old.days, old.before), (None, None));
        assert_eq!(newest(&[row("main", 5), row("2.4.0-rc.1", 1)], &[], &[]), None);
        assert_eq!(newest(&[], &[], &[]), None);
    }
}
