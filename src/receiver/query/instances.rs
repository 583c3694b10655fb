//! A query for instances: what selects them, their order, and a page of them.
//!
//! Mutes keep what selects them as the text that is written here. Whatever was written once is read for ever, and means
//! the same.

use jiff::Timestamp;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::cursor::Cursor;
use super::flag::Flag;
use super::heard::{HEARD_RULE, Heard};
use crate::receiver::http::parameters::{LIMIT, Parameters};
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::judging::muting;
use crate::receiver::store::{
    FleetStore, InstanceCursor, InstanceFilter, License, Mute, NEW_FOR, Release, Sort, State, StoreError,
    before,
};

/// Number of characters of the longest version that a filter compares with.
const LONGEST_VERSION: usize = 128;

/// Number of digits of the beginning of a hash.
const HASH_DIGITS: std::ops::RangeInclusive<usize> = 8..=64;

/// What the beginning of a hash accepts, for people.
pub(crate) const HASH_RULE: &str = "8 to 64 hexadecimal digits";

/// Maximum number of ids of a query.
const MOST_IDS: usize = 200;

/// The parameters of a query for instances.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct InstanceQuery {
    pub(crate) states: Vec<State>,
    pub(crate) licenses: Vec<License>,
    /// The first digits of the hash of the license key.
    pub(crate) license_hash: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) system: Option<String>,
    pub(crate) key: Option<Uuid>,
    pub(crate) product: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) older_than: Option<String>,
    /// All of these are set.
    pub(crate) flags: Vec<Flag>,
    /// Not heard from for longer than this.
    pub(crate) heard: Option<Heard>,
    pub(crate) search: Option<String>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) sort: Sort,
    /// Whether each instance has its strip.
    pub(crate) has_strip: bool,
    pub(crate) limit: i64,
    pub(crate) after: Option<InstanceCursor>,
}

/// The first digits of a hash, in lower case, where a text is such: see [`HASH_RULE`].
pub(crate) fn read_hash(text: &str) -> Option<String> {
    let is_hash = HASH_DIGITS.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

/// The filter of a text, as mutes have it, at a moment. `None` where it cannot be read.
pub(crate) fn read_filter(query: &str, now: Timestamp) -> Option<InstanceFilter> {
    let asked = InstanceQuery::read_filter(query).ok().filter(|asked| !asked.is_about_mutes())?;
    Some(asked.filter(now, &[]))
}

impl InstanceQuery {
    /// Reads the query of a page.
    pub(crate) fn read(given: Parameters) -> Result<Self, Problem> {
        Self::read_page(given, LIMIT)
    }

    /// Reads the query of a page that has `usual` instances, unless it asks for another number.
    pub(crate) fn read_page(mut given: Parameters, usual: i64) -> Result<Self, Problem> {
        let mut asked = Self::take_filter(&mut given)?;
        asked.take_sort(&mut given)?;
        asked.has_strip = given.take_flag("strip")?;
        asked.limit = given.take_limit_or(usual)?;
        let accepts = "the next of an earlier answer with the same sort";
        let read = |text: &str| InstanceCursor::decode(text).filter(|after| after.sort() == asked.sort);
        asked.after = given.take("after", accepts, read)?;
        given.finish()?;
        Ok(asked)
    }

    /// The query of the first `limit` instances in a state.
    pub(crate) fn of_state(state: State, limit: i64) -> Self {
        Self { states: vec![state], limit, ..Self::default() }
    }

    /// Reads the query of a whole list.
    pub(crate) fn read_list(query: &str) -> Result<Self, Problem> {
        let mut given = Parameters::parse(query)?;
        let mut asked = Self::take_filter(&mut given)?;
        asked.take_sort(&mut given)?;
        given.finish()?;
        Ok(asked)
    }

    /// Reads what selects instances, and nothing else.
    pub(crate) fn read_filter(query: &str) -> Result<Self, Problem> {
        let mut given = Parameters::parse(query)?;
        let asked = Self::take_filter(&mut given)?;
        given.finish()?;
        Ok(asked)
    }

    /// Takes what selects instances, and nothing of what selects a page of them.
    pub(crate) fn take_filter(given: &mut Parameters) -> Result<Self, Problem> {
        let mut states = given.take_each("state", "down, late, up or ended", State::parse)?;
        states.sort_unstable_by_key(|state| state.rank());
        let mut licenses = given.take_each("license", "valid, invalid or none", License::parse)?;
        licenses.sort_unstable_by_key(|license| license.rank());
        let flags = "crashed, several-runs, cloned, restarting, new or muted";
        let mut flags = given.take_each("flag", flags, Flag::parse)?;
        flags.sort_unstable_by_key(|flag| Flag::ALL.iter().position(|known| known == flag));
        let ids =
            given.take_each("id", "ids of instances, 200 at most", |text| Uuid::try_parse(text).ok())?;
        if ids.len() > MOST_IDS {
            return Err(Problem::unusable(Cause::Parameter, "id", "ids of instances, 200 at most"));
        }
        Ok(Self {
            states,
            licenses,
            license_hash: given.take("license-hash", HASH_RULE, read_hash)?,
            version: given.take_text("version")?,
            system: given.take_text("system")?,
            key: given.take("key", "the id of a key", |text| Uuid::try_parse(text).ok())?,
            product: given.take_text("product")?,
            release: given.take_text("release")?,
            older_than: given.take("older-than", "a version made of numbers, such as 2.3", |text| {
                let is_version = text.chars().count() <= LONGEST_VERSION && Release::of(text).is_ordered();
                is_version.then(|| text.to_owned())
            })?,
            flags,
            heard: given.take("heard", HEARD_RULE, Heard::parse)?,
            search: given.take_text("search")?,
            ids,
            limit: LIMIT,
            ..Self::default()
        })
    }

    fn take_sort(&mut self, given: &mut Parameters) -> Result<(), Problem> {
        let sort = given.take("sort", "worst, silent, name, version or first-seen", Sort::parse)?;
        self.sort = sort.unwrap_or_default();
        Ok(())
    }

    /// The query of the page that begins at `after`, where a page without a limit has the `usual` length.
    pub(crate) fn to_query(&self, after: &str, usual: i64) -> String {
        let mut query = self.list();
        if self.has_strip {
            query.append_pair("strip", "true");
        }
        if self.limit != usual {
            query.append_pair("limit", &self.limit.to_string());
        }
        query.append_pair("after", after).finish()
    }

    /// The query of the whole list: the filter and the order.
    pub(crate) fn to_list(&self) -> String {
        self.list().finish()
    }

    /// The query of the filter alone.
    pub(crate) fn to_filter(&self) -> String {
        self.selection().finish()
    }

    fn list(&self) -> Serializer<'static, String> {
        let mut query = self.selection();
        if self.sort != Sort::default() {
            query.append_pair("sort", self.sort.as_str());
        }
        query
    }

    fn selection(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        let mut add = |name, value: Option<&str>| {
            query.extend_pairs(value.map(|value| (name, value)));
        };
        add("state", joined(&self.states, |state| state.as_str()).as_deref());
        add("license", joined(&self.licenses, |license| license.as_str()).as_deref());
        add("license-hash", self.license_hash.as_deref());
        add("version", self.version.as_deref());
        add("system", self.system.as_deref());
        add("key", self.key.map(|key| key.to_string()).as_deref());
        add("product", self.product.as_deref());
        add("release", self.release.as_deref());
        add("older-than", self.older_than.as_deref());
        add("flag", joined(&self.flags, |flag| flag.as_str()).as_deref());
        add("heard", self.heard.map(|heard| heard.to_string()).as_deref());
        add("search", self.search.as_deref());
        add("id", joined(&self.ids, |id| id.to_string()).as_deref());
        query
    }

    /// Whether it selects by what is muted. Such a filter must not be that of a mute.
    pub(crate) fn is_about_mutes(&self) -> bool {
        self.flags.contains(&Flag::Muted)
    }

    /// The filter, at a moment, where these are the mutes.
    pub(crate) fn filter(&self, now: Timestamp, mutes: &[Mute]) -> InstanceFilter {
        let is_asked = |flag| self.flags.contains(&flag).then_some(true);
        let muted = |_| muting::selection(&muting::in_force(mutes, now, read_filter));
        InstanceFilter {
            ids: self.ids.clone(),
            states: self.states.clone(),
            licenses: self.licenses.clone(),
            license_hash: self.license_hash.clone(),
            build_version: self.version.clone(),
            system: self.system.clone(),
            key_id: self.key,
            product: self.product.clone(),
            release: self.release.clone(),
            older_than: self.older_than.as_deref().map(|version| Release::of(version).key),
            crashed: is_asked(Flag::Crashed),
            several_runs: is_asked(Flag::SeveralRuns),
            cloned: is_asked(Flag::Cloned),
            restarting: is_asked(Flag::Restarting),
            first_seen_after: is_asked(Flag::New).and_then(|_| now.checked_sub(NEW_FOR).ok()),
            last_seen_before: self.heard.map(|heard| before(now, heard.length())),
            search: self.search.clone(),
            any_of: is_asked(Flag::Muted).map(muted),
        }
    }

    /// The filter, at a moment, for a store, which is asked for its mutes where they matter.
    pub(crate) async fn filter_for(
        &self,
        store: &dyn FleetStore,
        now: Timestamp,
    ) -> Result<InstanceFilter, StoreError> {
        let mutes = if self.is_about_mutes() { store.mutes().await? } else { Vec::new() };
        Ok(self.filter(now, &mutes))
    }
}

/// Values of one parameter.
fn joined<T, S: AsRef<str>>(values: &[T], text: impl Fn(&T) -> S) -> Option<String> {
    let texts: Vec<S> = values.iter().map(text).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::receiver::store::Muted;

    fn now() -> Timestamp {
        "2027-01-30T13:00:00Z".parse().unwrap()
    }

    #[track_caller]
    fn read(query: &str) -> InstanceQuery {
        InstanceQuery::read_filter(query).unwrap_or_else(|problem| panic!("{query}: {problem}"))
    }

    const KEY: &str = "00000000-0000-4000-8000-000000000001";

    /// Mutes keep such texts. None of them is ever removed from this list.
    #[test]
    fn filters_of_earlier_versions_are_read() {
        for text in [
            "state=down",
            "license=valid",
            "license=invalid%2Cnone",
            "version=1.0&product=example-server&release=1.0&older-than=2.3",
            &format!("state=up&license=valid&version=1.0&key={KEY}"),
            "flag=crashed",
            "flag=several-runs&search=eu-west+3",
            "flag=cloned",
            "flag=restarting",
            "flag=new",
        ] {
            assert!(read_filter(text, now()).is_some(), "{text}");
            assert_eq!(read(text).to_filter(), text);
        }
        let filter = read_filter("state=down&license=invalid%2Cnone", now()).unwrap();
        assert_eq!(filter.states, [State::Down]);
        assert_eq!(filter.licenses, [License::Invalid, License::None]);
    }

    #[test]
    fn a_filter_is_written_in_one_way() {
        let hash = "0A".repeat(32);
        for (given, written) in [
            ("", ""),
            ("state=up,down,up", "state=down%2Cup"),
            ("state=late&state=down", "state=down%2Clate"),
            ("license=none&license=invalid", "license=invalid%2Cnone"),
            ("system=linux/amd64", "system=linux%2Famd64"),
            ("heard=168&search=a%2Cb", "heard=1w&search=a%2Cb"),
            ("flag=new,crashed", "flag=crashed%2Cnew"),
            (&format!("license-hash={hash}"), &format!("license-hash={}", hash.to_lowercase())),
            (&format!("id={KEY}&id={}", KEY.to_uppercase()), &format!("id={KEY}")),
        ] {
            assert_eq!(read(given).to_filter(), written, "{given}");
            assert_eq!(read(written).to_filter(), written);
        }
    }

    #[test]
    fn what_selects_nothing_in_particular_is_refused() {
        for query in [
            "state=fine",
            "state=up,fine",
            "license=yes",
            "license-hash=abc",
            "license-hash=0123456g",
            &format!("license-hash={}", "0".repeat(65)),
            "system=",
            "heard=soon",
            "flag=old",
            "older-than=main",
            "id=1",
            "sort=name",
            "limit=5",
        ] {
            assert!(InstanceQuery::read_filter(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_page_goes_on_in_its_order_alone() {
        let place = InstanceCursor::Name(None, Uuid::nil()).encode();
        let page = |query: String| InstanceQuery::read(Parameters::parse(&query).unwrap());
        let asked = page(format!("sort=name&state=up&limit=7&strip=true&after={place}")).unwrap();
        assert_eq!(
            asked.to_query(&place, LIMIT),
            format!("state=up&sort=name&strip=true&limit=7&after={place}")
        );
        assert_eq!(
            (asked.to_list(), asked.to_filter()),
            ("state=up&sort=name".to_owned(), "state=up".to_owned())
        );
        for other in ["sort=version", "sort=worst", "limit=5"] {
            let refused = page(format!("{other}&after={place}")).unwrap_err();
            assert!(refused.to_string().contains("with the same sort"), "{refused}");
        }
    }

    #[test]
    fn what_is_asked_for_is_counted_from_now() {
        let filter = read("heard=36h&flag=new,restarting&older-than=v2").filter(now(), &[]);
        assert_eq!(filter.last_seen_before, Some(now() - SignedDuration::from_hours(36)));
        assert_eq!(filter.first_seen_after, Some(now() - SignedDuration::from_hours(24)));
        assert_eq!((filter.restarting, filter.crashed), (Some(true), None));
        assert_eq!(filter.older_than, Some(Release::of("2.0.0").key));
        let longest = read("heard=9999w").filter(now(), &[]);
        assert_eq!(longest.last_seen_before, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn the_muted_are_those_of_any_mute_that_lasts() {
        let mute = |of, hours| Mute {
            id: Uuid::nil(),
            of,
            reason: "maintenance".to_owned(),
            until: now() + SignedDuration::from_hours(hours),
            created_at: now(),
        };
        let (one, two, key) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mutes = [
            mute(Muted::Instance(one), 1),
            mute(Muted::Key(key), 1),
            mute(Muted::Instance(two), 1),
            mute(Muted::Filter("state=down".to_owned()), 1),
            mute(Muted::Filter("state=up".to_owned()), 0),
            mute(Muted::Filter("of=tomorrow".to_owned()), 1),
            mute(Muted::Filter("flag=muted".to_owned()), 1),
        ];
        let all = InstanceFilter::default();
        let expected = vec![
            InstanceFilter { ids: vec![one, two], ..all.clone() },
            InstanceFilter { key_id: Some(key), ..all.clone() },
            InstanceFilter { states: vec![State::Down], ..all.clone() },
        ];
        assert_eq!(read("flag=muted").filter(now(), &mutes).any_of, Some(expected));
        assert_eq!(read("flag=muted").filter(now(), &[]).any_of, Some(Vec::new()));
        assert_eq!(read("flag=new").filter(now(), &mutes).any_of, None);
        assert_eq!(read_filter("flag=muted", now()), None, "a mute is not about mutes");
    }
}
