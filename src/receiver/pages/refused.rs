//! The page "Refused requests": the requests to the webhook that were refused last.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use super::frame::{Frame, Section};
use super::page::respond;
use crate::receiver::api::refused::{self, RefusedRow};
use crate::receiver::app::App;
use crate::receiver::http::route::Route;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/refused").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: Frame,
    rows: Vec<RefusedRow>,
}

async fn show(app: Data<App>) -> HttpResponse {
    respond(
        StatusCode::OK,
        &RefusedPage { frame: Frame::of(&app, Section::Events, 0).await, rows: refused::rows(&app) },
    )
}
