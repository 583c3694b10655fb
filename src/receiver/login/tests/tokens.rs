//! The token in the forms of a session.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;

use super::{BASIC, PAGE, ask, get, log_in, login, post};
use crate::receiver::fixture::{Fixture, event_id, instance_id};

#[actix_rt::test]
async fn a_form_of_a_session_needs_the_token_of_the_session() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let (mine, other) = (log_in(&fixture, &login).await, log_in(&fixture, &login).await);
    let token = ask(&fixture, &login, get("own").insert_header(mine.clone())).await.body;
    let of_other = ask(&fixture, &login, get("own").insert_header(other)).await.body;
    assert!(token.len() == 64 && token != of_other, "{token}");
    assert_eq!(ask(&fixture, &login, get("own").insert_header(("authorization", BASIC))).await.body, "none");
    let send = async |body: String| {
        let answer = ask(&fixture, &login, post("own", body).insert_header(mine.clone())).await;
        (answer.status.as_u16(), answer.body)
    };
    for body in [
        String::new(),
        "csrf=".to_owned(),
        format!("csrf={of_other}"),
        format!("csrf={}", &token[1..]),
        format!("xcsrf={token}"),
        format!("csrf=&csrf={token}"),
        format!("a=csrf={token}"),
    ] {
        let (status, answer) = send(body.clone()).await;
        assert_eq!(status, 403, "{body}");
        assert!(answer.contains("urn:deployment-telemetry:problem:form-token"), "{answer}");
    }
    let body = format!("a=1&csrf={token}&b=2");
    assert_eq!(send(body.clone()).await, (200, body), "the body is there for the handler");
    assert_eq!(send("x".repeat(70_000)).await.0, 413);
    // The pages of the receiver take the field as well.
    let made = post("server/keys", format!("csrf={token}&name=one")).insert_header(mine.clone());
    assert_eq!(ask(&fixture, &login, made).await.status, StatusCode::CREATED);
    let refused = post("server/keys", "name=two").insert_header(mine.clone()).insert_header(PAGE);
    let refused = ask(&fixture, &login, refused).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("<h1>The form is not of this session</h1>"), "{}", refused.body);
    let foreign = post("own", format!("csrf={token}")).insert_header(mine.clone());
    let foreign = foreign.insert_header(("sec-fetch-site", "same-site"));
    assert_eq!(ask(&fixture, &login, foreign).await.status, StatusCode::FORBIDDEN);
}

#[actix_rt::test]
async fn every_form_of_the_pages_has_the_token() {
    let (fixture, login) = (Fixture::with(2).await, login());
    let cookie = log_in(&fixture, &login).await;
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let made = post("server/keys", format!("csrf={token}&name=one&signed=on")).insert_header(cookie.clone());
    assert_eq!(ask(&fixture, &login, made).await.status, StatusCode::CREATED);
    let mute = post("mute?state=down", format!("csrf={token}&seconds=3600&reason=x"));
    let muted = ask(&fixture, &login, mute.insert_header(cookie.clone())).await;
    assert_eq!(muted.status, StatusCode::SEE_OTHER, "{}", muted.body);
    let instance = format!("instances/{}", instance_id(1));
    for path in [
        "mute?state=down".to_owned(),
        "first".to_owned(),
        "server".to_owned(),
        "alerts".to_owned(),
        "forget?all=true".to_owned(),
        format!("{instance}/forget"),
        format!("{instance}/events/{}/delete", event_id(1)),
        format!("{instance}/mute"),
    ] {
        let page = ask(&fixture, &login, get(&path).insert_header(cookie.clone())).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        let field = format!("<input type=\"hidden\" name=\"csrf\" value=\"{token}\">");
        let forms = page.body.matches("method=\"post\"").count();
        assert!(forms >= 2, "{path}: one of its own, and the logout");
        assert_eq!(page.body.matches(&field).count(), forms, "{path}: {}", page.body);
        let root = "../".repeat(path.split('?').next().unwrap().matches('/').count());
        assert!(page.body.contains(&format!("action=\"{root}logout\"")), "{path}: {}", page.body);
        let by_basic = ask(&fixture, &login, get(&path).insert_header(("authorization", BASIC))).await;
        assert!(!by_basic.body.contains("csrf") && !by_basic.body.contains("logout"), "{path}");
    }
}

#[test]
fn every_form_in_the_templates_has_the_token() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/receiver/pages");
    let mut forms = 0;
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        let template = std::fs::read_to_string(&file).unwrap();
        for after in template.split("method=\"post\"").skip(1) {
            let (_, content) = after.split_once('>').unwrap();
            let has_token = content.starts_with("{% include \"form_token.html\" %}");
            assert!(has_token, "{}: {}", file.display(), after.lines().next().unwrap_or_default());
            forms += 1;
        }
    }
    assert!(forms > 15, "{forms}");
}

#[actix_rt::test]
async fn what_no_form_can_send_needs_no_token() {
    let (fixture, login) = (Fixture::with(0).await, login());
    let cookie = log_in(&fixture, &login).await;
    let token = ask(&fixture, &login, get("own").insert_header(cookie.clone())).await.body;
    let send = async |request: TestRequest| {
        ask(&fixture, &login, request.insert_header(cookie.clone())).await.status.as_u16()
    };
    let keys = |kind: &'static str| {
        let request = TestRequest::post().uri("/tele/fleet/api/keys").insert_header(("content-type", kind));
        request.insert_header(("host", "fleet.example")).set_payload("{\"name\": \"one\"}")
    };
    assert_eq!(send(keys("text/plain")).await, 403);
    assert_eq!(send(keys("multipart/form-data; boundary=x")).await, 403);
    assert_eq!(send(keys("application/json; charset=utf-8")).await, 201);
    assert_eq!(send(keys("text/plain").insert_header(("x-csrf-token", token))).await, 415);
    let delete = TestRequest::delete().uri("/tele/fleet/api/instances/1");
    assert_eq!(send(delete).await, 404);
}
