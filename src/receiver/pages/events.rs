//! The page "Events": the received events, newest first.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::frame::{Frame, Section};
use super::new_events::NewEvents;
use super::page::{Refusal, key_name, query, refuse, respond, see};
use super::report::{Report, run_name};
use super::words::{exact, number, shown, span};
use crate::receiver::api::events::{EventPage, EventQuery};
use crate::receiver::api::instances::InstancePage;
use crate::receiver::api::refused;
use crate::receiver::app::App;
use crate::receiver::http::parameters::{Parameters, moment};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{EVENTS_LOOKED_AT, InstanceCursor, Sort};
use crate::wire::payload::Reason;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/events").get(list).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    headline: String,
    asked: EventQuery,
    filter: String,
    /// The name of the key that is asked for.
    key: Option<String>,
    events: Vec<Row>,
    next: Option<String>,
    /// What counts the events that come while the page is open, where it begins with the latest.
    new: Option<NewEvents>,
    /// Number of refused requests that the receiver remembers.
    refused: usize,
    /// How long events are kept, for people.
    retention: String,
}

/// An event with the name of the key that it came with.
struct Row {
    event: Report,
    key: String,
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let mut given = Parameters::parse(request.query_string())?.without_empty();
        let server = given.take_text("server")?;
        let asked = EventQuery::read(given, moment_in_utc)?;
        if let Some(server) = server {
            return search(&app, &server, asked).await;
        }
        let found = EventPage::ask(&app, &asked).await?;
        let frame = Frame::of(&app, Section::Events, 0).await;
        let filter = asked.to_filter();
        let latest = found.events.first().map(|event| event.ts.0);
        let headline = headline(&filter, asked.is_first_page(), latest, frame.now);
        let since = latest.unwrap_or(frame.now);
        let new = asked.is_first_page().then(|| NewEvents::none(filter.clone(), since));
        let row = |event: Report| {
            let name = app.keys.shown_name(event.key_id);
            Row { key: key_name(name.as_deref(), &event.key_id), event }
        };
        let key = asked.key_id.map(|id| key_name(app.keys.shown_name(id).as_deref(), &id));
        let events = found.events.iter().map(Report::of).map(row).collect();
        let refused = refused::rows(&app).len();
        let retention = exact(SignedDuration::try_from(app.server.retention).unwrap_or(SignedDuration::MAX));
        let page = EventsPage {
            frame,
            headline,
            asked,
            filter,
            key,
            events,
            next: found.next,
            new,
            refused,
            retention,
        };
        Ok(respond(StatusCode::OK, &page))
    };
    ask.await.map_err(refuse(&app, 0))
}

/// Leads to the events of the server with this id or name. Where not exactly one has it, the fleet is where to choose.
async fn search(app: &App, server: &str, mut asked: EventQuery) -> Result<HttpResponse, Problem> {
    asked.instance_id = match Uuid::try_parse(server.trim()) {
        Ok(id) => Some(id),
        Err(_) => named(app, server).await?,
    };
    Ok(see(&match asked.instance_id {
        Some(_) => format!("events?{}", asked.to_filter()),
        None => format!("./?{}", query("search", server)),
    }))
}

/// The one server that has a name, in upper or lower case; where none has it, the one that a search for it finds.
async fn named(app: &App, name: &str) -> Result<Option<Uuid>, Problem> {
    let found = InstanceQuery { limit: 2, ..InstanceQuery::read_filter(&query("search", name))? };
    let name = name.to_lowercase();
    // In the order of names, those who have it come first from here.
    let from = InstanceCursor::Name(Some(name.clone()), Uuid::nil());
    let of_name = InstanceQuery { sort: Sort::Name, after: Some(from), ..found.clone() };
    let mut rows = InstancePage::ask(app, &of_name).await?.instances;
    rows.retain(|row| row.custom_id.as_deref().map(str::to_lowercase).as_ref() == Some(&name));
    if rows.is_empty() {
        rows = InstancePage::ask(app, &found).await?.instances;
    }
    Ok(match rows.as_slice() {
        [one] => Some(one.instance_id),
        _ => None,
    })
}

/// The first sentence, of a page of events of which the latest came at this time.
fn headline(filter: &str, is_first_page: bool, latest: Option<Timestamp>, now: Timestamp) -> String {
    let ago = |at: Timestamp| format!("{} ago", span(now.duration_since(at)));
    match latest {
        _ if !is_first_page => "Earlier events".to_owned(),
        None if filter.is_empty() => "No event was received yet".to_owned(),
        None => "No event matches".to_owned(),
        Some(at) if filter.is_empty() => format!("The last event came {}", ago(at)),
        Some(at) => format!("The last event that matches came {}", ago(at)),
    }
}

impl EventsPage {
    /// The reason that is asked for, where it is none of those that senders of this version give.
    fn other_reason(&self) -> Option<&str> {
        self.asked
            .reason
            .as_deref()
            .filter(|asked| Reason::ALL.iter().all(|reason| reason.as_str() != *asked))
    }

    fn is_asked(&self, reason: &Reason) -> bool {
        self.asked.reason.as_deref() == Some(reason.as_str())
    }
}

/// Reads a moment as a browser's field for a date and a time writes it, without an offset, or as RFC 3339 does.
fn moment_in_utc(text: &str) -> Option<Timestamp> {
    let seconds = if text.len() == "2027-01-31T00:00".len() { ":00Z" } else { "Z" };
    moment(&format!("{text}{seconds}")).or_else(|| moment(text))
}

/// The list of the events of a key.
pub(super) fn events_of_key(id: &Uuid) -> String {
    format!("events?{}", query("key", id.to_string()))
}

/// The value of a field for a date and a time.
fn field_value(moment: &Option<Timestamp>) -> String {
    moment.map(|moment| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_says_when_the_last_event_came() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        let at: Timestamp = "2026-11-26T03:13:55Z".parse().unwrap();
        for (filter, is_first_page, latest, sentence) in [
            ("", true, None, "No event was received yet"),
            ("reason=end", true, None, "No event matches"),
            ("", true, Some(at), "The last event came 12 s ago"),
            ("reason=end", true, Some(at), "The last event that matches came 12 s ago"),
            ("reason=end", false, Some(at), "Earlier events"),
            ("key=2", false, None, "Earlier events"),
        ] {
            assert_eq!(headline(filter, is_first_page, latest, now), sentence);
        }
    }

    #[test]
    fn a_moment_is_read_as_a_field_or_a_link_writes_it() {
        for text in
            ["2027-01-31T00:00", "2027-01-31T00:00:00", "2027-01-31T00:00:00Z", "2027-01-31T02:00:00+02:00"]
        {
            assert_eq!(field_value(&moment_in_utc(text)), "2027-01-31T00:00:00", "{text}");
        }
        assert_eq!((moment_in_utc("yesterday"), field_value(&None)), (None, String::new()));
    }
}
