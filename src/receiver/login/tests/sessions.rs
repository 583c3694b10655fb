//! How sessions begin, last and end.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;

use super::{NETWORK, PAGE, ask, get, log_in, login, post, with_password};
use crate::receiver::fixture::Fixture;
use crate::receiver::login::gate::Kind;

#[actix_rt::test]
async fn a_session_lasts_until_the_logout() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let cookie = log_in(&fixture, &login).await;
    for path in ["", "api/fleet", "metrics"] {
        let page = ask(&fixture, &login, get(path).insert_header(cookie.clone())).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("telemetry="), "{path}");
    }
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let by_link = ask(&fixture, &login, get("logout").insert_header(cookie.clone())).await;
    assert_eq!(by_link.status, StatusCode::METHOD_NOT_ALLOWED);
    let out = post("logout", format!("csrf={token}")).insert_header(cookie.clone());
    let out = ask(&fixture, &login, out).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "login"));
    assert!(out.header("set-cookie").starts_with("telemetry=; Max-Age=0; "), "{:?}", out.headers);
    let after = ask(&fixture, &login, get("").insert_header(PAGE).insert_header(cookie.clone())).await;
    assert_eq!((after.status, after.header("location")), (StatusCode::SEE_OTHER, "login"));
    let page = ask(&fixture, &login, get("login").insert_header(cookie.clone())).await;
    assert!(page.body.contains("Your session has ended."), "{}", page.body);
    // What a form sends then is not done, and its address may show nothing.
    let lost = post("instances/1/mute", "reason=x").insert_header(PAGE).insert_header(cookie);
    let lost = ask(&fixture, &login, lost).await;
    assert_eq!((lost.status, lost.header("location")), (StatusCode::SEE_OTHER, "../../login"));
    assert_eq!(
        ask(&fixture, &login, post("logout", "").insert_header(PAGE)).await.header("location"),
        "login"
    );
}

#[actix_rt::test]
async fn a_login_begins_a_new_session_and_ends_the_one_before() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let planted = ("cookie", "telemetry=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let answer = ask(&fixture, &login, with_password("").insert_header(planted)).await;
    assert!(!answer.header("set-cookie").contains("AAECAwQFBgcICQ"), "{:?}", answer.headers);
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(planted)).await.status, 401);
    let first = log_in(&fixture, &login).await;
    let second = ask(&fixture, &login, with_password("").insert_header(first.clone())).await;
    let second = second.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(first)).await.status, 401);
    assert_eq!(ask(&fixture, &login, get("metrics").insert_header(("cookie", second))).await.status, 200);
}

#[actix_rt::test]
async fn a_session_ends_by_itself() {
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(Duration::from_secs(100), Duration::from_secs(250));
    let cookie = log_in(&fixture, &login).await;
    tokio::time::pause();
    let status =
        async || ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.status.as_u16();
    for expected in [200, 200, 401] {
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(status().await, expected);
    }
}

/// What a page that is open asks for by itself.
fn unattended() -> [TestRequest; 4] {
    let head = |path: &str| TestRequest::default().method(Method::HEAD).uri(&format!("/tele/fleet/{path}"));
    let listening = ("accept", "text/event-stream");
    [
        head("live").insert_header(listening),
        head("deeper/live").insert_header(listening),
        head("first?unattended"),
        head("events/new?unattended&since=2026-11-26T03:14:07Z"),
    ]
}

#[actix_rt::test]
async fn a_page_that_is_open_does_not_keep_its_session() {
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(Duration::from_secs(100), Duration::from_secs(1000));
    tokio::time::pause();
    for number in 0..unattended().len() {
        let cookie = log_in(&fixture, &login).await;
        for expected in [200, 401] {
            tokio::time::advance(Duration::from_secs(90)).await;
            let request = unattended().into_iter().nth(number).unwrap().insert_header(cookie.clone());
            assert_eq!(ask(&fixture, &login, request).await.status.as_u16(), expected, "{number}");
        }
    }
}

#[actix_rt::test]
async fn a_page_that_is_open_does_not_keep_its_network_known() {
    let day = Duration::from_secs(24 * 3600);
    let fixture = Fixture::with(0).await;
    let login = login().session_limits(30 * day, 30 * day);
    let Kind::Password(door) = &login.0.kind else { panic!("it has a password") };
    let is_known = || door.attempts.enter(Some(NETWORK.into()), door.clock.monotonic()).unwrap().is_known();
    let cookie = log_in(&fixture, &login).await;
    tokio::time::pause();
    tokio::time::advance(5 * day).await;
    for request in unattended() {
        assert_eq!(ask(&fixture, &login, request.insert_header(cookie.clone())).await.status, 200);
    }
    assert!(is_known());
    tokio::time::advance(3 * day).await;
    assert!(!is_known());
    assert_eq!(ask(&fixture, &login, get("own").insert_header(cookie)).await.status, 200);
    assert!(is_known());
}
