//! What the pages show, as JSON for machines (receiver §5). `openapi.json` describes it.

pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod instances;
pub(crate) mod keys;
mod metrics;
pub(crate) mod parameters;
pub(crate) mod server;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::fmt;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::sync::watch;
use uuid::Uuid;

use super::counts::Counts;
use super::health::HealthBoard;
use super::http::problem::Problem;
use super::http::route::Route;
use super::ingest::backlog::Backlog;
use super::judging::judge::Judged;
use super::keys::Keys;
use super::metrics::Metrics;
use super::store_handle::StoreHandle;
use crate::running::clock::Clock;
use crate::sender::telemetry::Telemetry;

/// What the handlers of the API and the pages work with.
pub(crate) struct App {
    pub(crate) store: StoreHandle,
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) counts: Counts,
    pub(crate) server: ServerFacts,
}

/// The receiver itself, as it is shown.
pub(crate) struct ServerFacts {
    pub(crate) health: HealthBoard,
    pub(crate) metrics: Metrics,
    pub(crate) backlog: Backlog,
    pub(crate) judged: watch::Sender<Judged>,
    /// The host that alerts go to.
    pub(crate) alerts_to: Option<String>,
    /// The host's own telemetry.
    pub(crate) telemetry: Option<Telemetry>,
}

impl App {
    fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }
}

pub(crate) const OPEN_API: &str = include_str!("openapi.json");

/// Number of rows on a page of a list, unless a request asks for another.
const LIMIT: i64 = 50;

/// Highest number of rows that a request may ask for.
const HIGHEST_LIMIT: i64 = 200;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/openapi.json").get(describe).mount(config);
    fleet::routes(config);
    instances::routes(config);
    events::routes(config);
    keys::routes(config);
    server::routes(config);
    metrics::routes(config);
}

async fn describe() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPEN_API)
}

pub(crate) fn nothing() -> HttpResponse {
    Problem::not_found("there is nothing at this path; api/openapi.json lists the paths").error_response()
}

/// The part of the path with this name, which is an id. A text that is no id names nothing.
pub(crate) fn path_id(request: &HttpRequest, name: &str) -> Result<Uuid, Problem> {
    let text = request.match_info().get(name).unwrap_or_default();
    Uuid::try_parse(text).map_err(|_| Problem::not_found("an id is a UUID"))
}

/// A time in an answer: RFC 3339, UTC, microseconds.
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
