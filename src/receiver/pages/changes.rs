//! A change of a server in words. Pure.

use super::page::short;
use super::words::{Icon, icon, number, shown};
use crate::receiver::api::changes::ChangeRow;
use crate::receiver::store::{Change, FleetChange, State, Turn};

/// A change in words, which follow the name of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The class of the state that it looks like.
    pub(super) class: &'static str,
    symbol: &'static str,
    pub(super) words: &'static str,
    /// The same beside the server in a list.
    pub(super) tag: &'static str,
    /// Whether the words end with the new value, a text from outside.
    has_value: bool,
}

const fn told(class: &'static str, symbol: &'static str, words: &'static str, tag: &'static str) -> Told {
    Told { class, symbol, words, tag, has_value: false }
}

const DOWN: Told = told("down", "s-down", "went down", "now down");
const LATE: Told = told("late", "s-late", "is late", "now late");
const AGAIN: Told = told("up", "s-up", "is up again", "up again");
const BEGUN: Told = told("up", "s-up", "began again", "up again");
const NEW: Told = told("ended", "s-new", "reported for the first time", "new");
const ENDED: Told = told("ended", "s-ended", "ended", "ended");
const LICENSE_LOST: Told = told("down", "s-down", "lost its license", "license lost");
const LICENSE_VALID: Told = told("up", "s-up", "has a valid license now", "license valid");
const VERSION: Told =
    Told { has_value: true, ..told("ended", "s-new", "changed to version", "other version") };
const PRODUCT: Told =
    Told { has_value: true, ..told("ended", "s-new", "changed to the product", "other product") };
const KEY: Told = Told { has_value: true, ..told("ended", "s-new", "belongs to the key", "other key") };
const ID: Told = told("ended", "s-new", "changed its id", "other id");
const RUN_LOST: Told = told("late", "s-late", "crashed: a run was lost", "run lost");
const FLOOD: Told = told("late", "s-late", "has too many new servers", "too many new");

impl Told {
    pub(super) fn of(change: Change, from: Option<&str>, to: &str) -> Self {
        match Turn::of(change, from, to) {
            Some(Turn::Down) => DOWN,
            Some(Turn::Late) => LATE,
            Some(Turn::Back | Turn::InTime) => AGAIN,
            Some(Turn::Begun) => BEGUN,
            Some(Turn::New) => NEW,
            Some(Turn::Ended) => ENDED,
            Some(Turn::LicenseLost) => LICENSE_LOST,
            Some(Turn::LicenseValid) => LICENSE_VALID,
            Some(Turn::Version) => VERSION,
            Some(Turn::Product) => PRODUCT,
            Some(Turn::Key) => KEY,
            Some(Turn::Id) => ID,
            Some(Turn::Crashed) => RUN_LOST,
            None => FLOOD,
        }
    }

    pub(super) fn of_row(row: &ChangeRow) -> Self {
        // What the API names a change by is read as it was written.
        let change = Change::parse(row.change).unwrap_or(Change::State);
        Self::of(change, row.from.as_deref(), &row.to)
    }

    pub(super) fn icon(&self) -> Icon {
        icon(self.symbol)
    }

    /// The new value, where the words end with it.
    pub(super) fn value<'a>(&self, to: &'a str) -> Option<&'a str> {
        self.has_value.then_some(to)
    }
}

/// Number of characters of a name that are shown in lists and sentences; the page of a server shows them all.
const NAME_LENGTH: usize = 64;

/// The name of a server, or the beginning of its id.
pub(super) fn whole_name(custom_id: Option<&str>, id: &uuid::Uuid) -> String {
    custom_id.map_or_else(|| short(id), shown)
}

/// The same, cut where it is long.
pub(super) fn name(custom_id: Option<&str>, id: &uuid::Uuid) -> String {
    let mut name = whole_name(custom_id, id);
    if let Some((end, _)) = name.char_indices().nth(NAME_LENGTH) {
        name.truncate(end);
        name.push('…');
    }
    name
}

/// Number of servers that are named where many change at once.
const NAMED: usize = 3;

/// Who went down and who is back, in sentences, for those who listen; empty where nobody is.
pub(super) fn spoken(changes: &[FleetChange]) -> String {
    let of = |told: Told| -> Vec<&FleetChange> {
        let is_it = |change: &&FleetChange| tag_of(change) == told;
        changes.iter().filter(is_it).collect()
    };
    let is_back = |change: &&FleetChange| change.transition.from.as_deref() == Some(State::Down.as_str());
    let (down, mut back) = (of(DOWN), of(AGAIN));
    back.retain(is_back);
    [(down, "went down", "went down"), (back, "is up again", "are up again")]
        .into_iter()
        .filter(|(who, ..)| !who.is_empty())
        .map(|(who, one, many)| match who.len() {
            1 => format!("{} {one}.", name_of(who[0])),
            2..=NAMED => {
                let names: Vec<String> = who.iter().map(|change| name_of(change)).collect();
                format!("{} {many}.", names.join(", "))
            }
            count => format!("{} servers {many}.", number(count as i64)),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) fn tag_of(change: &FleetChange) -> Told {
    let transition = &change.transition;
    Told::of(transition.change, transition.from.as_deref(), &transition.to)
}

fn name_of(change: &FleetChange) -> String {
    name(change.custom_id.as_deref(), &change.instance_id)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::receiver::store::{License, Transition};

    fn change(name: &str, from: Option<&str>, to: &str) -> FleetChange {
        let (change, from, to) = (Change::State, from.map(str::to_owned), to.to_owned());
        FleetChange {
            instance_id: Uuid::from_u128(1),
            custom_id: Some(name.to_owned()),
            key_id: Uuid::nil(),
            license: License::None,
            transition: Transition { at: Timestamp::UNIX_EPOCH, change, from, to },
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let id = Uuid::from_u128(1);
        assert_eq!(name(Some(&"é".repeat(64)), &id), "é".repeat(64));
        assert_eq!(name(Some(&"é".repeat(65)), &id), format!("{}…", "é".repeat(64)));
        assert_eq!(name(None, &id), "00000000");
    }

    #[test]
    fn a_change_is_told_in_words() {
        let words = |change, from, to| {
            let told = Told::of(change, from, to);
            format!(
                "{} {}{}",
                told.class,
                told.words,
                told.value(to).map(|to| format!(" {to}")).unwrap_or_default()
            )
        };
        for (change, from, to, expected) in [
            (Change::State, Some("late"), "down", "down went down"),
            (Change::State, Some("up"), "late", "late is late"),
            (Change::State, Some("down"), "up", "up is up again"),
            (Change::State, Some("ended"), "up", "up began again"),
            (Change::State, None, "up", "ended reported for the first time"),
            (Change::State, Some("up"), "ended", "ended ended"),
            (Change::License, Some("valid"), "invalid", "down lost its license"),
            (Change::License, Some("invalid"), "valid", "up has a valid license now"),
            (Change::Version, Some("2.2.4"), "2.3.1", "ended changed to version 2.3.1"),
            (Change::Key, Some("one"), "two", "ended belongs to the key two"),
            (Change::RunLost, None, "00000000-0000-4000-8000-000000000001", "late crashed: a run was lost"),
        ] {
            assert_eq!(words(change, from, to), expected);
        }
    }

    #[test]
    fn only_down_and_back_are_spoken() {
        let down = |name| change(name, Some("late"), "down");
        let back = |name| change(name, Some("down"), "up");
        assert_eq!(spoken(&[]), "");
        assert_eq!(spoken(&[change("a", Some("up"), "late"), change("b", Some("late"), "up")]), "");
        assert_eq!(spoken(&[down("a")]), "a went down.");
        assert_eq!(spoken(&[down("a"), back("b"), down("c")]), "a, c went down. b is up again.");
        assert_eq!(spoken(&["a", "b", "c", "d"].map(back)), "4 servers are up again.");
        assert_eq!(spoken(&[down("a\u{202e}b")]), "a\\u{202e}b went down.");
    }
}
