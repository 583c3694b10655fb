//! The releases that the servers of a fleet run that have not ended, in the order of their versions. Pure arithmetic.

use std::collections::BTreeMap;

use super::words::percent;
use crate::receiver::store::{Group, Release, State};

/// Number of releases that are named: the newest.
const NAMED: usize = 4;

/// Number of releases that are offered to be filtered by.
const OFFERED: usize = 50;

/// The releases in use.
pub(super) struct Releases {
    /// Ordering key and name of every release that is out, the newest first.
    out: Vec<(String, String)>,
    /// The newest releases.
    pub(super) named: Vec<InUse>,
    /// All other versions together.
    pub(super) others: InUse,
}

/// A release with the number of servers that run it and have not ended.
pub(super) struct InUse {
    pub(super) name: String,
    pub(super) count: i64,
    /// Sum of those before it.
    before: i64,
    all: i64,
}

impl InUse {
    /// Its share of all servers that have not ended.
    pub(super) fn percent(&self) -> String {
        percent(self.count as f64 / self.all.max(1) as f64)
    }

    /// The left edge of its part of a bar, in hundredths of the bar.
    pub(super) fn left(&self) -> String {
        format!("{:.1}", self.before as f64 * 100.0 / self.all.max(1) as f64)
    }

    /// The width of its part of a bar.
    pub(super) fn width(&self) -> String {
        format!("{:.1}", self.count as f64 * 100.0 / self.all.max(1) as f64)
    }
}

impl Releases {
    pub(super) fn of(groups: &[Group]) -> Self {
        let mut counts = BTreeMap::<String, (String, i64)>::new();
        let (mut all, mut out_all) = (0, BTreeMap::new());
        for group in groups.iter().filter(|group| group.state != State::Ended) {
            all += group.count;
            let release = Release::of(&group.build_version);
            let key = Release::of(&release.name).key;
            if release.is_final() {
                out_all.insert(key.clone(), release.name.clone());
            }
            counts.entry(key).or_insert((release.name, 0)).1 += group.count;
        }
        let out: Vec<(String, String)> = out_all.into_iter().rev().collect();
        let mut before = 0;
        let named: Vec<InUse> = out
            .iter()
            .take(NAMED)
            .map(|(key, name)| {
                let count = counts.get(key).map_or(0, |(_, count)| *count);
                let in_use = InUse { name: name.clone(), count, before, all };
                before += count;
                in_use
            })
            .collect();
        let others = InUse { name: "others".to_owned(), count: all - before, before, all };
        Self { out, named, others }
    }

    /// Number of servers that have not ended.
    pub(super) fn all(&self) -> i64 {
        self.others.all
    }

    /// Names of the releases that are out, the newest first.
    pub(super) fn out(&self) -> impl Iterator<Item = &str> {
        self.out.iter().map(|(_, name)| name.as_str()).take(OFFERED)
    }

    /// Number of releases that are newer than that of a version; `None` where the version has no place among them.
    pub(super) fn behind(&self, version: &str) -> Option<usize> {
        let release = Release::of(version);
        let key = Release::of(&release.name).key;
        release.is_ordered().then(|| self.out.iter().take_while(|(newer, _)| *newer > key).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::{Flags, License};

    fn group(state: State, version: &str, count: i64) -> Group {
        Group {
            state,
            license: License::Valid,
            flags: Flags::default(),
            is_new: false,
            build_version: version.to_owned(),
            count,
        }
    }

    #[test]
    fn releases_are_those_of_servers_that_have_not_ended() {
        let releases = Releases::of(&[
            group(State::Up, "2.10.1", 60),
            group(State::Late, "2.10.0", 2),
            group(State::Down, "2.9.1", 5),
            group(State::Ended, "2.11.0", 50),
            group(State::Up, "2.12.0-rc.1", 1),
            group(State::Up, "2.9.0", 15),
            group(State::Up, "2.8.0", 10),
            group(State::Up, "2.7.0", 4),
            group(State::Up, "1.0", 2),
            group(State::Up, "main", 1),
        ]);
        let named = releases.named.iter().map(|one| format!("{} {} {}", one.name, one.count, one.percent()));
        assert_eq!(named.collect::<Vec<_>>(), ["2.10 62 62 %", "2.9 20 20 %", "2.8 10 10 %", "2.7 4 4 %"]);
        assert_eq!((releases.others.count, releases.others.left().as_str()), (4, "96.0"));
        let behind = ["2.10.7", "2.11.0", "2.12.0-rc.1", "2.9.3", "2.8.0", "1.0", "0.9", "main"]
            .map(|version| releases.behind(version));
        assert_eq!(behind, [Some(0), Some(0), Some(0), Some(1), Some(2), Some(4), Some(5), None]);
    }

    #[test]
    fn a_share_is_never_all_or_nothing_that_is_not() {
        let releases = Releases::of(&[group(State::Up, "2.1", 999), group(State::Up, "2.2", 1)]);
        let shares: Vec<_> = releases.named.iter().map(InUse::percent).collect();
        assert_eq!(shares, ["< 1 %", "> 99 %"]);
    }

    #[test]
    fn an_empty_fleet_runs_nothing() {
        let releases = Releases::of(&[]);
        assert!(releases.named.is_empty());
        assert_eq!((releases.others.count, releases.others.percent().as_str()), (0, "0 %"));
        assert_eq!(releases.behind("1.0"), Some(0));
    }
}
