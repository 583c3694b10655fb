//! Keys that are made, shown and revoked.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{assert_problem, new_key};
use crate::receiver::NewKey;
use crate::receiver::fixture::Fixture;

#[actix_rt::test]
async fn keys_are_made_shown_once_and_revoked() {
    let fixture = Fixture::with(0).await;
    let whole = json!({"name": "all", "rate": 5.0, "signed": true, "token": true});
    let made = fixture.ask(new_key(&whole)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    assert_eq!(made["path"], format!("webhooks/{}", made["key"].as_str().unwrap()));
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_") && made["token"].is_string());
    let plain = fixture.ask(new_key(json!({"name": "plain"}))).await.json();
    assert!(plain.get("secret").is_none() && plain.get("token").is_none());
    assert_problem(&fixture.ask(new_key(&whole)).await, StatusCode::CONFLICT, Some("name"));

    let listed = fixture.get("/fleet/api/keys").await;
    for secret in ["key", "secret", "token"] {
        assert!(!listed.body.contains(made[secret].as_str().unwrap()), "{}", listed.body);
    }
    let listed = listed.json();
    let all = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap();
    assert_eq!(
        (&all["rate"], &all["signed"], &all["token"], &all["revoked_at"]),
        (&json!(5), &json!(true), &json!(true), &Value::Null)
    );

    let path = format!("/fleet/api/keys/{}", made["id"].as_str().unwrap());
    let secrets = format!("{path}/secrets");
    let secret = fixture.ask(TestRequest::post().uri(&secrets)).await.json();
    assert!(secret["secret"].as_str().unwrap().starts_with("whsec_"));
    // Senders may still have the first one.
    assert_problem(&fixture.ask(TestRequest::post().uri(&secrets)).await, StatusCode::CONFLICT, None);
    assert_eq!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["rotating"], true);
    let finished = fixture.ask(TestRequest::delete().uri(&secrets)).await;
    assert_eq!(finished.status, StatusCode::NO_CONTENT);
    assert_eq!(fixture.ask(TestRequest::delete().uri(&path)).await.status, StatusCode::NO_CONTENT);
    for request in [
        TestRequest::delete().uri(&path),
        TestRequest::post().uri(&secrets),
        TestRequest::delete().uri(&secrets),
    ] {
        assert_problem(&fixture.ask(request).await, StatusCode::NOT_FOUND, None);
    }
    assert!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["revoked_at"].is_string());
}

#[actix_rt::test]
async fn a_key_without_a_secret_is_not_made_to_ask_for_signatures() {
    let fixture = Fixture::with(0).await;
    let new = NewKey::named("plain");
    let id = fixture.receiver.keys().create(new).await.unwrap().id;
    let secrets = format!("/fleet/api/keys/{id}/secrets");
    for request in [TestRequest::post(), TestRequest::delete()] {
        assert_problem(&fixture.ask(request.uri(&secrets)).await, StatusCode::CONFLICT, None);
    }
    assert_eq!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["signed"], false);
}
