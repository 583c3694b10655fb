//! The page "Servers by key": which keys, such as those of customers, have lost servers.

use std::cmp::Reverse;
use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::key_lists::key_search;
use super::page::{Refusal, key_name, refuse, respond};
use super::words::{count, folded, number, shown};
use crate::receiver::app::App;
use crate::receiver::counts::States;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{KeyCount, State};

/// Number of keys that are listed: those that lost most.
const LISTED: usize = 200;

/// Number of keys up to which nobody has to look for one.
const FEW: usize = 20;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/by-key").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "by_key.html")]
struct ByKeyPage {
    frame: Frame,
    headline: String,
    keys: Vec<OfKey>,
    can_be_searched: bool,
    /// What the names of the listed keys contain.
    search: Option<String>,
    /// Number of keys that match and are not listed.
    more: i64,
}

/// The servers of a key.
#[derive(Debug, PartialEq)]
struct OfKey {
    id: Uuid,
    name: String,
    states: States,
}

impl OfKey {
    /// The numbers of its servers, the worst state first.
    fn counts(&self) -> [(State, i64); 4] {
        let States { down, late, up, ended } = self.states;
        [(State::Down, down), (State::Late, late), (State::Up, up), (State::Ended, ended)]
    }
}

/// The keys that have servers, those with most that are down first, then those with most that are late, then by name.
fn by_loss(counts: &[KeyCount], name: impl Fn(Uuid) -> String) -> Vec<OfKey> {
    let mut states = HashMap::<Uuid, States>::new();
    for counted in counts {
        states.entry(counted.key_id).or_default().add(counted.state, counted.count);
    }
    let mut keys: Vec<OfKey> =
        states.into_iter().map(|(id, states)| OfKey { id, name: name(id), states }).collect();
    keys.sort_by_cached_key(|key| (Reverse((key.states.down, key.states.late)), folded(&key.name), key.id));
    keys
}

/// The keys that have servers in these states, with their numbers, those with most first.
pub(super) fn with_most(
    counts: &[KeyCount],
    states: &[State],
    name: impl Fn(Uuid) -> String,
) -> Vec<(Uuid, String, i64)> {
    let in_states = |key: &OfKey| -> i64 {
        let counts = key.counts().into_iter().filter(|(state, _)| states.contains(state));
        counts.map(|(_, count)| count).sum()
    };
    let counted = by_loss(counts, name).into_iter().map(|key| (in_states(&key), key));
    let mut keys: Vec<_> =
        counted.filter(|(count, _)| *count > 0).map(|(count, key)| (key.id, key.name, count)).collect();
    keys.sort_by_key(|(.., count)| Reverse(*count));
    keys
}

/// Who lost servers, in a sentence.
fn headline(keys: &[OfKey]) -> String {
    let all = keys.len() as i64;
    let of_all = if all == 1 { "the one key".to_owned() } else { format!("{} keys", number(all)) };
    match keys.iter().filter(|key| key.states.down > 0).count() as i64 {
        _ if all == 0 => "No key has a server".to_owned(),
        0 if all == 1 => "The one key has no server that is down".to_owned(),
        0 => format!("None of {of_all} has a server that is down"),
        lost if lost == all && all == 1 => "The one key has servers that are down".to_owned(),
        lost => format!("{} of {of_all} {} servers that are down", number(lost), have(lost)),
    }
}

fn have(number: i64) -> &'static str {
    if number == 1 { "has" } else { "have" }
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let search = key_search(&request)?;
        let counts = app.counts.of_keys().await?;
        let name = |id: Uuid| key_name(app.keys.shown_name(id).as_deref(), &id);
        let mut keys = by_loss(&counts, name);
        let headline = headline(&keys);
        let can_be_searched = keys.len() > FEW || search.is_some();
        if let Some(text) = search.as_deref().map(folded) {
            keys.retain(|key| folded(&key.name).contains(&text));
        }
        let more = keys.len().saturating_sub(LISTED) as i64;
        keys.truncate(LISTED);
        let frame = Frame::of(&app, Section::Fleet, 0).await;
        Ok::<_, Problem>(ByKeyPage { frame, headline, keys, can_be_searched, search, more })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(key: u128, state: State, count: i64) -> KeyCount {
        KeyCount { key_id: Uuid::from_u128(key), state, count }
    }

    fn of(counts: &[KeyCount]) -> Vec<OfKey> {
        by_loss(counts, |id| ["nobody", "Acme", "Beta", "acorn"][id.as_u128() as usize].to_owned())
    }

    #[test]
    fn who_lost_most_comes_first() {
        let counts = [
            counted(1, State::Up, 90),
            counted(2, State::Down, 1),
            counted(3, State::Down, 1),
            counted(3, State::Late, 2),
            counted(0, State::Ended, 7),
        ];
        let keys = of(&counts);
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["acorn", "Beta", "Acme", "nobody"]);
        assert_eq!(keys[0].counts().map(|(_, count)| count), [1, 2, 0, 0]);
        assert_eq!(headline(&keys), "2 of 4 keys have servers that are down");
    }

    #[test]
    fn the_keys_with_most_servers_in_some_states_come_first() {
        let counts = [
            counted(1, State::Up, 90),
            counted(1, State::Down, 2),
            counted(2, State::Late, 1),
            counted(3, State::Down, 1),
            counted(3, State::Late, 2),
        ];
        let names = |states: &[State]| -> Vec<(String, i64)> {
            let name = |id: Uuid| ["nobody", "Acme", "Beta", "acorn"][id.as_u128() as usize].to_owned();
            with_most(&counts, states, name).into_iter().map(|(_, name, count)| (name, count)).collect()
        };
        let of = |name: &str, count| (name.to_owned(), count);
        assert_eq!(names(&[State::Down]), [of("Acme", 2), of("acorn", 1)]);
        assert_eq!(names(&[State::Down, State::Late]), [of("acorn", 3), of("Acme", 2), of("Beta", 1)]);
        assert_eq!(names(&[State::Ended]), []);
    }

    #[test]
    fn the_first_sentence_counts_the_keys_that_lost_servers() {
        let up = counted(1, State::Up, 9);
        for (counts, sentence) in [
            (vec![], "No key has a server"),
            (vec![up], "The one key has no server that is down"),
            (vec![counted(1, State::Down, 2)], "The one key has servers that are down"),
            (vec![up, counted(2, State::Late, 1)], "None of 2 keys has a server that is down"),
            (vec![up, counted(2, State::Down, 1)], "1 of 2 keys has servers that are down"),
        ] {
            assert_eq!(headline(&of(&counts)), sentence);
        }
    }
}
