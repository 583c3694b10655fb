//! What all pages have in common: their headers, refusals, and how they show times and ids.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType, LOCATION, REFERRER_POLICY};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use askama::filters::HtmlSafe;

use crate::receiver::api::moment::Moment;
use crate::receiver::http::problem::Problem;

const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The way up to where the receiver is mounted, from a page with so many more parts in its path.
pub(super) const ROOTS: [&str; 4] = ["", "../", "../../", "../../../"];

pub(super) fn respond(status: StatusCode, page: &impl Template) -> HttpResponse {
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
pub(super) fn see(page: &str) -> HttpResponse {
    with_headers(&mut HttpResponse::SeeOther()).insert_header((LOCATION, page)).finish()
}

/// A request that is refused, for people.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(super) struct Refusal {
    root: String,
    problem: Problem,
}

/// Makes the refusal for a page with `depth` more parts in its path than the first.
pub(super) fn refuse(depth: usize) -> impl Fn(Problem) -> Refusal {
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
pub(super) struct Time(pub(super) Moment);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, self.plain())
    }
}

impl HtmlSafe for Time {}

impl Time {
    /// The time within a text.
    pub(super) fn plain(&self) -> String {
        self.0.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl Moment {
    pub(super) fn html(&self) -> Time {
        Time(*self)
    }
}

/// The beginning of an id, enough to tell it from the others on a page.
pub(super) fn short(id: &uuid::Uuid) -> String {
    id.to_string().chars().take(8).collect()
}

/// The key of an instance or of an event, for people: its name, where it is in use.
pub(super) fn key_name(name: Option<&str>, id: &uuid::Uuid) -> String {
    match name {
        Some(name) => name.to_owned(),
        None if id.is_nil() => "not known".to_owned(),
        None => format!("{}, revoked", short(id)),
    }
}
