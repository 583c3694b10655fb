//! The selection of instances, for lists, mutes and forgetting.

use jiff::Timestamp;
use uuid::Uuid;

use super::facts::{Facts, License};
use super::instance::{Instance, State};
use super::release::Release;

/// Number of digits of the hash of a license key.
const HASH_DIGITS: usize = 64;

/// A selection of instances: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InstanceFilter {
    /// One of these; any instance where there are none.
    pub(crate) ids: Vec<Uuid>,
    /// In one of these states; in any where there are none.
    pub(crate) states: Vec<State>,
    /// With a license that is one of these; with any where there are none.
    pub(crate) licenses: Vec<License>,
    /// The beginning of the hash of the license key (see [`hashes_beginning_with`]).
    pub(crate) license_hash: Option<String>,
    pub(crate) build_version: Option<String>,
    /// Operating system and processor: `linux/amd64`.
    pub(crate) system: Option<String>,
    pub(crate) key_id: Option<Uuid>,
    pub(crate) product: Option<String>,
    /// Name of the release, as [`Release`] has it.
    pub(crate) release: Option<String>,
    /// Of an earlier version than the one with this key of a [`Release`].
    pub(crate) older_than: Option<String>,
    pub(crate) crashed: Option<bool>,
    pub(crate) several_runs: Option<bool>,
    pub(crate) cloned: Option<bool>,
    pub(crate) restarting: Option<bool>,
    /// First seen after this time.
    pub(crate) first_seen_after: Option<Timestamp>,
    /// Last seen before this time.
    pub(crate) last_seen_before: Option<Timestamp>,
    /// A part of the custom id in upper or lower case (see [`searched`]), or the beginning of the instance id
    /// (see [`ids_beginning_with`]).
    pub(crate) search: Option<String>,
    /// Matching one of these as well: none matches where there are none.
    pub(crate) any_of: Option<Vec<InstanceFilter>>,
}

impl InstanceFilter {
    /// Whether an instance matches. The stores say the same in SQL.
    pub(crate) fn matches(&self, instance: &Instance) -> bool {
        let Self {
            ids,
            states,
            licenses,
            license_hash,
            build_version,
            system,
            key_id,
            product,
            release,
            older_than,
            crashed,
            several_runs,
            cloned,
            restarting,
            first_seen_after,
            last_seen_before,
            search,
            any_of,
        } = self;
        let (flags, facts) = (instance.flags, &instance.facts);
        let of_version = || Release::of(&facts.build_version);
        is_among(ids, &instance.instance_id)
            && is_among(states, &instance.state)
            && is_among(licenses, &facts.license())
            && license_hash.as_deref().is_none_or(|beginning| has_hash(facts, beginning))
            && build_version.as_ref().is_none_or(|version| *version == facts.build_version)
            && system.as_ref().is_none_or(|system| *system == facts.system())
            && key_id.is_none_or(|key_id| key_id == facts.key_id)
            && product.as_ref().is_none_or(|product| *product == facts.product)
            && release.as_ref().is_none_or(|release| *release == of_version().name)
            && older_than.as_ref().is_none_or(|key| of_version().key < *key)
            && crashed.is_none_or(|crashed| crashed == flags.crashed)
            && several_runs.is_none_or(|several| several == flags.several_runs)
            && cloned.is_none_or(|cloned| cloned == flags.cloned)
            && restarting.is_none_or(|restarting| restarting == flags.restarting)
            && first_seen_after.is_none_or(|after| instance.first_seen_at > after)
            && last_seen_before.is_none_or(|before| instance.last_seen_at < before)
            && search.as_deref().is_none_or(|search| is_found(instance, search))
            && any_of.as_ref().is_none_or(|filters| filters.iter().any(|filter| filter.matches(instance)))
    }

    /// The states as their numbers, in the form of SQL: `0, 1`.
    pub(super) fn ranks(&self) -> String {
        let ranks: Vec<String> = self.states.iter().map(|state| state.rank().to_string()).collect();
        ranks.join(", ")
    }
}

fn is_among<T: PartialEq>(values: &[T], value: &T) -> bool {
    values.is_empty() || values.contains(value)
}

fn has_hash(facts: &Facts, beginning: &str) -> bool {
    let (first, last) = hashes_beginning_with(beginning);
    facts.license_key_hash.as_ref().is_some_and(|hash| (&first..=&last).contains(&hash))
}

fn is_found(instance: &Instance, search: &str) -> bool {
    let has_name = searched(&instance.facts).is_some_and(|name| name.contains(&search.to_lowercase()));
    let has_id = || {
        ids_beginning_with(search).is_some_and(|(first, last)| (first..=last).contains(&instance.instance_id))
    };
    has_name || has_id()
}

/// The text that a search looks in: the custom id in lower case. It is stored, because no database folds the
/// case of all of Unicode the way Rust does, or another database does.
pub(super) fn searched(facts: &Facts) -> Option<String> {
    facts.custom_id.as_deref().map(str::to_lowercase)
}

/// The first and the last id whose text begins with `text`, in upper or lower case. `None` if no id does.
pub(super) fn ids_beginning_with(text: &str) -> Option<(Uuid, Uuid)> {
    let filled = |with: &str| {
        let rest = with.get(text.len()..)?;
        let id = format!("{text}{rest}");
        // Hyphens in other positions make another form of a UUID, or none.
        Uuid::parse_str(&id).ok().filter(|parsed| parsed.to_string().eq_ignore_ascii_case(&id))
    };
    Some((filled("00000000-0000-0000-0000-000000000000")?, filled("ffffffff-ffff-ffff-ffff-ffffffffffff")?))
}

/// The first and the last hash of a license key that begins with these digits.
pub(super) fn hashes_beginning_with(digits: &str) -> (String, String) {
    (format!("{digits:0<HASH_DIGITS$}"), format!("{digits:f<HASH_DIGITS$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_the_beginning_of_their_text() {
        let id = |text: &str| Uuid::parse_str(text).unwrap();
        let range = ids_beginning_with("aB0");
        let expected =
            (id("ab000000-0000-0000-0000-000000000000"), id("ab0fffff-ffff-ffff-ffff-ffffffffffff"));
        assert_eq!(range, Some(expected));
        let whole = "abcdef01-2345-6789-abcd-ef0123456789";
        assert_eq!(ids_beginning_with(whole), Some((id(whole), id(whole))));
        assert_eq!(ids_beginning_with(""), Some((Uuid::nil(), Uuid::max())));
        for text in [
            "g",
            "abcdef012",
            "abcdef-01",
            "{abcdef0",
            "urn:uuid:",
            "abcdef01-2345-6789-abcd-ef01234567890",
            "ä",
            "0\u{10FFFF}",
        ] {
            assert_eq!(ids_beginning_with(text), None, "{text}");
        }
    }

    #[test]
    fn hashes_are_found_by_their_beginning() {
        let (first, last) = hashes_beginning_with("0a");
        assert_eq!((first.len(), last.len()), (HASH_DIGITS, HASH_DIGITS));
        assert!(first.starts_with("0a00") && last.starts_with("0aff"));
        let whole = "3c".repeat(32);
        assert_eq!(hashes_beginning_with(&whole), (whole.clone(), whole));
    }
}
