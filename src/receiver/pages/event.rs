//! The page of one event, and the one that asks before it is deleted.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::frame::{Frame, Section};
use super::json::{indented, visible};
use super::page::{Refusal, key_name, refuse, respond, see};
use super::report::{Report, run_name};
use super::words::{number, shown};
use crate::receiver::api::adjacent::AdjacentEvents;
use crate::receiver::api::events::{self, EventRow};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/instances/{instance_id}/events/{event_id}").get(show).compressed().mount(config);
    let delete_at = "/instances/{instance_id}/events/{event_id}/delete";
    Route::at(delete_at).get(ask_to_delete).compressed().post(delete).mount(config);
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventView {
    frame: Frame,
    row: EventRow,
    event: Report,
    key: String,
    before: Option<Report>,
    after: Option<Report>,
}

impl EventView {
    fn as_it_came(&self) -> String {
        visible(self.row.data.get())
    }

    fn indented(&self) -> String {
        indented(&self.as_it_came())
    }
}

#[derive(Template)]
#[template(path = "event_delete.html")]
struct DeleteView {
    frame: Frame,
    event: Report,
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let row = find(&app, &request).await?;
        let AdjacentEvents { before, after } = AdjacentEvents::ask(&app, &row).await?;
        let key = key_name(app.keys.shown_name(row.key_id).as_deref(), &row.key_id);
        let frame = Frame::of(&app, Section::Events, 3).await;
        let (before, after) = (before.as_ref().map(Report::of), after.as_ref().map(Report::of));
        Ok(EventView { frame, event: Report::of(&row), row, key, before, after })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 3))?))
}

async fn find(app: &App, request: &HttpRequest) -> Result<EventRow, Problem> {
    let (instance_id, id) = events::ids(request)?;
    events::find(app, instance_id, id).await
}

async fn ask_to_delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let event = Report::of(&find(&app, &request).await?);
        Ok(DeleteView { frame: Frame::of(&app, Section::Events, 4).await, event })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 4))?))
}

async fn delete(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let (instance_id, id) = events::ids(&request)?;
        events::remove(&app, instance_id, id).await
    };
    ask.await.map_err(refuse(&app, 4))?;
    Ok(see("../../../../events"))
}
