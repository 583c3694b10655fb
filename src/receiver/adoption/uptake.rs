//! How fast releases are taken up.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use super::period::{Period, UPTAKE_DAYS};
use super::share::{newest_first, share};
use crate::receiver::store::{CensusDay, CensusPoint, FirstDays, Release, days_after};

/// Number of releases that have a curve: the newest.
const CURVES: usize = 5;

/// The uptake of a release.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Uptake {
    pub(crate) release: String,
    pub(crate) first_day: Date,
    /// Share of the active servers by days since the first; `None` for days without a census.
    pub(crate) share: Vec<Option<f64>>,
}

/// The curves of releases that appeared within the period or shortly before, the newest first. Of those that were in
/// use when the census began, nobody knows when they appeared.
pub(super) fn uptake(
    period: Period,
    counted: &[CensusDay],
    points: &[CensusPoint],
    named: &[String],
    first: &FirstDays,
) -> Vec<Uptake> {
    let counted: BTreeSet<Date> = counted.iter().map(|counted| counted.day).collect();
    let mut totals = BTreeMap::<Date, i64>::new();
    let mut of_release = BTreeMap::<(&str, Date), i64>::new();
    for point in points {
        *totals.entry(point.day).or_default() += point.count;
        *of_release.entry((&point.release, point.day)).or_default() += point.count;
    }
    let last = points.iter().map(|point| point.day).max().map_or(period.to, |last| last.min(period.to));
    let mut releases: Vec<(&String, Date)> = named
        .iter()
        .filter(|release| Release::of(release).is_ordered())
        .filter_map(|release| Some((release, *first.releases.get(release)?)))
        .filter(|(_, day)| Some(*day) != first.census && (period.first_point()..=last).contains(day))
        .collect();
    releases.sort_by_cached_key(|(release, _)| newest_first(release));
    releases.truncate(CURVES);
    releases
        .into_iter()
        .map(|(release, first_day)| {
            let days = (0..=UPTAKE_DAYS).map(|days| days_after(first_day, days));
            let on = |day: Date| {
                let servers = of_release.get(&(release.as_str(), day)).copied().unwrap_or_default();
                let all = totals.get(&day).copied().unwrap_or_default();
                share(servers, all).filter(|_| counted.contains(&day))
            };
            Uptake {
                release: release.clone(),
                first_day,
                share: days.take_while(|day| *day <= last).map(on).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_curve_begins_on_the_first_day_of_its_release() {
        let period = Period { from: date(2027, 1, 3), to: date(2027, 1, 6) };
        let point = |day, release: &str, count| CensusPoint {
            day: date(2027, 1, day),
            release: release.to_owned(),
            version: None,
            count,
        };
        let points = [
            point(1, "1.0", 4),
            point(2, "1.0", 3),
            point(2, "1.1", 1),
            point(3, "1.0", 1),
            point(3, "1.1", 3),
            point(5, "1.0", 1),
            point(5, "1.1", 2),
            point(5, "1.2-", 1),
            point(5, "1.2", 1),
        ];
        let counted: Vec<_> =
            [1, 2, 3, 5].map(|day| CensusDay { day: date(2027, 1, day), upgrades: 0 }).into();
        let first = FirstDays {
            census: Some(date(2027, 1, 1)),
            releases: [("1.0", 1), ("1.1", 2), ("1.2", 5), ("main", 5)]
                .map(|(release, day)| (release.to_owned(), date(2027, 1, day)))
                .into(),
        };
        let named = ["main", "1.0", "1.1", "1.2"].map(str::to_owned);
        let curve = |release: &str, day, share: &[Option<f64>]| Uptake {
            release: release.to_owned(),
            first_day: date(2027, 1, day),
            share: share.into(),
        };
        assert_eq!(
            uptake(period, &counted, &points, &named, &first),
            [curve("1.2", 5, &[Some(0.2)]), curve("1.1", 2, &[Some(0.25), Some(0.75), None, Some(0.4)]),]
        );
        // Of a filter that counts nobody on some day there is no share.
        let none = uptake(period, &counted, &points[6..7], &named, &first);
        assert_eq!(none[1], curve("1.1", 2, &[None, None, None, Some(1.0)]));
    }

    #[test]
    fn a_curve_is_no_longer_than_ninety_days() {
        let period = Period { from: date(2027, 3, 1), to: date(2027, 5, 31) };
        let points: Vec<_> = (0..200)
            .map(|number| CensusPoint {
                day: days_after(date(2027, 1, 1), number),
                release: "1.1".to_owned(),
                version: None,
                count: 1,
            })
            .collect();
        let counted: Vec<_> = points.iter().map(|point| CensusDay { day: point.day, upgrades: 0 }).collect();
        let first = FirstDays {
            census: Some(date(2026, 1, 1)),
            releases: [("1.1".to_owned(), date(2027, 1, 1))].into(),
        };
        let curves = uptake(period, &counted, &points, &["1.1".to_owned()], &first);
        assert_eq!(curves[0].share.len(), 91);
    }
}
