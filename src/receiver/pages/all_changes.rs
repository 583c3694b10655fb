//! The page "All changes": what became of the servers of the fleet, newest first.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::Timestamp;

use super::changes::{Told, name};
use super::frame::{Frame, Section};
use super::page::{Refusal, key_name, refuse, respond};
use super::words::{number, shown, span};
use crate::receiver::api::changes::{ChangePage, ChangeQuery, ChangeRow};
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::store::{LOOKED_AT, Turn};

/// How many times the page looks at [`LOOKED_AT`] changes where none of them matches.
const MOST_LOOKS: i64 = 5;

/// Number of changes that were looked at where none of them matches, and there are more.
const MOST_LOOKED_AT: i64 = MOST_LOOKS * LOOKED_AT;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/changes").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    frame: Frame,
    headline: String,
    asked: ChangeQuery,
    filter: String,
    changes: Vec<ChangeRow>,
    next: Option<String>,
    /// The name of the key that is asked for.
    key: Option<String>,
}

/// A link that looks at one kind of changes as well, or not any more.
#[derive(Debug, PartialEq)]
struct Chip {
    name: &'static str,
    is_on: bool,
    href: String,
}

impl ChangesPage {
    fn chips(&self) -> Vec<Chip> {
        Turn::ALL.map(|turn| chip(&self.asked, turn)).into()
    }

    /// Where it is asked who is up again after being down: the page of those that began again after they had ended.
    fn begun_instead(&self) -> Option<String> {
        let mut other = self.asked.clone();
        let turns = std::mem::replace(&mut other.filter.turns, vec![Turn::Begun]);
        (turns == [Turn::Back]).then(|| href(&other))
    }

    /// The page without the key that is asked for.
    fn without_key(&self) -> String {
        let mut other = self.asked.clone();
        other.filter.key_id = None;
        href(&other)
    }
}

fn chip(asked: &ChangeQuery, turn: Turn) -> Chip {
    let mut other = asked.clone();
    let turns = &mut other.filter.turns;
    let is_on = turns.contains(&turn);
    match is_on {
        true => turns.retain(|one| *one != turn),
        false => turns.push(turn),
    }
    Chip { name: kind(turn), is_on, href: href(&other) }
}

/// The first page of what is asked for.
fn href(asked: &ChangeQuery) -> String {
    match asked.to_filter() {
        all if all.is_empty() => "changes".to_owned(),
        filter => format!("?{filter}"),
    }
}

/// What people call a kind of changes.
fn kind(turn: Turn) -> &'static str {
    match turn {
        Turn::Down => "Down",
        Turn::Back => "Up again",
        Turn::Crashed => "Crashed",
        Turn::Late => "Late",
        Turn::InTime => "In time again",
        Turn::LicenseLost => "License lost",
        Turn::LicenseValid => "License valid",
        Turn::Version => "New version",
        Turn::New => "New",
        Turn::Begun => "Began again",
        Turn::Ended => "Ended",
        Turn::Key => "Other key",
        Turn::Product => "Other product",
        Turn::Id => "Other id",
    }
}

/// What a server was before, where that is not clear from the change itself.
fn before(row: &ChangeRow) -> Option<&str> {
    let is_open =
        matches!(row.turn(), Some(Turn::Back | Turn::InTime | Turn::Version | Turn::Product | Turn::Key));
    row.from.as_deref().filter(|_| is_open)
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = ChangeQuery::read(Parameters::parse(request.query_string())?.without_empty())?;
        let found = first_that_match(&app, &asked).await?;
        let frame = Frame::of(&app, Section::Events, 0).await;
        let filter = asked.to_filter();
        let latest = found.changes.first().map(|change| change.at.0);
        let headline = headline(&asked, latest, found.next.is_none(), frame.now);
        let key = asked.filter.key_id.map(|id| key_name(app.keys.shown_name(id).as_deref(), &id));
        let ChangePage { changes, next } = found;
        let page = ChangesPage { frame, headline, asked, filter, changes, next, key };
        Ok(respond(StatusCode::OK, &page))
    };
    ask.await.map_err(refuse(&app, 0))
}

/// The first page on which a change matches, or the last of [`MOST_LOOKS`].
async fn first_that_match(app: &App, asked: &ChangeQuery) -> Result<ChangePage, Problem> {
    let mut found = ChangePage::ask(app, asked).await?;
    for _ in 1..MOST_LOOKS {
        match &found.next {
            Some(next) if found.changes.is_empty() => {
                found = ChangePage::ask(app, &asked.after(next)).await?;
            }
            _ => break,
        }
    }
    Ok(found)
}

/// The first sentence, of a page of changes of which the latest was at this time. `is_whole`: no earlier one matches.
fn headline(asked: &ChangeQuery, latest: Option<Timestamp>, is_whole: bool, now: Timestamp) -> String {
    let ago = |at: Timestamp| format!("{} ago", span(now.duration_since(at)));
    match latest {
        _ if !asked.is_first_page() => "Earlier changes".to_owned(),
        None if asked.filter.is_of_all() => "Nothing has changed yet".to_owned(),
        None if !is_whole => "None of the latest changes matches".to_owned(),
        None if asked.filter.turns == [Turn::Back] => "No server came back".to_owned(),
        None if asked.filter.turns == [Turn::Down] => "No server went down".to_owned(),
        None => "No change matches".to_owned(),
        Some(at) if asked.filter.turns == [Turn::Back] => format!("A server came back {}", ago(at)),
        Some(at) if asked.filter.turns == [Turn::Down] => format!("A server went down {}", ago(at)),
        Some(at) if asked.filter.is_of_all() => format!("The last change was {}", ago(at)),
        Some(at) => format!("The last change that matches was {}", ago(at)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn asked(query: &str) -> ChangeQuery {
        ChangeQuery::read(Parameters::parse(query).unwrap()).unwrap_or_else(|problem| panic!("{problem}"))
    }

    #[test]
    fn the_first_sentence_says_when_the_last_change_was() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        let at: Timestamp = "2026-11-26T03:10:00Z".parse().unwrap();
        let after = "after=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHVw";
        for (query, latest, sentence) in [
            ("", None, "Nothing has changed yet"),
            ("kind=down", None, "No server went down"),
            ("kind=back", None, "No server came back"),
            ("kind=version", None, "No change matches"),
            ("", Some(at), "The last change was 4 min ago"),
            ("kind=back", Some(at), "A server came back 4 min ago"),
            ("kind=down", Some(at), "A server went down 4 min ago"),
            ("kind=down,back", Some(at), "The last change that matches was 4 min ago"),
            (after, Some(at), "Earlier changes"),
            (after, None, "Earlier changes"),
        ] {
            assert_eq!(headline(&asked(query), latest, true, now), sentence, "{query}");
        }
        assert_eq!(headline(&asked("kind=down"), None, false, now), "None of the latest changes matches");
    }

    #[test]
    fn a_kind_is_added_and_dropped_by_its_chip() {
        let all = chip(&asked(""), Turn::Back);
        assert_eq!(all, Chip { name: "Up again", is_on: false, href: "?kind=back".to_owned() });
        let both = asked("kind=back,down");
        assert_eq!(
            (chip(&both, Turn::Back).href.as_str(), chip(&both, Turn::Back).is_on),
            ("?kind=down", true)
        );
        assert_eq!(chip(&both, Turn::Key).href, "?kind=back%2Cdown%2Ckey");
        assert_eq!(chip(&asked("kind=back"), Turn::Back).href, "changes");
        let names: BTreeSet<_> = Turn::ALL.into_iter().map(kind).collect();
        assert_eq!(names.len(), Turn::ALL.len(), "one name, one kind");
    }
}
