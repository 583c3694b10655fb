//! Shares and the order of releases.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::receiver::store::{CensusRow, Release};

/// The part of a whole, to four decimals. `None` of nothing.
pub(super) fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// Sorts names of releases or versions: the newest first, and after them those that are not made of numbers.
pub(super) fn newest_first(name: &str) -> impl Ord + use<> {
    let release = Release::of(name);
    (Reverse(release.is_ordered()), Reverse(release.key))
}

/// Names of the releases in use that are more than a pre-release, the newest first.
pub(super) fn releases_out<'a>(rows: &[&'a CensusRow]) -> Vec<&'a str> {
    let is_out = rows.iter().filter(|row| row.release.is_final());
    let newest: BTreeMap<_, &str> =
        is_out.map(|row| (newest_first(&row.release.name), row.release.name.as_str())).collect();
    newest.into_values().collect()
}

pub(super) fn total(rows: &[&CensusRow]) -> i64 {
    rows.iter().map(|row| row.count).sum()
}
