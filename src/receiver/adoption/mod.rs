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
            systems: releases::systems(rows),
            behind: Behind::of(rows),
            uptake,
        }
    }
}
