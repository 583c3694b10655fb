//! The page "Events": the received events, newest first, and each by itself.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use jiff::Timestamp;

use super::frame::{Frame, Section};
use super::page::{Refusal, refuse, respond, see, short};
use crate::receiver::api::events::{self, EventPage, EventQuery, EventRow};
use crate::receiver::app::App;
use crate::receiver::http::parameters::{Parameters, moment};
use crate::receiver::http::route::Route;
use crate::wire::payload::Reason;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/events").get(list).compressed().mount(config);
    Route::at("/instances/{instance_id}/events/{event_id}").get(show).compressed().mount(config);
    Route::at("/instances/{instance_id}/events/{event_id}/delete").post(delete).mount(config);
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    asked: EventQuery,
    found: EventPage,
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let given = Parameters::parse(request.query_string())?.without_empty();
        let asked = EventQuery::read(given, moment_in_utc)?;
        let found = EventPage::ask(&app, &asked).await?;
        Ok(EventsPage { frame: Frame::of(&app, Section::Events, 0).await, asked, found })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventView {
    frame: Frame,
    event: EventRow,
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let (instance_id, id) = events::ids(&request)?;
        Ok(EventView {
            frame: Frame::of(&app, Section::Events, 3).await,
            event: events::find(&app, instance_id, id).await?,
        })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 3))?))
}

async fn delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let (instance_id, id) = events::ids(&request)?;
        events::remove(&app, instance_id, id).await
    };
    ask.await.map_err(refuse(&app, 4))?;
    Ok(see("../../../../events"))
}

/// Reads a moment as a browser's field for a date and a time writes it, without an offset, or as RFC 3339 does.
fn moment_in_utc(text: &str) -> Option<Timestamp> {
    let seconds = if text.len() == "2027-01-31T00:00".len() { ":00Z" } else { "Z" };
    moment(&format!("{text}{seconds}")).or_else(|| moment(text))
}

/// The value of a field for a date and a time.
fn field_value(moment: &Option<Timestamp>) -> String {
    moment.map(|moment| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}
