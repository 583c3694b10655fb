//! Who is behind the newest release.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::share::releases_out;
use crate::receiver::store::{CensusRow, Release};

/// Number of keys that are named.
const NAMED_KEYS: usize = 10;

/// Number of releases of a key that are named: the oldest.
const NAMED_RELEASES: usize = 10;

/// Servers that do not run the newest release.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Behind {
    pub(crate) newest: String,
    /// Number of servers older than that.
    pub(crate) older_than_newest: i64,
    /// Number of those of them that run a pre-release of it.
    pub(crate) pre_releases: i64,
    /// The release before the newest, where there is one.
    pub(crate) older_than: Option<String>,
    /// Number of servers older than that one.
    pub(crate) servers: i64,
    /// Those with the most servers older than the release before the newest, then those with the most older than the newest.
    pub(crate) keys: Vec<KeyBehind>,
    /// Number of all keys with servers older than the newest release.
    pub(crate) keys_total: usize,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct KeyBehind {
    pub(crate) key_id: Uuid,
    pub(crate) older_than_newest: i64,
    pub(crate) servers: i64,
    /// All servers of the key.
    pub(crate) of: i64,
    /// The oldest of the releases that those older than the newest run, the oldest first. Of the newest release they are
    /// the versions of pre-releases.
    pub(crate) releases: Vec<String>,
    /// Number of all of these releases.
    pub(crate) releases_total: usize,
}

/// What is counted of a key.
#[derive(Default)]
struct Count<'a> {
    older_than_newest: i64,
    pre_releases: i64,
    servers: i64,
    of: i64,
    /// Names by their keys, in which they are ordered.
    releases: BTreeMap<&'a str, &'a str>,
}

impl Count<'_> {
    fn of_key(self, key_id: Uuid) -> KeyBehind {
        let mut releases: Vec<String> = self.releases.into_values().map(str::to_owned).collect();
        releases.dedup();
        let releases_total = releases.len();
        releases.truncate(NAMED_RELEASES);
        let Self { older_than_newest, servers, of, .. } = self;
        KeyBehind { key_id, older_than_newest, servers, of, releases, releases_total }
    }
}

impl Behind {
    /// `None` where there is no release.
    pub(super) fn of(rows: &[&CensusRow]) -> Option<Self> {
        let out = releases_out(rows);
        let (newest, older_than) = (*out.first()?, out.get(1).copied());
        let (last, before) = (Release::of(newest), older_than.map(Release::of));
        let mut counts = BTreeMap::<Uuid, Count<'_>>::new();
        for row in rows {
            let count = counts.entry(row.kind.key_id).or_default();
            count.of += row.count;
            if row.release.key < last.key {
                let is_pre_release = row.release.name == newest;
                let name = if is_pre_release { &row.kind.build_version } else { &row.release.name };
                count.releases.entry(&row.release.key).or_insert(name);
                count.older_than_newest += row.count;
                count.pre_releases += i64::from(is_pre_release) * row.count;
            }
            if before.as_ref().is_some_and(|before| row.release.key < before.key) {
                count.servers += row.count;
            }
        }
        let pre_releases = counts.values().map(|count| count.pre_releases).sum();
        let mut keys: Vec<KeyBehind> =
            counts.into_iter().map(|(key_id, count)| count.of_key(key_id)).collect();
        keys.retain(|key| key.older_than_newest > 0);
        keys.sort_by_key(|key| Reverse((key.servers, key.older_than_newest)));
        let older_than_newest = keys.iter().map(|key| key.older_than_newest).sum();
        let servers = keys.iter().map(|key| key.servers).sum();
        let keys_total = keys.len();
        keys.truncate(NAMED_KEYS);
        let (newest, older_than) = (newest.to_owned(), older_than.map(str::to_owned));
        Some(Self { newest, older_than_newest, pre_releases, older_than, servers, keys, keys_total })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::receiver::store::Kind;

    fn row(key: u128, version: &str, count: i64) -> CensusRow {
        let kind =
            Kind { key_id: Uuid::from_u128(key), build_version: version.to_owned(), ..Kind::default() };
        CensusRow { day: date(2027, 1, 31), release: Release::of(version), kind, count }
    }

    #[test]
    fn keys_with_the_oldest_servers_come_first() {
        let rows = [
            row(1, "2.3.1", 5),
            row(1, "2.1.0", 2),
            row(2, "2.2.0", 4),
            row(2, "2.2.0-rc.1", 1),
            row(2, "1.0.0", 3),
            row(3, "main", 9),
            row(4, "2.2.3", 6),
            row(3, "2.4.0-rc.1", 1),
        ];
        let key = |key, older_than_newest, servers, of, releases: &[&str]| KeyBehind {
            key_id: Uuid::from_u128(key),
            older_than_newest,
            servers,
            of,
            releases: releases.iter().map(|name| (*name).to_owned()).collect(),
            releases_total: releases.len(),
        };
        let keys =
            vec![key(2, 8, 4, 8, &["1.0", "2.2"]), key(1, 2, 2, 7, &["2.1"]), key(4, 6, 0, 6, &["2.2"])];
        let expected = Behind {
            newest: "2.3".to_owned(),
            older_than_newest: 16,
            pre_releases: 0,
            older_than: Some("2.2".to_owned()),
            servers: 6,
            keys,
            keys_total: 3,
        };
        assert_eq!(Behind::of(&rows.iter().collect::<Vec<_>>()), Some(expected));
        assert_eq!(Behind::of(&[&rows[5]]), None);
    }

    #[test]
    fn pre_releases_are_older_than_the_only_release_and_are_named_by_their_versions() {
        let rows = [row(1, "2.0.0-rc.1", 2), row(1, "2.0.0", 1), row(2, "1.9.0-beta", 1), row(2, "main", 4)];
        let behind = Behind::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        let counts = (behind.older_than_newest, behind.pre_releases, behind.older_than, behind.servers);
        assert_eq!(counts, (3, 2, None, 0));
        let releases: Vec<_> = behind.keys.iter().map(|key| key.releases.join(" ")).collect();
        assert_eq!(releases, ["2.0.0-rc.1", "1.9"]);
    }

    #[test]
    fn ten_keys_are_named_and_all_are_counted() {
        let mut rows: Vec<_> = (1..=12).map(|number| row(number, "1.0.0", 1)).collect();
        rows.extend([row(99, "2.0.0", 1), row(99, "3.0.0", 1)]);
        let behind = Behind::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((behind.servers, behind.keys.len(), behind.keys_total), (12, 10, 13));
    }

    #[test]
    fn ten_releases_are_named_and_all_are_counted() {
        let rows: Vec<_> = (1..=14).map(|number| row(1, &format!("{number}.0.0"), 1)).collect();
        let behind = Behind::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((behind.keys[0].releases.len(), behind.keys[0].releases_total), (10, 13));
    }
}
