//! The figures of a period, each against the period before, or against its first day where nothing earlier is known.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::period::Period;
use super::share::{releases_out, share, total};
use crate::receiver::store::{CensusDay, CensusRow, days_after, start_of};

/// Number of releases that count as the newest.
const NEWEST: usize = 3;

/// A figure, and what it was before. `None` where it is not known.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figure<T> {
    pub(crate) now: Option<T>,
    pub(crate) before: Option<T>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) active: Figure<i64>,
    /// Share of servers on the three newest releases in use.
    pub(crate) newest_three: Figure<f64>,
    pub(crate) versions: Figure<i64>,
    /// Half of the servers run a build that is at most so many days older than the newest.
    pub(crate) median_age_days: Figure<i64>,
    pub(crate) upgrades: Figure<i64>,
}

impl Figures {
    /// `last` are the rows of the last day of the period, `before` those of the day that it is compared with.
    pub(super) fn of(
        period: Period,
        counted: &[CensusDay],
        began: Option<Date>,
        last: Option<&[&CensusRow]>,
        before: Option<&[&CensusRow]>,
    ) -> Self {
        let has_all_before = began.is_some_and(|began| began <= period.before().from);
        Self {
            active: Figure { now: last.map(total), before: before.map(total) },
            newest_three: Figure { now: last.and_then(newest_share), before: before.and_then(newest_share) },
            versions: Figure { now: last.map(versions), before: before.map(versions) },
            median_age_days: Figure { now: last.and_then(median_age), before: before.and_then(median_age) },
            upgrades: Figure {
                now: upgrades(period, counted),
                before: upgrades(period.before(), counted).filter(|_| has_all_before),
            },
        }
    }
}

fn newest_share(rows: &[&CensusRow]) -> Option<f64> {
    let mut newest = releases_out(rows);
    newest.truncate(NEWEST);
    let of_newest = rows.iter().filter(|row| newest.contains(&row.release.name.as_str()));
    share(of_newest.map(|row| row.count).sum(), total(rows)).filter(|_| !newest.is_empty())
}

fn versions(rows: &[&CensusRow]) -> i64 {
    let versions: BTreeSet<&str> = rows.iter().map(|row| row.kind.build_version.as_str()).collect();
    versions.into_iter().filter(|version| !version.is_empty()).count() as i64
}

/// Median of the days by which builds are older than the newest, of which the whole days count. The newest is that of
/// a release, where there is one: a build of today that only a developer runs makes nobody old.
fn median_age(rows: &[&CensusRow]) -> Option<i64> {
    // A build time after the day was counted is no such.
    let built = |row: &&CensusRow| {
        let at = built_at(&row.kind.build_time)?;
        (at < start_of(days_after(row.day, 2))).then_some(at)
    };
    let newest = rows.iter().filter(|row| row.release.is_final()).filter_map(built).max();
    let newest = newest.or_else(|| rows.iter().filter_map(built).max())?;
    let mut ages: Vec<(i64, i64)> = rows
        .iter()
        .filter_map(|row| {
            let age = newest.duration_since(built(row)?).max(SignedDuration::ZERO);
            Some((age.as_hours() / 24, row.count))
        })
        .collect();
    ages.sort_unstable();
    let all: i64 = ages.iter().map(|(_, count)| count).sum();
    let mut younger = 0;
    ages.into_iter().find_map(|(age, count)| {
        younger += count;
        (younger * 2 >= all).then_some(age)
    })
}

/// RFC 3339, or without an offset, which is then taken for UTC.
fn built_at(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok().and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok());
    text.parse().ok().or_else(civil)
}

fn upgrades(period: Period, counted: &[CensusDay]) -> Option<i64> {
    counted
        .iter()
        .filter(|counted| period.contains(counted.day))
        .map(|counted| counted.upgrades)
        .fold(None, |sum, upgrades| Some(sum.unwrap_or(0) + upgrades))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::receiver::store::{Kind, Release};

    fn row(version: &str, build_time: &str, count: i64) -> CensusRow {
        let kind =
            Kind { build_version: version.to_owned(), build_time: build_time.to_owned(), ..Kind::default() };
        CensusRow { day: date(2027, 1, 31), release: Release::of(version), kind, count }
    }

    fn of<T>(figure: fn(&[&CensusRow]) -> T, rows: &[CensusRow]) -> T {
        figure(&rows.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_newest_three_are_releases_that_are_out() {
        let rows = [
            row("2.3.1", "", 5),
            row("2.3.0", "", 1),
            row("2.10.0-rc.1", "", 1),
            row("2.2.0", "", 2),
            row("2.2.0-rc.1", "", 1),
            row("1.9.0", "", 3),
            row("1.8.0", "", 4),
            row("main", "", 3),
        ];
        assert_eq!(of(newest_share, &rows), Some(0.6));
        assert_eq!(of(versions, &rows), 8);
        assert_eq!(of(newest_share, &rows[7..]), None);
        assert_eq!(of(newest_share, &[]), None);
        assert_eq!(of(versions, &[row("", "", 5)]), 0);
    }

    #[test]
    fn half_of_the_servers_are_no_older_than_the_median() {
        let rows = [
            row("2.0.0", "2027-01-20T00:00:00Z", 3),
            row("1.0.0", "2027-01-10T00:00:00+02:00", 2),
            row("0.9.0", "2026-01-20T00:00:00", 1),
            row("main", "2027-01-30T12:00:00Z", 1),
            row("2.1.0", "2999-01-01T00:00:00Z", 100),
            row("2.1.0", "yesterday", 100),
        ];
        assert_eq!(of(median_age, &rows[..1]), Some(0));
        // 0, 0, 0, 0 (the build of the developer), 10, 10, 365
        assert_eq!(of(median_age, &rows), Some(0));
        // 0, 10, 10, 365
        let few = [row("2.0.0", "2027-01-20T00:00:00Z", 1), rows[1].clone(), rows[2].clone()];
        assert_eq!(of(median_age, &few), Some(10));
        assert_eq!(of(median_age, &rows[1..3]), Some(0));
        assert_eq!(of(median_age, &rows[4..]), None);
        assert_eq!(of(median_age, &rows[3..4]), Some(0));
    }

    #[test]
    fn a_figure_is_compared_with_the_same_time_before() {
        let period = Period { from: date(2027, 1, 3), to: date(2027, 1, 4) };
        let counted: Vec<_> = [(1, 5), (2, 6), (3, 7), (4, 8), (5, 100)]
            .map(|(day, upgrades)| CensusDay { day: date(2027, 1, day), upgrades })
            .into();
        let (now, before) = ([row("1.0", "", 4)], [row("1.0", "", 3)]);
        let (now, before): (Vec<_>, Vec<_>) = (now.iter().collect(), before.iter().collect());
        let figures =
            |counted: &[CensusDay], began| Figures::of(period, counted, began, Some(&now), Some(&before));
        let whole = figures(&counted, Some(date(2027, 1, 1)));
        assert_eq!(whole.active, Figure { now: Some(4), before: Some(3) });
        assert_eq!(whole.upgrades, Figure { now: Some(15), before: Some(11) });
        let young = figures(&counted[1..], Some(date(2027, 1, 2)));
        assert_eq!(young.upgrades, Figure { now: Some(15), before: None });
        assert_eq!(figures(&[], None).upgrades, Figure { now: None, before: None });
    }
}
