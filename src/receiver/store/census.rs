//! The census: how many instances were active on each day, by what they run. It is kept for years, whatever becomes of
//! the instances and of their events (receiver §2).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::day::{day_of, days_after, days_between};
use super::error::StoreError;
use super::release::Release;
use super::time::before;

/// Time after its last event for which an instance is active, unless it has ended.
const ACTIVE_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The time of the last event from which on an instance is active at `now`.
pub(crate) fn active_since(now: Timestamp) -> Timestamp {
    before(now, ACTIVE_FOR)
}

/// Days for which a census is kept: five years.
pub(super) const KEPT_DAYS: i64 = 5 * 366;

/// Days before the first census that are counted by the stored runs.
const FILLED_DAYS: i64 = 400;

/// Maximum number of kinds of one key and day that are kept apart, so that a leaked key cannot fill the store.
const MOST_KINDS: usize = 1_000;

/// What instances are counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) key_id: Uuid,
    pub(crate) product: String,
    /// Empty, like the other texts, for all rare kinds of a key together.
    pub(crate) build_version: String,
    pub(crate) build_time: String,
    pub(crate) build_os: String,
    pub(crate) build_arch: String,
    pub(crate) license_valid: bool,
}

/// Number of active instances of one kind on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CensusRow {
    pub(crate) day: Date,
    pub(crate) kind: Kind,
    pub(crate) release: Release,
    pub(crate) count: i64,
}

/// A day on which a census was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CensusDay {
    pub(crate) day: Date,
    /// Number of changes of an instance to a later version.
    pub(crate) upgrades: i64,
}

/// What the active instances of a day are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    Release,
    Version,
}

/// Number of active instances of one release, or of one version, on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CensusPoint {
    pub(crate) day: Date,
    /// Name of the release.
    pub(crate) release: String,
    /// Only where versions were asked for.
    pub(crate) version: Option<String>,
    pub(crate) count: i64,
}

/// Table of the numbers of versions: of one key, or of all keys summed up.
pub(super) fn table_of(filter: &CensusFilter) -> &'static str {
    if filter.key_id.is_some() { "telemetry_census" } else { "telemetry_census_version" }
}

/// A selection of instances: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CensusFilter {
    pub(crate) key_id: Option<Uuid>,
    pub(crate) product: Option<String>,
}

/// When the census began, and when releases first appeared in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FirstDays {
    /// `None` where no census was taken yet.
    pub(crate) census: Option<Date>,
    pub(crate) releases: BTreeMap<String, Date>,
}

/// Takes and keeps the census.
#[async_trait]
pub(crate) trait Census: Send + Sync {
    /// Counts the active instances, and replaces what was counted before on the day of `now`. Several receivers may do
    /// so at the same time. Instances are active that have not ended and were heard within 14 days.
    ///
    /// The first census counts the days before it as well, by the runs that are stored. A census that is older than five
    /// years is deleted.
    async fn take_census(&self, now: Timestamp) -> Result<(), StoreError>;

    /// The days from `from` to `to`, both included, on which a census was taken, the earliest first.
    async fn census_days(
        &self,
        from: Date,
        to: Date,
        filter: &CensusFilter,
    ) -> Result<Vec<CensusDay>, StoreError>;

    /// Active instances over time, in no order.
    async fn census_points(
        &self,
        from: Date,
        to: Date,
        by: Division,
        filter: &CensusFilter,
    ) -> Result<Vec<CensusPoint>, StoreError>;

    /// The whole census of some days, in no order.
    async fn census_rows(&self, days: &[Date], filter: &CensusFilter) -> Result<Vec<CensusRow>, StoreError>;

    /// The first day of the census, and that of each of these releases which ever appeared in it.
    async fn first_days(&self, releases: &[String]) -> Result<FirstDays, StoreError>;
}

/// The rows of a day. Of each key the largest kinds are kept apart; all others are one row for each validity of the
/// license.
pub(super) fn census_rows(day: Date, mut kinds: Vec<(Kind, i64)>) -> Vec<CensusRow> {
    kinds.sort_by(|(kind, count), (other, other_count)| {
        (kind.key_id, Reverse(count), kind).cmp(&(other.key_id, Reverse(other_count), other))
    });
    let mut counts = BTreeMap::<Kind, i64>::new();
    let (mut key_id, mut of_key) = (None, 0);
    for (kind, count) in kinds {
        of_key = if key_id == Some(kind.key_id) { of_key + 1 } else { 1 };
        key_id = Some(kind.key_id);
        let kept = if of_key <= MOST_KINDS {
            kind
        } else {
            Kind { key_id: kind.key_id, license_valid: kind.license_valid, ..Kind::default() }
        };
        *counts.entry(kept).or_default() += count;
    }
    counts
        .into_iter()
        .map(|(kind, count)| CensusRow { day, release: Release::of(&kind.build_version), kind, count })
        .collect()
}

/// The days that are counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CountedDays {
    /// Those before today whose active instances are counted, by runs.
    pub(super) past: Vec<Date>,
    /// Those whose upgrades are counted, the earliest first. The last census of yesterday was too early for some.
    pub(super) upgraded: Vec<Date>,
}

impl CountedDays {
    /// `first_run` is the time of the earliest run, where no census was taken before.
    pub(super) fn of(today: Date, has_yesterday: bool, first_run: Option<Timestamp>) -> Self {
        let first = first_run.map_or(today, day_of).max(days_after(today, -FILLED_DAYS));
        let past: Vec<Date> =
            (0..days_between(first, today)).map(|number| days_after(first, number)).collect();
        let mut upgraded = past.clone();
        upgraded.extend(has_yesterday.then(|| days_after(today, -1)));
        upgraded.push(today);
        Self { past, upgraded }
    }

    /// Those whose active instances are counted.
    pub(super) fn active(&self) -> Vec<Date> {
        self.past.iter().chain(self.upgraded.last()).copied().collect()
    }
}

/// Number of instances of one key and product that changed from one version to another on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VersionChange {
    pub(super) day: Date,
    pub(super) key_id: Uuid,
    pub(super) product: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) count: i64,
}

/// Number of upgrades of one key and product on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upgrades {
    pub(super) day: Date,
    pub(super) key_id: Uuid,
    pub(super) product: String,
    pub(super) count: i64,
}

/// The upgrades among changes, with a row for each of the days on which a census is taken.
pub(super) fn upgrades(days: &[Date], changes: Vec<VersionChange>) -> Vec<Upgrades> {
    let mut counts: BTreeMap<(Date, Uuid, String), i64> =
        days.iter().map(|day| ((*day, Uuid::nil(), String::new()), 0)).collect();
    for change in changes.into_iter().filter(|change| days.contains(&change.day)) {
        if Release::of(&change.to).may_follow(&Release::of(&change.from)) {
            *counts.entry((change.day, change.key_id, change.product)).or_default() += change.count;
        }
    }
    counts
        .into_iter()
        .map(|((day, key_id, product), count)| Upgrades { day, key_id, product, count })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn kind(key: u128, version: usize, license_valid: bool) -> Kind {
        Kind {
            key_id: Uuid::from_u128(key),
            build_version: format!("1.{version}"),
            license_valid,
            ..Kind::default()
        }
    }

    #[test]
    fn rare_kinds_of_a_key_are_one_row_and_crowd_out_no_other_key() {
        let mut kinds: Vec<_> =
            (0..MOST_KINDS + 20).map(|version| (kind(1, version, version % 2 == 0), 1)).collect();
        kinds.push((kind(1, 5_000, true), 7));
        kinds.push((kind(2, 1, true), 1));
        let rows = census_rows(date(2027, 1, 1), kinds.clone());
        assert_eq!(rows.len(), MOST_KINDS + 3);
        let count = |wanted: &Kind| rows.iter().find(|row| row.kind == *wanted).map(|row| row.count);
        assert_eq!(count(&kind(1, 5_000, true)), Some(7));
        assert_eq!(count(&kind(2, 1, true)), Some(1));
        let rest = |license_valid| Kind { key_id: Uuid::from_u128(1), license_valid, ..Kind::default() };
        assert_eq!(count(&rest(true)).unwrap() + count(&rest(false)).unwrap(), 21);
        assert_eq!(
            rows.iter().map(|row| row.count).sum::<i64>(),
            kinds.iter().map(|(_, count)| count).sum::<i64>()
        );
    }

    #[test]
    fn the_first_census_counts_the_days_since_the_first_run_and_no_more_than_can_be_read() {
        let (today, yesterday) = (date(2027, 1, 2), date(2027, 1, 1));
        let first_run = |text: &str| Some(text.parse().unwrap());
        let days =
            |past: &[Date], upgraded: &[Date]| CountedDays { past: past.into(), upgraded: upgraded.into() };
        assert_eq!(CountedDays::of(today, false, None), days(&[], &[today]));
        assert_eq!(CountedDays::of(today, true, None), days(&[], &[yesterday, today]));
        let late = first_run("2026-12-31T23:59:59Z");
        let past = [date(2026, 12, 31), yesterday];
        assert_eq!(CountedDays::of(today, false, late), days(&past, &[past[0], past[1], today]));
        assert_eq!(CountedDays::of(today, false, first_run("2027-01-02T00:00:00Z")), days(&[], &[today]));
        assert_eq!(CountedDays::of(today, false, first_run("2027-02-02T00:00:00Z")), days(&[], &[today]));
        assert_eq!(CountedDays::of(today, false, first_run("1970-01-01T00:00:00Z")).past.len(), 400);
    }

    #[test]
    fn the_way_back_is_no_upgrade() {
        let days = [date(2027, 1, 1), date(2027, 1, 2)];
        let change = |day, from: &str, to: &str, count| VersionChange {
            day,
            key_id: Uuid::from_u128(1),
            product: "p".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            count,
        };
        let rows = upgrades(
            &days,
            vec![
                change(days[0], "1.9.0", "1.10.0", 3),
                change(days[0], "1.10.0-rc.1", "1.10.0", 2),
                change(days[0], "1.10.0", "1.9.0", 5),
                change(days[0], "v1.9", "1.9.0", 5),
                change(days[0], "a1b2", "00ff", 1),
                change(date(2026, 12, 31), "1.9.0", "1.10.0", 9),
            ],
        );
        let row = |day, key, product: &str, count| Upgrades {
            day,
            key_id: Uuid::from_u128(key),
            product: product.to_owned(),
            count,
        };
        assert_eq!(rows, [row(days[0], 0, "", 0), row(days[0], 1, "p", 6), row(days[1], 0, "", 0)]);
    }
}
