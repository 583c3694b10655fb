//! The same as JSON, for machines (receiver §5). `openapi.json` describes it.

pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod parameters;
pub(crate) mod server;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::fmt;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::http::problem::Problem;
use super::http::route::Route;

pub(crate) const OPEN_API: &str = include_str!("openapi.json");

/// So many rows has a page of a list, unless it is asked for fewer or for more.
const LIMIT: i64 = 50;
const HIGHEST_LIMIT: i64 = 200;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/openapi.json").get(describe).mount(config);
    fleet::routes(config);
    instances::routes(config);
    events::routes(config);
    keys::routes(config);
    server::routes(config);
}

async fn describe() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPEN_API)
}

pub(crate) fn nothing() -> HttpResponse {
    Problem::not_found("there is nothing at this path; api/openapi.json has those that there are")
        .error_response()
}

/// A part of the path that is an id. What is none names nothing.
pub(crate) fn path_id(request: &HttpRequest, name: &str) -> Result<Uuid, Problem> {
    let text = request.match_info().get(name).unwrap_or_default();
    Uuid::try_parse(text).map_err(|_| Problem::not_found("an id is a UUID"))
}

/// A time as it is written here: RFC 3339, UTC, microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
