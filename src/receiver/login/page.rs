//! The page of the login, and what its forms do.

use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};
use askama::Template;
use tokio::time::timeout;

use super::address::safe_next;
use super::attempts::PENALTY;
use super::door::Verdict;
use super::password::Credentials;
use super::sessions::Token;
use super::visit::Visit;
use crate::receiver::api::body::read_form;
use crate::receiver::http::cross_site;
use crate::receiver::http::html::{respond, see};
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::http::route::method_not_allowed;

/// What a browser is told that it has to do, instead of HTTP Basic, for which it would ask by itself.
pub(super) const BY_COOKIE: &str = "Cookie realm=\"telemetry\"";

/// Time in which the form has to come.
const FORM_LIMIT: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    remark: Option<String>,
    /// Where the login leads to.
    next: String,
    user: String,
}

/// A page that leads on by itself. A cookie that is for one site alone does not come with a link of another site, but with
/// what this page leads to.
#[derive(Template)]
#[template(path = "onward.html")]
struct Onward {
    to: String,
}

/// Says why a request was refused.
#[derive(Template)]
#[template(path = "turned_away.html")]
struct TurnedAway {
    root: String,
    problem: Problem,
}

pub(super) fn turn_away(visit: &Visit, problem: Problem) -> HttpResponse {
    let root = "../".repeat(visit.address.depth());
    respond(problem.cause.status(), &TurnedAway { root, problem })
}

/// `GET` and `POST` of the login.
pub(super) async fn login(visit: &Visit, request: &mut ServiceRequest) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => show(visit, request),
        Method::POST => match enter(visit, request).await {
            Ok(answer) => answer,
            Err(problem) => turn_away(visit, problem),
        },
        _ => method_not_allowed("GET, HEAD, POST"),
    }
}

fn show(visit: &Visit, request: &ServiceRequest) -> HttpResponse {
    let given = Parameters::parse(visit.address.query()).ok();
    let next =
        given.and_then(|mut given| given.take("next", "", |next| Some(safe_next(next).to_owned())).ok());
    let next = next.flatten().unwrap_or_default();
    if visit.session(request.request().head()).is_some() {
        return see(&format!("./{next}"));
    }
    let remark = visit.cookie.is_in(request.request().head()).then(|| {
        "Your session has ended. If you were about to change something, it was not changed.".to_owned()
    });
    respond(StatusCode::OK, &LoginPage { remark, next, user: String::new() })
}

async fn enter(visit: &Visit, request: &mut ServiceRequest) -> Result<HttpResponse, Problem> {
    cross_site::check(request)?;
    let body = request.extract::<web::Payload>().await;
    let body = body.map_err(|_| Problem::malformed("the body did not come whole"))?;
    let form = timeout(FORM_LIMIT, read_form(body)).await;
    let mut form =
        form.map_err(|_| Problem::new(Cause::Slow, "the form did not come within 10 seconds"))??;
    let mut take = |name: &str| form.take(name, "a text", |text| Some(text.to_owned()));
    let (user, password, next) = (take("user")?, take("password")?, take("next")?.unwrap_or_default());
    form.finish()?;
    let user = user.unwrap_or_default();
    let password = password.unwrap_or_default().into_bytes().into();
    let given = Credentials { user: user.clone().into_bytes(), password };
    let next = safe_next(&next).to_owned();
    Ok(match visit.door.attempt(visit.from, given).await {
        Verdict::Welcome => begin(visit, request, &next),
        Verdict::Wrong => {
            let remark = Some("The user or the password is wrong.".to_owned());
            let mut page = respond(StatusCode::UNAUTHORIZED, &LoginPage { remark, next, user });
            page.headers_mut().insert(WWW_AUTHENTICATE, value(BY_COOKIE));
            page
        }
        Verdict::TooMany(wait) => {
            let seconds = seconds(wait);
            let unit = if seconds == 1 { "second" } else { "seconds" };
            let remark = Some(format!(
                "There are too many failed logins at the moment. Try again in {seconds} {unit}."
            ));
            let mut page = respond(StatusCode::TOO_MANY_REQUESTS, &LoginPage { remark, next, user });
            page.headers_mut().insert(RETRY_AFTER, seconds.into());
            page
        }
    })
}

/// Begins a session. It has a token that nobody knew before, and the one before it ends.
fn begin(visit: &Visit, request: &ServiceRequest, next: &str) -> HttpResponse {
    let sessions = &visit.door.sessions;
    visit.cookie.tokens(request.request().head()).for_each(|token| sessions.end(&token));
    let token = sessions.begin(visit.door.clock.monotonic(), visit.limits);
    let mut answer = see(&format!("./{next}"));
    answer.headers_mut().insert(SET_COOKIE, value(&visit.cookie.set(&token)));
    answer
}

/// Ends the session of the request.
pub(super) fn logout(visit: &Visit, request: &ServiceRequest, session: &Token) -> HttpResponse {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    visit.door.sessions.end(session);
    let mut answer = see("login");
    answer.headers_mut().insert(SET_COOKIE, value(&visit.cookie.remove()));
    answer
}

/// Sends somebody who asks for a page to the login.
pub(super) fn to_login(visit: &Visit, request: &ServiceRequest) -> HttpResponse {
    let head = request.request().head();
    if !head.method.is_safe() {
        // What was sent is lost, and its address may show nothing.
        return see(&format!("{}login", "../".repeat(visit.address.depth())));
    }
    let to = visit.address.login();
    let site = head.headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if site == Some(b"cross-site") && visit.address.path.is_some() {
        return respond(StatusCode::OK, &Onward { to });
    }
    see(&to)
}

/// Whole seconds to wait, at least one.
pub(super) fn seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    whole.max(PENALTY.as_secs())
}

fn value(text: &str) -> HeaderValue {
    text.parse().expect("it consists of letters, digits and punctuation")
}
