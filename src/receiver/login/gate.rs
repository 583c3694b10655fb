//! What the login decides of a request: whom it lets pass, and what it answers to all others.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, HttpResponseBuilder, ResponseError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::door::{Door, Verdict};
use super::form;
use super::own_name::is_own_name;
use super::page::{self, BY_COOKIE};
use super::password::Credentials;
use super::sessions::{SessionLimits, Token};
use super::visit::{Visit, asks_for_page};
use crate::receiver::http::form_token::FormToken;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::{cross_site, headers};

/// What the page of the login has in common with the others, and is no secret.
const OPEN: [&str; 2] = ["pages.css", "favicon.ico"];

#[derive(Clone)]
pub(super) struct Gate {
    pub(super) kind: Kind,
    /// Whether browsers connect by https, although this server has no TLS.
    pub(super) is_https: bool,
    pub(super) limits: SessionLimits,
}

#[derive(Clone)]
pub(super) enum Kind {
    Password(Arc<Door>),
    OwnNamesOnly,
}

/// Lets a request pass, or answers it.
pub(super) async fn guard(
    gate: Gate,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if gate.is_https {
        request.extensions_mut().insert(cross_site::ByHttps);
    }
    let refusal = match &gate.kind {
        Kind::Password(door) => {
            let visit = Visit::of(door, gate.limits, &request);
            by_password(&visit, &mut request).await
        }
        Kind::OwnNamesOnly => by_name(&request),
    };
    let mut answer = match refusal {
        None => {
            let token = FormToken::of(request.request());
            let handling = next.call(request);
            let answer = match token {
                Some(token) => token.during(handling).await?,
                None => handling.await?,
            };
            answer.map_into_boxed_body()
        }
        Some(refusal) => request.into_response(refusal),
    };
    headers::add_to(answer.headers_mut());
    Ok(answer)
}

/// `None` where the request may pass.
fn by_name(request: &ServiceRequest) -> Option<HttpResponse> {
    if !is_own_name(cross_site::authority(request.request().head())) {
        return Some(text(
            HttpResponse::build(StatusCode::MISDIRECTED_REQUEST),
            "without a password this server answers to localhost and to IP addresses only",
        ));
    }
    cross_site::check(request).err().map(|problem| problem.error_response())
}

/// `None` where the request may pass.
async fn by_password(visit: &Visit, request: &mut ServiceRequest) -> Option<HttpResponse> {
    match visit.address.path.as_deref() {
        Some("login") => return Some(page::login(visit, request).await),
        Some(path) if OPEN.contains(&path) && request.method().is_safe() => return None,
        _ => {}
    }
    if let Some(session) = visit.session(request.request().head()) {
        return by_session(visit, request, &session).await;
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|header| credentials(header.as_bytes()));
    let Some(given) = given else {
        return Some(no_login(visit, request, "a login is needed"));
    };
    match visit.door.attempt(visit.from, given).await {
        Verdict::Welcome => cross_site::check(request).err().map(|problem| refusal(visit, request, problem)),
        Verdict::Wrong => Some(no_login(visit, request, "wrong user or password")),
        Verdict::TooMany(wait) => {
            let mut refusal = HttpResponse::build(StatusCode::TOO_MANY_REQUESTS);
            refusal.insert_header((RETRY_AFTER, page::seconds(wait)));
            Some(text(refusal, "too many failed logins at the moment; try again later"))
        }
    }
}

async fn by_session(visit: &Visit, request: &mut ServiceRequest, session: &Token) -> Option<HttpResponse> {
    if let Err(problem) = form::check(request, session).await {
        return Some(refusal(visit, request, problem));
    }
    if visit.address.path.as_deref() == Some("logout") {
        return Some(page::logout(visit, request, session));
    }
    request.extensions_mut().insert(FormToken::new(session.form_token()));
    None
}

fn no_login(visit: &Visit, request: &ServiceRequest, message: &'static str) -> HttpResponse {
    let head = request.request().head();
    if asks_for_page(head) {
        return page::to_login(visit, request);
    }
    let by_basic = "Basic realm=\"telemetry\", charset=\"UTF-8\"";
    let mut refusal = HttpResponse::Unauthorized();
    refusal.insert_header((WWW_AUTHENTICATE, if visit.is_of_browser(head) { BY_COOKIE } else { by_basic }));
    text(refusal, message)
}

/// A refusal for a person, or for a program.
fn refusal(visit: &Visit, request: &ServiceRequest, problem: Problem) -> HttpResponse {
    match asks_for_page(request.request().head()) {
        true => page::turn_away(visit, problem),
        false => problem.error_response(),
    }
}

fn text(mut refusal: HttpResponseBuilder, message: &'static str) -> HttpResponse {
    refusal.content_type("text/plain; charset=utf-8").body(message)
}

/// User and password of `Basic …`; the scheme is in any case of its letters.
fn credentials(header: &[u8]) -> Option<Credentials> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some(Credentials { user, password: password.into() })
}
