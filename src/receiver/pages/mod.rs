//! The pages (receiver §4). They need no JavaScript. All their links are relative, so that they work in
//! whatever scope they are mounted, behind whatever proxy.

mod events;
mod fleet;
mod instance;
mod server;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, ContentType, LOCATION, REFERRER_POLICY};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use askama::filters::HtmlSafe;

use super::api::{self, Moment};
use super::http::problem::Problem;
use super::http::route::Route;

const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The way up to where the receiver is mounted, from a page with so many more parts in its path.
const ROOTS: [&str; 4] = ["", "../", "../../", "../../../"];

/// The pages, and an answer to every unknown path: to be mounted last.
pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("").get(add_slash).mount(config);
    Route::at("/pages.css").get(style).mount(config);
    fleet::routes(config);
    instance::routes(config);
    events::routes(config);
    server::routes(config);
    config.default_service(web::to(nothing));
}

/// Relative links are right only below the scope, not beside it.
async fn add_slash(request: HttpRequest) -> HttpResponse {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("./{last}/{query}"))).finish()
}

async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("pages.css"))
}

/// A page for a browser.
async fn nothing(request: HttpRequest) -> HttpResponse {
    let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if !accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return api::nothing();
    }
    let depth = request.match_info().unprocessed().trim_start_matches('/').matches('/').count();
    let problem = Problem::not_found("there is no page at this address");
    refuse(depth)(problem).error_response()
}

fn respond(status: StatusCode, page: &impl Template) -> HttpResponse {
    let html = page.render().expect("memory takes what is written to it");
    with_headers(&mut HttpResponse::build(status)).content_type(ContentType::html()).body(html)
}

fn with_headers(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        // Without a referrer at all, browsers would not say either that a form is our own.
        .insert_header((REFERRER_POLICY, "same-origin"))
}

/// Sends the browser to a page after a change, so that a reload does not repeat the change.
fn see(page: &str) -> HttpResponse {
    with_headers(&mut HttpResponse::SeeOther()).insert_header((LOCATION, page)).finish()
}

/// A request that is refused, for people.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct Refusal {
    root: String,
    problem: Problem,
}

/// Makes the refusal for a page with `depth` more parts in its path than the first.
fn refuse(depth: usize) -> impl Fn(Problem) -> Refusal {
    move |problem| Refusal { root: "../".repeat(depth), problem }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.problem.cause.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = respond(self.problem.cause.status(), self);
        for (name, value) in self.problem.error_response().headers() {
            if !response.headers().contains_key(name) {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response
    }
}

/// A time as people read it, to the second.
struct Time(Moment);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, self.0.0.strftime("%Y-%m-%d %H:%M:%S UTC"))
    }
}

impl HtmlSafe for Time {}

impl Moment {
    fn html(&self) -> Time {
        Time(*self)
    }
}

/// The beginning of an id, enough to tell it from the others on a page.
fn short(id: &uuid::Uuid) -> String {
    id.to_string().chars().take(8).collect()
}
