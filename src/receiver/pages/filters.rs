//! The filter of the list of the fleet: its parts in words, and links that add to it or drop a part of it. Pure.

use jiff::SignedDuration;
use uuid::Uuid;

use super::page::flag_words;
use super::words::{count, exact, number, shown};
use crate::receiver::query::flag::Flag;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{License, Sort, State};

/// The query of the servers that have not ended.
pub(super) const NOT_ENDED: &str = "state=down%2Clate%2Cup";

/// A link to the list with another filter, or in another order.
pub(super) struct Link {
    pub(super) href: String,
    /// Whether it is what the list shows.
    pub(super) is_on: bool,
}

impl Link {
    /// `change` changes the query, and gets whether the link is on.
    fn of(asked: &InstanceQuery, is_on: bool, change: impl FnOnce(&mut InstanceQuery)) -> Self {
        let mut other = asked.clone();
        change(&mut other);
        Self { href: href(&other), is_on }
    }
}

/// The address of the first page of a list.
pub(super) fn href(asked: &InstanceQuery) -> String {
    match asked.to_list() {
        all if all.is_empty() => "./".to_owned(),
        list => format!("?{list}"),
    }
}

/// Servers in this state alone, among those that match. A number stands beside the link, so it leads there in any case.
pub(super) fn of_state(asked: &InstanceQuery, state: State) -> Link {
    Link::of(asked, asked.states == [state], |other| other.states = vec![state])
}

/// Servers with this license alone; those that have not ended, unless the states are asked for.
pub(super) fn of_license(asked: &InstanceQuery, license: License) -> Link {
    let is_on = asked.licenses == [license];
    Link::of(asked, is_on, |other| {
        other.licenses = if is_on { Vec::new() } else { vec![license] };
        if !is_on && asked.states.is_empty() {
            other.states = vec![State::Down, State::Late, State::Up];
        }
    })
}

/// Servers with this flag as well.
pub(super) fn of_flag(asked: &InstanceQuery, flag: Flag) -> Link {
    let is_on = asked.flags.contains(&flag);
    Link::of(asked, is_on, |other| match is_on {
        true => other.flags.retain(|one| *one != flag),
        false => other.flags.push(flag),
    })
}

/// Servers of this key alone.
pub(super) fn of_key(asked: &InstanceQuery, key: Uuid) -> Link {
    Link::of(asked, asked.key == Some(key), |other| other.key = Some(key))
}

/// The same list in another order.
pub(super) fn by(asked: &InstanceQuery, sort: Sort) -> Link {
    Link::of(asked, asked.sort == sort, |other| other.sort = sort)
}

/// A part of the filter, in words.
pub(super) struct Part {
    /// What is filtered by; empty where the value says it.
    pub(super) name: &'static str,
    pub(super) value: String,
    /// The list without it.
    pub(super) without: String,
}

/// The parts of the filter that is in use. `key` is what people know its key by.
pub(super) fn parts(asked: &InstanceQuery, key: Option<&str>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |name, value: Option<String>, drop: fn(&mut InstanceQuery)| {
        let without = || Link::of(asked, true, drop).href;
        parts.extend(value.map(|value| Part { name, value, without: without() }));
    };
    add("", states(&asked.states), |other| other.states.clear());
    add("license", either(&asked.licenses, |license| license.as_str()), |other| other.licenses.clear());
    add("license hash", asked.license_hash.clone(), |other| other.license_hash = None);
    add("release", asked.release.as_deref().map(shown), |other| other.release = None);
    add("older than", asked.older_than.as_deref().map(shown), |other| other.older_than = None);
    add("version", asked.version.as_deref().map(shown), |other| other.version = None);
    add("system", asked.system.as_deref().map(shown), |other| other.system = None);
    add("key", key.map(shown), |other| other.key = None);
    add("product", asked.product.as_deref().map(shown), |other| other.product = None);
    let silence = asked.heard.and_then(|heard| SignedDuration::try_from(heard.length()).ok());
    add("not heard from for", silence.map(exact), |other| other.heard = None);
    add("name or id", asked.search.as_deref().map(|text| format!("“{}”", shown(text))), |other| {
        other.search = None;
    });
    let ids = asked.ids.len() as i64;
    add("", (ids > 0).then(|| format!("{} that were selected", number(ids))), |other| other.ids.clear());
    parts.extend(asked.flags.iter().map(|flag| Part {
        name: "",
        value: flag_words(flag).to_owned(),
        without: of_flag(asked, *flag).href,
    }));
    parts
}

/// States in words.
fn states(asked: &[State]) -> Option<String> {
    match asked {
        [State::Down, State::Late, State::Up] => Some("not ended".to_owned()),
        _ => either(asked, |state| state.as_str()),
    }
}

fn either<T>(values: &[T], text: impl Fn(&T) -> &'static str) -> Option<String> {
    let texts: Vec<&str> = values.iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join(" or "))
}

/// The order of a list, in words.
pub(super) fn order(asked: &InstanceQuery) -> &'static str {
    let is_one_state = asked.states.len() == 1;
    match asked.sort {
        Sort::Worst if is_one_state => "the latest change of state first",
        Sort::Silent if is_one_state => "the earliest change of state first",
        Sort::Worst => "worst first, in each state the latest change first",
        Sort::Silent => "worst first, in each state the longest first",
        Sort::Name => "by name",
        Sort::Version => "by version, the oldest first",
        Sort::FirstSeen => "the latest seen first",
    }
}

/// An order by its name in a list of orders.
pub(super) fn order_name(sort: Sort) -> &'static str {
    match sort {
        Sort::Worst => "worst, then latest",
        Sort::Silent => "worst, then longest",
        Sort::Name => "name",
        Sort::Version => "oldest version",
        Sort::FirstSeen => "latest seen",
    }
}

/// All servers that match, as something is done with them.
pub(super) fn all_that_match(matching: i64) -> String {
    match matching {
        1 => "the one that matches".to_owned(),
        _ => format!("all {} that match", number(matching)),
    }
}

/// Which part of a list a page shows: `1 to 50 of 1,312`.
pub(super) fn extent(asked: &InstanceQuery, shown: usize, matching: i64) -> String {
    let shown = shown as i64;
    match asked.after {
        None if shown >= matching => count(shown, "server"),
        None => format!("1 to {} of {}", number(shown), number(matching)),
        Some(_) => format!("{} more of {}", number(shown), number(matching)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> InstanceQuery {
        InstanceQuery::read_list(query).unwrap_or_else(|problem| panic!("{query}: {problem}"))
    }

    #[test]
    fn each_part_of_a_filter_is_told_and_can_be_dropped() {
        let key = "00000000-0000-4000-8000-000000000001";
        let query = format!(
            "state=down,late&license=none&license-hash=3fa29c11&version=2.3.1&system=linux/amd64&key={key}&product=p\
             &release=2.3&older-than=2.4&flag=crashed,new&heard=7d&search=eu%20w&id={key}&sort=name"
        );
        let asked = asked(&query);
        let parts = parts(&asked, Some("Acme"));
        let words: Vec<String> =
            parts.iter().map(|part| format!("{} {}", part.name, part.value).trim().to_owned()).collect();
        assert_eq!(
            words,
            [
                "down or late",
                "license none",
                "license hash 3fa29c11",
                "release 2.3",
                "older than 2.4",
                "version 2.3.1",
                "system linux/amd64",
                "key Acme",
                "product p",
                "not heard from for 7 days",
                "name or id “eu w”",
                "1 that were selected",
                "crashed",
                "new"
            ]
        );
        for part in &parts {
            let without = InstanceQuery::read_list(&part.without[1..]).unwrap();
            assert_eq!(
                super::parts(&without, without.key.map(|_| "Acme")).len(),
                parts.len() - 1,
                "{}",
                part.value
            );
            assert_eq!(without.sort, Sort::Name);
        }
    }

    #[test]
    fn the_states_of_those_that_have_not_ended_are_one_word() {
        let value = |query: &str| parts(&asked(query), None).remove(0).value;
        assert_eq!(value(NOT_ENDED), "not ended");
        assert_eq!(value("state=late%2Cup"), "late or up");
        assert_eq!(value("state=down"), "down");
    }

    #[test]
    fn links_turn_a_filter_on_and_off() {
        let all = asked("");
        assert_eq!(
            (of_state(&all, State::Down).href.as_str(), of_state(&all, State::Down).is_on),
            ("?state=down", false)
        );
        let down = asked("state=down&flag=crashed");
        let link = of_state(&down, State::Down);
        assert_eq!((link.href.as_str(), link.is_on), ("?state=down&flag=crashed", true));
        assert_eq!(of_state(&down, State::Late).href, "?state=late&flag=crashed");
        assert_eq!(of_flag(&down, Flag::Crashed).href, "?state=down");
        assert_eq!(of_license(&asked("license=none"), License::None).href, "./");
        assert_eq!(by(&down, Sort::Name).href, "?state=down&flag=crashed&sort=name");
        assert!(by(&down, Sort::Worst).is_on);
    }

    #[test]
    fn a_page_says_which_part_it_is() {
        let all = asked("");
        assert_eq!(extent(&all, 50, 1_312), "1 to 50 of 1,312");
        let orders =
            ["", "state=down,late", "state=up", "state=up&sort=silent"].map(|query| order(&asked(query)));
        let (latest, earliest) = ("the latest change of state first", "the earliest change of state first");
        let worst = "worst first, in each state the latest change first";
        assert_eq!(orders, [worst, worst, latest, earliest]);
        assert_eq!(
            (extent(&all, 1, 1), extent(&all, 12, 12)),
            ("1 server".to_owned(), "12 servers".to_owned())
        );
    }
}
