//! Releases: what versions are grouped and ordered by.
//!
//! Semantic versions, calendar versions and anything else are ordered as text, by a key that is made
//! once, when an event is received.

/// Number of numeric parts up to which a version is read as numbers.
const MOST_PARTS: usize = 6;

/// Number of digits of a part up to which it is a number.
const MOST_DIGITS: usize = 20;

/// A version as adoption counts and orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// The release that the version belongs to: `1.4` for `v1.4.2-rc.1`, `2026.11` for `2026.11.3`, the
    /// version itself where it has no two numbers.
    pub(crate) name: String,
    /// Orders versions as text, byte by byte: numbers by value, pre-releases before their release,
    /// every other text after all numbers.
    pub(crate) key: String,
}

impl Release {
    pub(crate) fn of(version: &str) -> Self {
        numeric(version).unwrap_or_else(|| Self { name: version.to_owned(), key: format!("~{version}") })
    }

    /// Whether it has a place among the others: it is made of numbers.
    pub(crate) fn is_ordered(&self) -> bool {
        !self.key.starts_with('~')
    }

    /// Whether it is made of numbers and is no pre-release.
    pub(crate) fn is_final(&self) -> bool {
        self.is_ordered() && self.key.ends_with('-')
    }

    /// Whether a change from `other` to it is an upgrade. Between versions of which one has no place among the others,
    /// every change is taken for one.
    pub(crate) fn may_follow(&self, other: &Self) -> bool {
        if self.is_ordered() && other.is_ordered() { other.key < self.key } else { *self != *other }
    }
}

/// The release of a version that begins with numbers, as semantic and calendar versions do.
fn numeric(version: &str) -> Option<Release> {
    let text = version.strip_prefix(['v', 'V']).unwrap_or(version);
    let text = text.split_once('+').map_or(text, |(text, _build)| text);
    let (numbers, pre_release) = match text.split_once('-') {
        Some((numbers, pre_release)) => (numbers, Some(pre_release)),
        None => (text, None),
    };
    let mut parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() > MOST_PARTS || !parts.iter().all(|part| is_number(part)) {
        return None;
    }
    let name = match parts.as_slice() {
        [major, minor, ..] => format!("{}.{}", plain(major), plain(minor)),
        _ => plain(parts[0]).to_owned(),
    };
    // `1.4` is `1.4.0`.
    while parts.len() < 3 {
        parts.push("0");
    }
    let numbers: Vec<String> = parts.iter().map(|part| padded(part)).collect();
    // `!` sorts before `-`, and `-` before the `.` of a further number.
    let end = match pre_release {
        None => "-".to_owned(),
        Some(pre_release) => {
            let identifiers: Vec<String> = pre_release.split('.').map(identifier).collect();
            format!("!{}!", identifiers.join("."))
        }
    };
    Some(Release { name, key: numbers.join(".") + &end })
}

/// An identifier of a pre-release: numbers order by value and before words (Semantic Versioning 2.0.0, 11).
fn identifier(text: &str) -> String {
    if is_number(text) { format!("0{}", padded(text)) } else { format!("1{text}") }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= MOST_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number without leading zeros.
fn plain(number: &str) -> &str {
    let significant = number.trim_start_matches('0');
    if significant.is_empty() { "0" } else { significant }
}

fn padded(number: &str) -> String {
    format!("{number:0>MOST_DIGITS$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_ordered_as_people_order_them() {
        let ordered = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0.1",
            "v1.0.1",
            "1.2",
            "1.2.1",
            "1.10.0",
            "24.04.1",
            "24.10",
            "2026.1.2",
            "2026.11.26",
            "main",
            "nightly-2026",
        ];
        let keys: Vec<String> = ordered.iter().map(|version| Release::of(version).key).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:#?}");
    }

    #[test]
    fn what_differs_in_spelling_alone_has_one_place() {
        for (one, other) in
            [("1.4", "1.4.0"), ("v1.4.0", "1.4.0"), ("1.4.0+a1b2", "1.4.0"), ("24.4", "24.04")]
        {
            assert_eq!(Release::of(one).key, Release::of(other).key, "{one} {other}");
        }
    }

    #[test]
    fn a_pre_release_is_not_final_and_a_word_has_no_place() {
        let is = |version: &str| (Release::of(version).is_ordered(), Release::of(version).is_final());
        assert_eq!(is("1.4.0"), (true, true));
        assert_eq!(is("1.4.0-rc.1"), (true, false));
        assert_eq!(is("main-"), (false, false));
        assert_eq!(is(""), (false, false));
        let follows = |to: &str, from: &str| Release::of(to).may_follow(&Release::of(from));
        assert!(follows("1.10", "1.9") && follows("1.9.0", "1.9.0-rc.1") && follows("1.9", "main"));
        assert!(!follows("1.9", "1.10") && !follows("1.9.0", "v1.9") && !follows("main", "main"));
    }

    #[test]
    fn a_release_has_two_numbers_where_the_version_has() {
        for (version, name) in [
            ("1.4.2", "1.4"),
            ("v1.4.2-rc.1+x", "1.4"),
            ("2026.11.3", "2026.11"),
            ("24.04", "24.4"),
            ("7", "7"),
            ("main", "main"),
            ("", ""),
            ("1..2", "1..2"),
            ("99999999999999999999999.1", "99999999999999999999999.1"),
        ] {
            assert_eq!(Release::of(version).name, name, "{version:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_bounded_and_numbers_order_by_value(
            text in "\\PC{0,128}", one in prop::array::uniform3(0u64..), other in prop::array::uniform3(0u64..),
        ) {
            prop_assert!(Release::of(&text).key.len() <= 1024);
            let key = |v: [u64; 3]| Release::of(&format!("{}.{}.{}", v[0], v[1], v[2])).key;
            prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
        }
    }
}
