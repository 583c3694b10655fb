//! Requests that cannot be answered, and how that is told.

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::json;

use super::{assert_problem, new_key};
use crate::receiver::fixture::{Fixture, event_id, instance_id};

#[actix_rt::test]
async fn a_parameter_that_cannot_be_used_is_named() {
    let fixture = Fixture::with(1).await;
    for (query, field) in [
        ("instances?state=Up", "state"),
        ("instances?license=yes", "license"),
        ("instances?flag=several_runs", "flag"),
        ("instances?after=AAAA", "after"),
        ("instances?limit=0", "limit"),
        ("instances?limit=1&limit=1", "limit"),
        ("instances?search=%00", "search"),
        ("instances?version=", "version"),
        ("instances?statte=up", "statte"),
        ("instances?older-than=main", "older-than"),
        ("instances?strip=yes", "strip"),
        ("adoption?from=2027-02-29", "from"),
        ("adoption?to=tomorrow", "to"),
        ("adoption?by=day", "by"),
        ("adoption?key=7", "key"),
        ("adoption?product=", "product"),
        ("adoption?limit=7", "limit"),
        ("adoption.csv?to=tomorrow", "to"),
        ("events?instance=7", "instance"),
        ("events?from=yesterday", "from"),
        ("events?to=2027-01-01", "to"),
        ("events?after=", "after"),
        ("events?state=up", "state"),
    ] {
        let answer = fixture.get(&format!("/fleet/api/{query}")).await;
        assert_problem(&answer, StatusCode::BAD_REQUEST, Some(field));
    }
}

#[actix_rt::test]
async fn what_is_not_there_is_not_found_and_other_methods_are_not_allowed() {
    let fixture = Fixture::with(1).await;
    for path in
        ["api", "api/", "api/nothing", "api/instances/7", "api/instances/", "nothing", "api/keys/x/secrets"]
    {
        let answer = fixture.ask(TestRequest::delete().uri(&format!("/fleet/{path}"))).await;
        assert_problem(&answer, StatusCode::NOT_FOUND, None);
    }
    let unknown = fixture.get(&format!("/fleet/api/instances/{}", instance_id(9))).await;
    assert_problem(&unknown, StatusCode::NOT_FOUND, None);
    for (path, method, allow) in [
        ("api/fleet", Method::POST, "GET, HEAD"),
        ("api/keys", Method::PUT, "GET, HEAD, POST"),
        ("api/server/send", Method::GET, "POST"),
        ("api/keys/x/secrets", Method::GET, "POST, DELETE"),
        ("metrics", Method::OPTIONS, "GET, HEAD"),
        ("events", Method::PATCH, "GET, HEAD"),
    ] {
        let answer = fixture.ask(TestRequest::default().method(method).uri(&format!("/fleet/{path}"))).await;
        assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED, None);
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[actix_rt::test]
async fn a_page_of_another_site_changes_nothing() {
    let fixture = Fixture::with(1).await;
    let path = format!("/fleet/api/instances/{}/events/{}", instance_id(1), event_id(1));
    let form = format!("/fleet/instances/{}/events/{}/delete", instance_id(1), event_id(1));
    let foreign = ("sec-fetch-site", "cross-site");
    for request in [
        TestRequest::delete().uri(&path),
        TestRequest::post().uri(&form),
        TestRequest::post().uri("/fleet/api/keys"),
        TestRequest::post().uri("/fleet/server/keys"),
        TestRequest::post().uri("/fleet/api/server/send"),
        TestRequest::post().uri("/fleet/api/mutes"),
        TestRequest::delete().uri("/fleet/api/instances?all=true"),
        TestRequest::post().uri("/fleet/forget?all=true"),
        TestRequest::post().uri("/fleet/mute?state=up"),
    ] {
        assert_problem(&fixture.ask(request.insert_header(foreign)).await, StatusCode::FORBIDDEN, None);
    }
    assert_eq!(fixture.get(&path).await.status, StatusCode::OK);
}

#[actix_rt::test]
async fn a_body_that_cannot_be_used_is_refused() {
    let fixture = Fixture::with(0).await;
    for (body, field) in [
        ("", None),
        ("{", None),
        ("[]", None),
        ("{}", Some("name")),
        (r#"{"name": ""}"#, Some("name")),
        (r#"{"name": "  "}"#, Some("name")),
        (r#"{"name": 7}"#, Some("name")),
        (r#"{"name": "a\u0000"}"#, Some("name")),
        (r#"{"name": "a", "rate": 0}"#, Some("rate")),
        (r#"{"name": "a", "rate": "5"}"#, Some("rate")),
        (r#"{"name": "a", "rate": 1.5}"#, Some("rate")),
        (r#"{"name": "a", "rate": 2147483648}"#, Some("rate")),
        (r#"{"name": "a", "signed": null}"#, Some("signed")),
        (r#"{"name": "a", "token": "yes"}"#, Some("token")),
        (r#"{"name": "a", "tokken": true}"#, Some("tokken")),
    ] {
        assert_problem(&fixture.ask(new_key(body)).await, StatusCode::BAD_REQUEST, field);
    }
    let large = fixture.ask(new_key(format!("{{\"name\": \"{}\"}}", "x".repeat(20_000)))).await;
    assert_problem(&large, StatusCode::PAYLOAD_TOO_LARGE, None);
    let form = TestRequest::post()
        .uri("/fleet/api/keys")
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("name=a");
    assert_problem(&fixture.ask(form).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, Some("content-type"));
    assert_eq!(fixture.get("/fleet/api/keys").await.json(), json!({"keys": []}));
}
