//! The lists of keys on the page "Server": those in use, and those that are revoked.

use std::cmp::Reverse;

use actix_web::HttpRequest;

use super::words::{folded, number};
use crate::receiver::api::keys::CountedKey;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;

/// Maximum number of keys in a list.
const LISTED: usize = 100;

/// The text that the names of listed keys contain, of the query of a page that can be searched for keys.
pub(super) fn key_search(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut given = Parameters::parse(request.query_string())?.without_empty();
    let search = given.take_text("key")?;
    given.finish()?;
    Ok(search)
}

/// All keys, or those whose names contain what is looked for.
pub(super) struct KeyLists {
    pub(super) search: Option<String>,
    /// By name.
    pub(super) in_use: KeyList,
    /// The last that was revoked first.
    pub(super) revoked: KeyList,
}

/// The first of some keys.
pub(super) struct KeyList {
    pub(super) listed: Vec<CountedKey>,
    /// Number of all that match.
    pub(super) matching: usize,
    /// Number of all.
    pub(super) all: usize,
}

impl KeyLists {
    pub(super) fn of(keys: Vec<CountedKey>, search: Option<String>) -> Self {
        let (mut in_use, mut revoked): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|counted| counted.key.revoked_at.is_none());
        in_use.sort_by_cached_key(|counted| (folded(&counted.key.name), counted.key.id));
        revoked.sort_by_key(|counted| Reverse(counted.key.revoked_at.as_ref().map(|at| at.0)));
        let text = folded(search.as_deref().unwrap_or_default());
        Self { in_use: KeyList::of(in_use, &text), revoked: KeyList::of(revoked, &text), search }
    }

    /// Whether people can look for a key: there are more than are listed, or they do already.
    pub(super) fn can_be_searched(&self) -> bool {
        self.in_use.are_many() || self.revoked.are_many() || self.search.is_some()
    }
}

impl KeyList {
    fn of(mut keys: Vec<CountedKey>, text: &str) -> Self {
        let all = keys.len();
        keys.retain(|counted| folded(&counted.key.name).contains(text));
        let matching = keys.len();
        keys.truncate(LISTED);
        Self { listed: keys, matching, all }
    }

    fn are_many(&self) -> bool {
        self.all > LISTED
    }

    /// Which they are, in words, where they are not all: `100 of 412`.
    pub(super) fn extent(&self) -> Option<String> {
        let count = |count: usize| number(count as i64);
        match (self.listed.len(), self.matching) {
            (_, matching) if matching == self.all && self.listed.len() == matching => None,
            (listed, matching) if listed == matching => {
                Some(format!("{} of {} match", count(matching), count(self.all)))
            }
            (listed, matching) if matching == self.all => {
                Some(format!("The first {} of {}", count(listed), count(matching)))
            }
            (listed, matching) => Some(format!(
                "The first {} of {} that match, of {}",
                count(listed),
                count(matching),
                count(self.all)
            )),
        }
    }
}
