//! The login as a whole, in front of the pages.

mod limits;
mod page;
mod sessions;
mod tokens;
mod ways;

use std::net::SocketAddr;

use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, scope};
use actix_web::{App, HttpRequest, HttpResponse};

use super::Login;
use crate::receiver::fixture::{Answer, Fixture};

const PASSWORD: &str = "a long:password";

/// `fleet:a long:password`.
const BASIC: &str = "basic ZmxlZXQ6YSBsb25nOnBhc3N3b3Jk";

/// Address that all requests come from.
const NETWORK: [u8; 4] = [192, 0, 2, 7];

/// What a browser sends with a link.
const PAGE: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

fn login() -> Login {
    Login::new("fleet", PASSWORD).unwrap()
}

/// Sends a request to the pages at `/tele/fleet`, behind the login.
async fn ask(fixture: &Fixture, login: &Login, request: TestRequest) -> Answer {
    let own_page = async |request: HttpRequest| {
        HttpResponse::Ok().body(Login::form_token(&request).unwrap_or_else(|| "none".to_owned()))
    };
    let own_form = async |body: web::Bytes| HttpResponse::Ok().body(body);
    let own = web::resource("/own").route(web::get().to(own_page)).route(web::post().to(own_form));
    let deeper = scope("/deeper").configure(fixture.receiver.fleet());
    let guarded = scope("/tele/fleet").wrap(login.guard()).service(own).service(deeper);
    let guarded = guarded.configure(fixture.receiver.fleet());
    let app = init_service(App::new().service(guarded)).await;
    let request = request.peer_addr(SocketAddr::from((NETWORK, 40_000)));
    let response: ServiceResponse = app.call(request.to_request()).await.unwrap().map_into_boxed_body();
    let (status, headers) = (response.status(), response.headers().clone());
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value, "{status}");
        assert_eq!(headers.get_all(name).count(), 1, "{status}: {name}");
    }
    let body = to_bytes(response.into_body()).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(&format!("/tele/fleet/{path}")).insert_header(("host", "fleet.example"))
}

fn post(path: &str, body: impl Into<String>) -> TestRequest {
    TestRequest::post()
        .uri(&format!("/tele/fleet/{path}"))
        .insert_header(("host", "fleet.example"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body.into())
}

fn with_password(more: &str) -> TestRequest {
    post("login", format!("user=fleet&password=a+long%3Apassword{more}"))
}

/// Logs in, and returns the cookie as a browser sends it.
async fn log_in(fixture: &Fixture, login: &Login) -> (&'static str, String) {
    let answer = ask(fixture, login, with_password("")).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "./"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(answer.header("set-cookie"), format!("{cookie}; HttpOnly; SameSite=Strict"));
    assert!(cookie.starts_with("telemetry=") && cookie.len() == 53, "{cookie}");
    ("cookie", cookie)
}
