//! Answers for people: pages, and the way to them.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType, LOCATION, REFERRER_POLICY};
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn respond(status: StatusCode, page: &impl Template) -> HttpResponse {
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
pub(crate) fn see(page: &str) -> HttpResponse {
    with_headers(&mut HttpResponse::SeeOther()).insert_header((LOCATION, page)).finish()
}
