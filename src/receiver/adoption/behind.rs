//! Who is most behind.

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

/// Servers on releases older than the last two.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Behind {
    /// The release before the newest.
    pub(crate) older_than: String,
    pub(crate) servers: i64,
    /// Those with the most such servers.
    pub(crate) keys: Vec<KeyBehind>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct KeyBehind {
    pub(crate) key_id: Uuid,
    pub(crate) servers: i64,
    /// All servers of the key.
    pub(crate) of: i64,
    /// The oldest of the releases that those behind run, the oldest first.
    pub(crate) releases: Vec<String>,
    /// Number of all of these releases.
    pub(crate) releases_total: usize,
}

impl Behind {
    /// `None` where there is one release, or none.
    pub(super) fn of(rows: &[&CensusRow]) -> Option<Self> {
        let older_than = *releases_out(rows).get(1)?;
        let bound = Release::of(older_than);
        let mut keys = BTreeMap::<Uuid, (i64, i64, BTreeMap<&str, &str>)>::new();
        for row in rows {
            let (servers, of, releases) = keys.entry(row.kind.key_id).or_default();
            *of += row.count;
            if row.release.key < bound.key {
                *servers += row.count;
                releases.entry(&row.release.key).or_insert(&row.release.name);
            }
        }
        let behind = |(key_id, (servers, of, releases)): (Uuid, (i64, i64, BTreeMap<&str, &str>))| {
            let mut releases: Vec<String> = releases.into_values().map(str::to_owned).collect();
            releases.dedup();
            let releases_total = releases.len();
            releases.truncate(NAMED_RELEASES);
            KeyBehind { key_id, servers, of, releases, releases_total }
        };
        let mut keys: Vec<KeyBehind> = keys.into_iter().map(behind).collect();
        keys.retain(|key| key.servers > 0);
        keys.sort_by_key(|key| Reverse(key.servers));
        let servers = keys.iter().map(|key| key.servers).sum();
        keys.truncate(NAMED_KEYS);
        Some(Self { older_than: older_than.to_owned(), servers, keys })
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
    fn keys_with_most_servers_older_than_the_release_before_the_newest_come_first() {
        let rows = [
            row(1, "2.3.1", 5),
            row(1, "2.1.0", 2),
            row(2, "2.2.0", 4),
            row(2, "2.2.0-rc.1", 1),
            row(2, "1.0.0", 3),
            row(3, "main", 9),
            row(3, "2.4.0-rc.1", 1),
        ];
        let key = |key, servers, of, releases: &[&str]| KeyBehind {
            key_id: Uuid::from_u128(key),
            servers,
            of,
            releases: releases.iter().map(|name| (*name).to_owned()).collect(),
            releases_total: releases.len(),
        };
        let keys = vec![key(2, 4, 8, &["1.0", "2.2"]), key(1, 2, 7, &["2.1"])];
        let expected = Behind { older_than: "2.2".to_owned(), servers: 6, keys };
        assert_eq!(Behind::of(&rows.iter().collect::<Vec<_>>()), Some(expected));
        assert_eq!(Behind::of(&[&rows[0], &rows[5]]), None);
    }

    #[test]
    fn ten_keys_are_named_and_all_are_counted() {
        let mut rows: Vec<_> = (1..=12).map(|number| row(number, "1.0.0", 1)).collect();
        rows.extend([row(99, "2.0.0", 1), row(99, "3.0.0", 1)]);
        let behind = Behind::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((behind.servers, behind.keys.len()), (12, 10));
    }

    #[test]
    fn ten_releases_are_named_and_all_are_counted() {
        let rows: Vec<_> = (1..=14).map(|number| row(1, &format!("{number}.0.0"), 1)).collect();
        let behind = Behind::of(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((behind.keys[0].releases.len(), behind.keys[0].releases_total), (10, 12));
    }
}
