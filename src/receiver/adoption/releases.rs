//! The releases and systems of the last day.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::share::{newest_first, share, total};
use crate::receiver::store::{CensusRow, FirstDays};

/// Number of versions of a release, and of systems, that are named: those with the most servers.
const NAMED: usize = 20;

/// A release in use.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ReleaseRow {
    /// `None` for all others together.
    pub(crate) release: Option<String>,
    pub(crate) servers: i64,
    pub(crate) share: Option<f64>,
    /// Number of servers more than a week before; `None` where that day was not counted.
    pub(crate) in_7_days: Option<i64>,
    /// `None` where it was in use before the census began.
    pub(crate) first_day: Option<Date>,
    pub(crate) license_invalid: i64,
    /// Those with the most servers; then all others, their version `None`.
    pub(crate) versions: Vec<VersionRow>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct VersionRow {
    pub(crate) version: Option<String>,
    pub(crate) servers: i64,
}

/// A system in use.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct SystemRow {
    /// `None`, like `arch`, for all others together.
    pub(crate) os: Option<String>,
    pub(crate) arch: Option<String>,
    pub(crate) servers: i64,
    pub(crate) share: Option<f64>,
}

/// The releases of which there are servers: those in `named`, the newest first, then all others together.
pub(super) fn releases(
    rows: &[&CensusRow],
    week_before: Option<&[&CensusRow]>,
    named: &[String],
    first: &FirstDays,
) -> Vec<ReleaseRow> {
    let name = |row: &CensusRow| named.iter().find(|name| **name == row.release.name).cloned();
    let mut of_release = BTreeMap::<Option<String>, Vec<&CensusRow>>::new();
    for row in rows {
        of_release.entry(name(row)).or_default().push(row);
    }
    let all = total(rows);
    let mut releases: Vec<ReleaseRow> = of_release
        .into_iter()
        .map(|(release, rows)| {
            let servers = total(&rows);
            let before = week_before.map(|before| {
                before.iter().filter(|row| name(row) == release).map(|row| row.count).sum::<i64>()
            });
            let first_day = release.as_ref().and_then(|release| first.releases.get(release)).copied();
            ReleaseRow {
                servers,
                share: share(servers, all),
                in_7_days: before.map(|before| servers - before),
                first_day: first_day.filter(|day| Some(*day) != first.census),
                license_invalid: rows.iter().filter(|row| !row.kind.license_valid).map(|row| row.count).sum(),
                versions: versions(&rows),
                release,
            }
        })
        .collect();
    releases.sort_by_cached_key(|row| (row.release.is_none(), row.release.as_deref().map(newest_first)));
    releases
}

fn versions(rows: &[&CensusRow]) -> Vec<VersionRow> {
    let counts = rows.iter().map(|row| (row.kind.build_version.as_str(), row.count));
    let (ranked, others) = ranked(counts, |version| version.is_empty());
    let named = ranked.into_iter().map(|(version, servers)| (Some(version.to_owned()), servers));
    named
        .chain(others.map(|servers| (None, servers)))
        .map(|(version, servers)| VersionRow { version, servers })
        .collect()
}

/// The systems with the most servers, then all others together.
pub(super) fn systems(rows: &[&CensusRow]) -> Vec<SystemRow> {
    let all = total(rows);
    let counts =
        rows.iter().map(|row| ((row.kind.build_os.as_str(), row.kind.build_arch.as_str()), row.count));
    let (ranked, others) = ranked(counts, |(os, arch)| os.is_empty() && arch.is_empty());
    let named =
        ranked.into_iter().map(|((os, arch), servers)| (Some(os.to_owned()), Some(arch.to_owned()), servers));
    named
        .chain(others.map(|servers| (None, None, servers)))
        .map(|(os, arch, servers)| SystemRow { os, arch, servers, share: share(servers, all) })
        .collect()
}

/// The names with the most servers, and the number of servers of all others, if there are others.
fn ranked<N: Ord>(
    counts: impl Iterator<Item = (N, i64)>,
    is_nameless: impl Fn(&N) -> bool,
) -> (Vec<(N, i64)>, Option<i64>) {
    let mut sums = BTreeMap::<N, i64>::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    let (nameless, mut ranked): (Vec<_>, Vec<_>) = sums.into_iter().partition(|(name, _)| is_nameless(name));
    ranked.sort_by_key(|(_, count)| Reverse(*count));
    let mut others = ranked.split_off(ranked.len().min(NAMED));
    others.extend(nameless);
    let count = others.iter().map(|(_, count)| count).sum();
    (ranked, (!others.is_empty()).then_some(count))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::receiver::store::{Kind, Release};

    fn row(version: &str, os: &str, license_valid: bool, count: i64) -> CensusRow {
        let kind = Kind {
            build_version: version.to_owned(),
            build_os: os.to_owned(),
            build_arch: if os.is_empty() { "" } else { "amd64" }.to_owned(),
            license_valid,
            ..Kind::default()
        };
        CensusRow { day: date(2027, 1, 31), release: Release::of(version), kind, count }
    }

    #[test]
    fn releases_are_counted_with_their_versions_and_compared_with_a_week_before() {
        let rows = [
            row("2.3.1", "linux", true, 6),
            row("2.3.0", "linux", true, 1),
            row("2.3.1", "windows", false, 1),
            row("2.2.4", "linux", true, 2),
            row("main", "linux", true, 4),
            row("", "", false, 2),
        ];
        let rows: Vec<_> = rows.iter().collect();
        let before = [row("2.3.0", "linux", true, 3), row("2.2.4", "linux", true, 5)];
        let before: Vec<_> = before.iter().collect();
        let named = ["2.2", "main", "2.3"].map(str::to_owned);
        let began = date(2026, 1, 1);
        let first = FirstDays {
            census: Some(began),
            releases: [("2.3".to_owned(), date(2027, 1, 3)), ("2.2".to_owned(), began)].into(),
        };
        let found = releases(&rows, Some(&before), &named, &first);
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!([
                {
                    "release": "2.3", "servers": 8, "share": 0.5, "in_7_days": 5, "first_day": "2027-01-03",
                    "license_invalid": 1,
                    "versions": [{"version": "2.3.1", "servers": 7}, {"version": "2.3.0", "servers": 1}],
                },
                {
                    "release": "2.2", "servers": 2, "share": 0.125, "in_7_days": -3, "first_day": null,
                    "license_invalid": 0, "versions": [{"version": "2.2.4", "servers": 2}],
                },
                {
                    "release": "main", "servers": 4, "share": 0.25, "in_7_days": 4, "first_day": null,
                    "license_invalid": 0, "versions": [{"version": "main", "servers": 4}],
                },
                {
                    "release": null, "servers": 2, "share": 0.125, "in_7_days": 2, "first_day": null,
                    "license_invalid": 2, "versions": [{"version": null, "servers": 2}],
                },
            ])
        );
        assert_eq!(releases(&rows, None, &named, &first)[0].in_7_days, None);
        assert_eq!(
            serde_json::to_value(systems(&rows)).unwrap(),
            json!([
                {"os": "linux", "arch": "amd64", "servers": 13, "share": 0.8125},
                {"os": "windows", "arch": "amd64", "servers": 1, "share": 0.0625},
                {"os": null, "arch": null, "servers": 2, "share": 0.125},
            ])
        );
    }

    #[test]
    fn what_is_rare_is_counted_together() {
        let rows: Vec<_> = (0..30)
            .map(|number| row(&format!("1.0.{number}"), &format!("os{number}"), true, 100 - number))
            .collect();
        let rows: Vec<_> = rows.iter().collect();
        let found = systems(&rows);
        assert_eq!(found.len(), NAMED + 1);
        let others: i64 = (20..30).map(|number| 100 - number).sum();
        assert_eq!((found[NAMED].os.as_ref(), found[NAMED].servers), (None, others));
        assert_eq!(versions(&rows)[NAMED], VersionRow { version: None, servers: others });
    }
}
