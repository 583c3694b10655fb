//! What the pages show, as JSON for machines (receiver §5). `openapi.json` describes it.

pub(crate) mod adjacent;
pub(crate) mod adoption;
pub(crate) mod alerts;
pub(crate) mod body;
pub(crate) mod changes;
mod csv;
#[cfg(all(test, feature = "sqlite"))]
mod details_tests;
pub(crate) mod events;
pub(crate) mod evidence;
mod exports;
#[cfg(all(test, feature = "sqlite"))]
mod exports_tests;
pub(crate) mod fleet;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod instance;
pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod licenses;
mod metrics;
pub(crate) mod moment;
pub(crate) mod mutes;
#[cfg(all(test, feature = "sqlite"))]
mod operator_tests;
pub(crate) mod owner;
pub(crate) mod refused;
pub(crate) mod server;
mod streamed;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, ResponseError};

use super::http::problem::Problem;
use super::http::route::Route;

pub(crate) const OPEN_API: &str = include_str!("openapi.json");

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/api/openapi.json").get(describe).mount(config);
    fleet::routes(config);
    forget::routes(config);
    adoption::routes(config);
    changes::routes(config);
    licenses::routes(config);
    alerts::routes(config);
    owner::routes(config);
    mutes::routes(config);
    events::routes(config);
    keys::routes(config);
    refused::routes(config);
    exports::routes(config);
    server::routes(config);
    metrics::routes(config);
}

async fn describe() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPEN_API)
}

pub(crate) fn nothing() -> HttpResponse {
    Problem::not_found("there is nothing at this path; api/openapi.json lists the paths").error_response()
}
