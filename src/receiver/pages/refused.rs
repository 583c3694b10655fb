//! The page "Refused requests": the requests to the webhook that were refused last, those with the same cause, key and
//! field together.

use std::collections::{HashMap, HashSet};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use jiff::Timestamp;
use tokio::join;
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::names::names_of;
use super::page::{respond, short};
use super::remedy::{Remedy, of_senders};
use super::words::{count, shown, span};
use crate::receiver::api::refused::{self, RefusedRow};
use crate::receiver::app::App;
use crate::receiver::http::route::Route;
use crate::receiver::ingest::refused::{MOST_OF_KEYS, MOST_OF_OTHERS};

/// Number of servers, versions and products that a group names.
const NAMED: usize = 5;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/refused").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: Frame,
    headline: String,
    groups: Vec<Group>,
    /// What people know the servers by that are named; `None` where the store does not answer.
    names: Option<HashMap<Uuid, String>>,
}

/// What is known of a server that a request names.
enum Known {
    /// What people know it by.
    Named(String),
    NotInFleet,
    Nothing,
}

impl RefusedPage {
    fn known(&self, id: &Uuid) -> Known {
        match self.names.as_ref().map(|names| names.get(id)) {
            Some(Some(name)) => Known::Named(name.clone()),
            Some(None) => Known::NotInFleet,
            None => Known::Nothing,
        }
    }
}

/// Requests that were refused for the same reason.
struct Group {
    remedy: Remedy,
    /// The last first.
    rows: Vec<RefusedRow>,
    /// No group before it has its cause: a link may lead to it by the cause.
    is_first: bool,
}

impl Group {
    fn last(&self) -> &RefusedRow {
        &self.rows[0]
    }

    fn earliest(&self) -> &RefusedRow {
        &self.rows[self.rows.len() - 1]
    }

    fn requests(&self) -> String {
        count(self.rows.len() as i64, "request")
    }

    /// The field that is to blame, where the cause does not say so already.
    fn field(&self) -> Option<&str> {
        self.last().field.as_deref().filter(|field| *field != self.last().cause)
    }

    /// Where the key can be changed, if that is a cure.
    fn is_about_keys(&self) -> bool {
        matches!(
            self.last().cause,
            "token" | "signature" | "not-found" | "rate" | "too-many-new" | "other-key"
        )
    }

    fn is_about_owners(&self) -> bool {
        self.last().cause == "other-key"
    }

    fn servers(&self) -> Named {
        Named::of(self.rows.iter().filter_map(|row| row.instance_id.as_deref()))
    }

    fn versions(&self) -> Named {
        Named::of(self.rows.iter().filter_map(|row| row.build_version.as_deref()))
    }

    fn products(&self) -> Named {
        Named::of(self.rows.iter().map(|row| row.product.as_str()).filter(|product| !product.is_empty()))
    }
}

/// Texts of the requests of a group, each once, those of the last requests first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) texts: Vec<String>,
    /// Number of those that are not named.
    pub(super) more: usize,
}

impl Named {
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut seen = HashSet::new();
        let mut named = Self::default();
        for text in texts.filter(|text| seen.insert(*text)) {
            match named.texts.len() < NAMED {
                true => named.texts.push(text.to_owned()),
                false => named.more += 1,
            }
        }
        named
    }
}

async fn show(app: Data<App>) -> HttpResponse {
    let rows = refused::rows(&app);
    let (number, last) = (rows.len(), rows.first().map(|row| row.at.0));
    let groups = groups(rows);
    let servers = groups.iter().flat_map(|group| group.servers().texts);
    let ids = servers.filter_map(|text| as_id(&text)).collect();
    // What was refused is known without the store, and shown also where that does not answer.
    let (frame, names) = join!(Frame::of(&app, Section::Events, 0), names_of(&app, ids));
    let (headline, names) = (headline(number, last, frame.now), names.ok());
    respond(StatusCode::OK, &RefusedPage { frame, headline, groups, names })
}

fn headline(number: usize, last: Option<Timestamp>, now: Timestamp) -> String {
    let Some(last) = last else { return "No request was refused".to_owned() };
    let (requests, ago) = (count(number as i64, "request"), span(now.duration_since(last)));
    match number {
        1 => format!("{requests} was refused, {ago} ago"),
        _ => format!("{requests} were refused, the last {ago} ago"),
    }
}

/// The groups, the one with the last request first. `rows` are the requests, the last first.
fn groups(rows: Vec<RefusedRow>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let is_same = |other: &RefusedRow| {
            (other.cause, other.key_id, &other.field) == (row.cause, row.key_id, &row.field)
        };
        match groups.iter_mut().find(|group| is_same(group.last())) {
            Some(group) => group.rows.push(row),
            None => {
                let is_first = groups.iter().all(|group| group.last().cause != row.cause);
                groups.push(Group { remedy: of_senders(row.cause), rows: vec![row], is_first });
            }
        }
    }
    groups
}

/// The id that a text is, as far as it is one.
fn as_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::receiver::api::moment::Moment;

    fn now() -> Timestamp {
        "2026-11-26T03:14:07Z".parse().unwrap()
    }

    fn row(seconds: i64, cause: &'static str, key: Option<u128>, instance: &str) -> RefusedRow {
        RefusedRow {
            at: Moment(now() - SignedDuration::from_secs(seconds)),
            key_id: key.map(Uuid::from_u128),
            key_name: key.map(|key| key.to_string()),
            status: 400,
            cause,
            detail: "because".to_owned(),
            field: (cause == "field").then(|| "reason".to_owned()),
            product: "example-server".to_owned(),
            instance_id: Some(instance.to_owned()),
            build_version: None,
        }
    }

    #[test]
    fn what_is_the_same_is_together_and_what_was_last_comes_first() {
        let groups = groups(vec![
            row(1, "rate", Some(1), "a"),
            row(2, "field", Some(1), "b"),
            row(3, "rate", Some(2), "c"),
            row(4, "field", Some(1), "b"),
            row(5, "rate", Some(1), "d"),
            row(6, "not-found", None, "e"),
        ]);
        let found: Vec<_> =
            groups.iter().map(|group| (group.last().cause, group.rows.len(), group.is_first)).collect();
        assert_eq!(
            found,
            [("rate", 2, true), ("field", 2, true), ("rate", 1, false), ("not-found", 1, true)]
        );
        assert_eq!(groups[0].servers(), Named { texts: vec!["a".to_owned(), "d".to_owned()], more: 0 });
        assert_eq!(groups[1].servers(), Named { texts: vec!["b".to_owned()], more: 0 });
        assert_eq!((groups[1].products().texts.len(), groups[1].versions()), (1, Named::default()));
        assert_eq!(groups[1].earliest().at.0, now() - SignedDuration::from_secs(4));
    }

    #[test]
    fn of_many_servers_the_last_are_named() {
        let ids: Vec<String> = (0..9).map(|number| number.to_string()).collect();
        let rows: Vec<_> = ids.iter().map(|id| row(1, "rate", None, id)).collect();
        let [group] = &groups(rows)[..] else { panic!("one group") };
        assert_eq!(group.servers(), Named { texts: ids[..NAMED].to_vec(), more: 4 });
    }

    #[test]
    fn the_first_sentence_counts() {
        let last = Some(now() - SignedDuration::from_mins(2));
        assert_eq!(headline(0, None, now()), "No request was refused");
        assert_eq!(headline(1, last, now()), "1 request was refused, 2 min ago");
        assert_eq!(headline(300, last, now()), "300 requests were refused, the last 2 min ago");
    }
}
