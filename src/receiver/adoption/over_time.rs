//! Active servers over time, by release or by version.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use super::period::Period;
use super::share::{newest_first, share};
use crate::receiver::store::{CensusDay, CensusPoint};

/// Number of bands that have a name: those that were the largest on some day.
const NAMED_BANDS: usize = 20;

/// Active servers on each day of the period; `None` for days without a census.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct OverTime {
    pub(crate) active: Vec<Option<i64>>,
    /// The newest first, then those that are not made of numbers, then all others together.
    pub(crate) bands: Vec<Band>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Band {
    /// `None` for all others together.
    pub(crate) name: Option<String>,
    pub(crate) servers: Vec<Option<i64>>,
    pub(crate) share: Vec<Option<f64>>,
}

impl OverTime {
    pub(super) fn of(period: Period, counted: &[CensusDay], points: &[CensusPoint]) -> Self {
        let points: Vec<CensusPoint> =
            points.iter().filter(|point| period.contains(point.day)).cloned().collect();
        let mut named = largest(&points, NAMED_BANDS, name);
        named.retain(|name| !name.is_empty());
        named.sort_by_cached_key(|name| newest_first(name));
        let counted: BTreeSet<Date> = counted.iter().map(|counted| counted.day).collect();
        let totals = sums(points.iter());
        let of_days = |sums: &BTreeMap<Date, i64>| -> Vec<Option<i64>> {
            let sum = |day: Date| counted.contains(&day).then(|| sums.get(&day).copied().unwrap_or_default());
            period.days().map(sum).collect()
        };
        let active = of_days(&totals);
        let band = |band_name: Option<&String>| {
            let is_of_band = |point: &&CensusPoint| match band_name {
                Some(band_name) => name(point) == band_name,
                None => !named.iter().any(|named| named == name(point)),
            };
            let servers = of_days(&sums(points.iter().filter(is_of_band)));
            let shares = servers.iter().zip(&active);
            let share = shares.map(|(servers, active)| share((*servers)?, (*active)?)).collect();
            Band { name: band_name.cloned(), servers, share }
        };
        let others = band(None);
        let has_others = others.servers.iter().flatten().any(|servers| *servers > 0);
        let bands = named.iter().map(|name| band(Some(name))).chain(has_others.then_some(others)).collect();
        Self { active, bands }
    }
}

fn name(point: &CensusPoint) -> &str {
    point.version.as_deref().unwrap_or(&point.release)
}

fn sums<'a>(points: impl Iterator<Item = &'a CensusPoint>) -> BTreeMap<Date, i64> {
    let mut sums = BTreeMap::new();
    for point in points {
        *sums.entry(point.day).or_default() += point.count;
    }
    sums
}

/// The names with the most servers on some day, up to `limit`, the largest first.
pub(super) fn largest<'a>(
    points: &'a [CensusPoint],
    limit: usize,
    name: impl Fn(&'a CensusPoint) -> &'a str,
) -> Vec<String> {
    let mut of_day = BTreeMap::<(&str, Date), i64>::new();
    for point in points {
        *of_day.entry((name(point), point.day)).or_default() += point.count;
    }
    let mut peaks = BTreeMap::<&str, i64>::new();
    for ((name, _), count) in of_day {
        let peak = peaks.entry(name).or_default();
        *peak = count.max(*peak);
    }
    let mut ranked: Vec<_> = peaks.into_iter().collect();
    ranked.sort_by_key(|(_, peak)| Reverse(*peak));
    ranked.into_iter().take(limit).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn day(number: i8) -> Date {
        date(2027, 1, number)
    }

    fn point(number: i8, name: &str, count: i64) -> CensusPoint {
        CensusPoint { day: day(number), release: name.to_owned(), version: None, count }
    }

    fn counted(days: &[i8]) -> Vec<CensusDay> {
        days.iter().map(|number| CensusDay { day: day(*number), upgrades: 0 }).collect()
    }

    const THREE_DAYS: Period = Period { from: Date::constant(2027, 1, 1), to: Date::constant(2027, 1, 3) };

    #[test]
    fn releases_are_bands_the_newest_first_with_gaps_where_nobody_counted() {
        let points = [
            point(1, "1.9", 3),
            point(3, "1.9", 1),
            point(3, "1.10", 2),
            point(3, "main", 1),
            point(3, "", 4),
            point(4, "1.11", 100),
        ];
        let over_time = OverTime::of(THREE_DAYS, &counted(&[1, 3, 4]), &points);
        let band = |name: Option<&str>, servers: [i64; 2], share: [f64; 2]| Band {
            name: name.map(str::to_owned),
            servers: vec![Some(servers[0]), None, Some(servers[1])],
            share: vec![Some(share[0]), None, Some(share[1])],
        };
        assert_eq!(
            over_time,
            OverTime {
                active: vec![Some(3), None, Some(8)],
                bands: vec![
                    band(Some("1.10"), [0, 2], [0.0, 0.25]),
                    band(Some("1.9"), [3, 1], [1.0, 0.125]),
                    band(Some("main"), [0, 1], [0.0, 0.125]),
                    band(None, [0, 4], [0.0, 0.5]),
                ],
            }
        );
    }

    #[test]
    fn a_day_without_servers_is_no_gap() {
        let over_time = OverTime::of(THREE_DAYS, &counted(&[1, 2]), &[point(2, "1.0", 1)]);
        assert_eq!(over_time.active, [Some(0), Some(1), None]);
        assert_eq!(over_time.bands[0].share, [None, Some(1.0), None]);
    }

    proptest! {
        #[test]
        fn the_bands_add_up_to_all_servers(
            numbers in prop::collection::vec((1..=3_i8, 0..40_u8, 1..1_000_i64), 0..200),
        ) {
            let points: Vec<_> =
                numbers.iter().map(|(day, minor, count)| point(*day, &format!("1.{minor}"), *count)).collect();
            let over_time = OverTime::of(THREE_DAYS, &counted(&[1, 2, 3]), &points);
            prop_assert!(over_time.bands.len() <= NAMED_BANDS + 1);
            for (at, active) in over_time.active.iter().enumerate() {
                let sum: i64 = over_time.bands.iter().filter_map(|band| band.servers[at]).sum();
                prop_assert_eq!(Some(sum), *active);
                let counted = points.iter().filter(|point| point.day == day(at as i8 + 1));
                prop_assert_eq!(sum, counted.map(|point| point.count).sum::<i64>());
            }
        }
    }
}
