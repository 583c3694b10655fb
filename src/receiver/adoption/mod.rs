//! Adoption: which releases the active servers of a fleet run, over time and compared with the period before. Pure
//! arithmetic over the census.

mod behind;
mod figures;
mod newest;
mod over_time;
mod period;
mod releases;
mod share;
mod uptake;

use jiff::civil::Date;
use serde::Serialize;

use super::store::{CensusDay, CensusPoint, CensusRow, FirstDays, days_after};
pub(crate) use behind::Behind;
pub(crate) use figures::{Figure, Figures};
pub(crate) use newest::Newest;
#[cfg(test)]
pub(crate) use newest::ReleaseBefore;
pub(crate) use over_time::{Band, OverTime};
pub(crate) use period::Period;
#[cfg(test)]
pub(crate) use releases::VersionRow;
pub(crate) use releases::{ReleaseRow, SystemRow};
pub(crate) use uptake::Uptake;

/// Number of releases that are named: those that most servers ran on some day.
const NAMED_RELEASES: usize = 50;

/// Days whose whole census is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// The last day of the period on which a census was taken.
    pub(crate) last: Option<Date>,
    /// A week before that.
    week_before: Option<Date>,
    /// The last day of the period before on which a census was taken; where there is none, the first one of the period.
    before: Option<Date>,
}

impl Details {
    pub(crate) fn of(period: Period, counted: &[CensusDay]) -> Self {
        let days_of = |period: Period| {
            counted.iter().map(|counted| counted.day).filter(move |day| period.contains(*day))
        };
        let last = days_of(period).max();
        let first = days_of(period).min().filter(|first| Some(*first) < last);
        let week_before = last.map(|last| days_after(last, -7));
        let is_counted = |day: &Date| counted.iter().any(|counted| counted.day == *day);
        Self {
            last,
            week_before: week_before.filter(is_counted),
            before: days_of(period.before()).max().or(first),
        }
    }

    /// Number of upgrades since a week before the last day; `None` where it cannot be told.
    fn upgrades_of_week(self, counted: &[CensusDay]) -> Option<i64> {
        let (last, week_before) = (self.last?, self.week_before?);
        let is_of_week = |counted: &&CensusDay| counted.day > week_before && counted.day <= last;
        Some(counted.iter().filter(is_of_week).map(|counted| counted.upgrades).sum())
    }

    pub(crate) fn days(self) -> Vec<Date> {
        [self.last, self.week_before, self.before].into_iter().flatten().collect()
    }
}

/// The releases whose first days are needed.
pub(crate) fn named_releases(points: &[CensusPoint]) -> Vec<String> {
    over_time::largest(points, NAMED_RELEASES, |point| point.release.as_str())
        .into_iter()
        .filter(|release| !release.is_empty())
        .collect()
}

/// What the store answered.
pub(crate) struct Answers {
    /// From [`Period::first_day`] on.
    pub(crate) counted: Vec<CensusDay>,
    /// From [`Period::first_point`] on.
    pub(crate) points: Vec<CensusPoint>,
    /// Of the days of [`Details`].
    pub(crate) rows: Vec<CensusRow>,
    /// Of the [`named_releases`].
    pub(crate) first: FirstDays,
}

/// The adoption of releases in a period.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Adoption {
    pub(crate) from: Date,
    pub(crate) to: Date,
    /// The first day of the census; `None` where none was taken yet.
    pub(crate) counted_since: Option<Date>,
    /// The day that `newest`, `figures`, `releases`, `systems` and `behind` are of.
    pub(crate) counted_on: Option<Date>,
    /// The day that the numbers before are of in `figures`, but for the upgrades.
    pub(crate) compared_with: Option<Date>,
    pub(crate) newest: Option<Newest>,
    #[serde(flatten)]
    pub(crate) over_time: OverTime,
    pub(crate) figures: Figures,
    pub(crate) releases: Vec<ReleaseRow>,
    /// Number of upgrades completed on the seven days until `counted_on`; `None` where the day before them was not counted.
    pub(crate) upgrades_in_7_days: Option<i64>,
    pub(crate) systems: Vec<SystemRow>,
    pub(crate) behind: Option<Behind>,
    pub(crate) uptake: Vec<Uptake>,
}

impl Adoption {
    /// The days that the numbers over time are of.
    pub(crate) fn days(&self) -> impl Iterator<Item = Date> + use<> {
        Period { from: self.from, to: self.to }.days()
    }

    pub(crate) fn of(period: Period, answers: &Answers) -> Self {
        let details = Details::of(period, &answers.counted);
        let of = |wanted: Option<Date>| -> Option<Vec<&CensusRow>> {
            wanted.map(|wanted| answers.rows.iter().filter(|row| row.day == wanted).collect())
        };
        let (last, week_before, before) = (of(details.last), of(details.week_before), of(details.before));
        let rows = last.as_deref().unwrap_or_default();
        let named = named_releases(&answers.points);
        let releases = releases::releases(rows, week_before.as_deref(), &named, &answers.first);
        let uptake = uptake::uptake(period, &answers.counted, &answers.points, &named, &answers.first);
        Self {
            from: period.from,
            to: period.to,
            counted_since: answers.first.census,
            counted_on: details.last,
            compared_with: details.before,
            newest: Newest::of(rows, details.last, &releases, &uptake),
            over_time: OverTime::of(period, &answers.counted, &answers.points),
            figures: Figures::of(
                period,
                &answers.counted,
                answers.first.census,
                last.as_deref(),
                before.as_deref(),
            ),
            releases,
            upgrades_in_7_days: details.upgrades_of_week(&answers.counted),
            systems: releases::systems(rows),
            behind: Behind::of(rows),
            uptake,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_upgrades_of_a_week_are_those_after_the_day_a_week_before() {
        let period = Period { from: date(2027, 1, 1), to: date(2027, 1, 31) };
        let counted = |first: i8| -> Vec<CensusDay> {
            let days = (first..=12).chain(14..=20);
            days.map(|day| CensusDay { day: date(2027, 1, day), upgrades: i64::from(day) }).collect()
        };
        let of_week = |counted: &[CensusDay]| Details::of(period, counted).upgrades_of_week(counted);
        // The week before the 20th begins after the 13th, which was not counted.
        assert_eq!(of_week(&counted(1)), None);
        let until_19 = counted(1).into_iter().filter(|counted| counted.day < date(2027, 1, 20));
        assert_eq!(of_week(&until_19.collect::<Vec<_>>()), Some(14 + 15 + 16 + 17 + 18 + 19));
        assert_eq!((of_week(&counted(15)), of_week(&[])), (None, None));
    }
}
