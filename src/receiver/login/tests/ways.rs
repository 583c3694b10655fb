//! The ways that lead to the login: a program's, a proxy's with TLS, and that of a server without a password.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;

use super::{BASIC, ask, get, login, post, with_password};
use crate::receiver::fixture::Fixture;
use crate::receiver::login::Login;

#[actix_rt::test]
async fn programs_are_asked_for_basic_and_browsers_are_not() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let asked = ask(&fixture, &login, get("metrics")).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert!(asked.header("www-authenticate").starts_with("Basic realm="), "{:?}", asked.headers);
    for sign in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://fleet.example"),
        ("referer", "http://fleet.example/tele/fleet/"),
        ("cookie", "telemetry=gone"),
    ] {
        let refused = ask(&fixture, &login, get("api/fleet").insert_header(sign)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.header("www-authenticate").starts_with("Cookie "), "{sign:?}");
    }
    let right = || get("api/fleet").insert_header(("authorization", BASIC));
    assert_eq!(ask(&fixture, &login, right()).await.status, StatusCode::OK);
    for wrong in ["Basic ZmxlZXQ6YQ==", "Basic Zg==", "Basic !", "Bearer ZmxlZXQ6YQ==", "Basic"] {
        let refused = ask(&fixture, &login, get("api/fleet").insert_header(("authorization", wrong))).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    let key = || post("server/keys", "name=one").insert_header(("authorization", BASIC));
    let foreign = key().insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(ask(&fixture, &login, foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&fixture, &login, key()).await.status, StatusCode::CREATED, "it needs no token");
}

#[actix_rt::test]
async fn where_the_way_is_https_the_cookie_is_for_it_alone() {
    let fixture = Fixture::with(0).await;
    let login = login().https();
    let answer = ask(&fixture, &login, with_password("")).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Secure-telemetry="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let by_http = with_password("").insert_header(("origin", "http://fleet.example"));
    assert_eq!(ask(&fixture, &login, by_http).await.status, StatusCode::FORBIDDEN);
    let by_https = with_password("").insert_header(("origin", "https://fleet.example"));
    assert_eq!(ask(&fixture, &login, by_https).await.status, StatusCode::SEE_OTHER);
    // Whoever sends this header says nothing that counts.
    let claimed = with_password("").insert_header(("x-forwarded-proto", "https"));
    let answer = ask(&fixture, &super::login(), claimed).await;
    assert!(answer.header("set-cookie").starts_with("telemetry="));
}

#[actix_rt::test]
async fn without_a_password_it_answers_to_its_own_names_only() {
    let (fixture, login) = (Fixture::with(0).await, Login::without_password());
    let asked = |host: &'static str| TestRequest::get().uri("/tele/fleet/own").insert_header(("host", host));
    assert_eq!(ask(&fixture, &login, asked("localhost:8080")).await.body, "none");
    assert_eq!(ask(&fixture, &login, asked("evil.example")).await.status, StatusCode::MISDIRECTED_REQUEST);
    let own = |origin: &'static str| {
        let request = TestRequest::post().uri("/tele/fleet/own").insert_header(("host", "localhost:8080"));
        request.insert_header(("origin", origin))
    };
    assert_eq!(ask(&fixture, &login, own("http://localhost:8080")).await.status, StatusCode::OK);
    assert_eq!(ask(&fixture, &login, own("http://localhost:8081")).await.status, StatusCode::FORBIDDEN);
}
