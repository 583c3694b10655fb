//! The pages (receiver §4). They need no JavaScript. All their links are relative, so that they work in
//! whatever scope they are mounted, behind whatever proxy.

mod adoption;
mod adoption_query;
mod adoption_today;
mod alerts;
mod all_changes;
mod assets;
mod by_key;
mod changes;
mod charts;
mod event;
mod events;
mod filters;
mod fleet;
#[cfg(all(test, feature = "sqlite"))]
mod fleet_tests;
mod forget;
mod frame;
mod headline;
mod instance;
mod json;
mod key_choice;
mod key_lists;
mod keys;
mod licenses;
mod live;
mod meant;
mod mute;
mod mutes;
mod names;
mod new_events;
mod new_secrets;
mod one_key;
mod page;
mod pulse;
mod refusals;
mod refused;
mod releases;
mod remedy;
mod report;
mod server;
mod start;
mod strip;
#[cfg(test)]
mod templates_tests;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
mod tiles;
mod webhook_url;
mod words;

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::api;
use super::app::App;
use super::http::accept;
use super::http::problem::Problem;
use super::http::route::Route;
use page::refuse;

/// The pages, and an answer to every unknown path: to be mounted last.
pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("").get(add_slash).mount(config);
    assets::routes(config);
    fleet::routes(config);
    start::routes(config);
    live::routes(config);
    mute::routes(config);
    adoption::routes(config);
    instance::routes(config);
    forget::routes(config);
    mutes::routes(config);
    alerts::routes(config);
    all_changes::routes(config);
    by_key::routes(config);
    licenses::routes(config);
    events::routes(config);
    new_events::routes(config);
    event::routes(config);
    refused::routes(config);
    server::routes(config);
    keys::routes(config);
    one_key::routes(config);
    config.default_service(web::to(nothing));
}

/// Relative links are right only below the scope, not beside it.
async fn add_slash(request: HttpRequest) -> HttpResponse {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("./{last}/{query}"))).finish()
}

/// A page for a browser.
async fn nothing(app: Data<App>, request: HttpRequest) -> HttpResponse {
    if !accept::names(request.head(), "text/html") {
        return api::nothing();
    }
    let depth = request.match_info().unprocessed().trim_start_matches('/').matches('/').count();
    let problem = Problem::not_found("there is no page at this address");
    refuse(&app, depth)(problem).error_response()
}
