//! Forgetting and muting, by the API and by the pages.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::receiver::NewKey;
use crate::receiver::fixture::{Answer, Fixture, instance_id};

fn delete(path: &str) -> TestRequest {
    TestRequest::delete().uri(&format!("/fleet/api/{path}"))
}

fn form(path: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(&format!("/fleet/{path}"))
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body.to_owned())
}

fn mute(body: &Value) -> TestRequest {
    TestRequest::post()
        .uri("/fleet/api/mutes")
        .insert_header(("content-type", "application/json"))
        .set_payload(body.to_string())
}

#[track_caller]
fn assert_refused(answer: &Answer, status: StatusCode, field: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.json().get("field").and_then(Value::as_str), field, "{}", answer.body);
}

async fn total(fixture: &Fixture) -> u64 {
    fixture.get("/fleet/api/fleet").await.json()["total"].as_u64().unwrap()
}

#[actix_rt::test]
async fn one_instance_is_forgotten() {
    let fixture = Fixture::with(3).await;
    let path = format!("instances/{}", instance_id(1));
    let forgotten = fixture.ask(delete(&path)).await;
    assert_eq!((forgotten.status, forgotten.body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_refused(&fixture.ask(delete(&path)).await, StatusCode::NOT_FOUND, None);
    assert_refused(&fixture.get(&format!("/fleet/api/{path}")).await, StatusCode::NOT_FOUND, None);
    assert_eq!(total(&fixture).await, 2);
    assert_eq!(fixture.get("/fleet/api/server").await.json()["waiting_alerts"], 0);
    let events = |number| format!("/fleet/api/events?instance={}", instance_id(number));
    assert_eq!(fixture.get(&events(1)).await.json()["events"].as_array().unwrap().len(), 1);
    fixture.ask(delete(&format!("instances/{}?with_events=true", instance_id(2)))).await;
    assert_eq!(fixture.get(&events(2)).await.json()["events"], json!([]));
    let twice = fixture.ask(delete(&format!("instances/{}?with_events=yes", instance_id(3)))).await;
    assert_refused(&twice, StatusCode::BAD_REQUEST, Some("with_events"));
}

#[actix_rt::test]
async fn instances_are_forgotten_by_the_filter_of_their_list() {
    let fixture = Fixture::with(6).await;
    for (query, field) in [
        ("", "all"),
        ("?all=false", "all"),
        ("?all=true&state=up", "all"),
        ("?statte=down", "statte"),
        ("?state=down&limit=5", "limit"),
        ("?state=dead", "state"),
        ("?state=up&dry_run=1", "dry_run"),
    ] {
        let refused = fixture.ask(delete(&format!("instances{query}"))).await;
        assert_refused(&refused, StatusCode::BAD_REQUEST, Some(field));
    }
    assert_eq!(total(&fixture).await, 6);
    let answer = |forgotten, dry_run| json!({"forgotten": forgotten, "more": false, "dry_run": dry_run});
    for (query, count) in [("version=2.0&state=up", 2), ("search=LATE", 1), ("flag=new", 3), ("flag=new", 0)]
    {
        let dry = fixture.ask(delete(&format!("instances?{query}&dry_run=true"))).await.json();
        assert_eq!(dry, answer(count, true), "{query}");
        let done = fixture.ask(delete(&format!("instances?{query}"))).await.json();
        assert_eq!(done, answer(count, false), "{query}");
    }
    assert_eq!(total(&fixture).await, 0);
}

#[actix_rt::test]
async fn every_instance_is_forgotten_by_a_word_of_its_own() {
    let fixture = Fixture::with(300).await;
    let done = fixture.ask(delete("instances?all=true&with_events=true")).await.json();
    assert_eq!(done, json!({"forgotten": 300, "more": false, "dry_run": false}));
    assert_eq!(fixture.get("/fleet/api/events").await.json()["events"], json!([]));
}

#[actix_rt::test]
async fn a_key_is_revoked_with_its_instances() {
    let fixture = Fixture::with(2).await;
    let new = NewKey { forget_after: Some(24), ..NewKey::named("mine") };
    let id = fixture.receiver.keys().create(new).await.unwrap().id;
    assert_eq!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["forget_after"], 24);
    // Those of the fixture are of another key.
    let path = format!("keys/{id}?forget=true");
    for _ in 0..2 {
        let done = fixture.ask(delete(&path)).await;
        assert_eq!((done.status, &done.json()["forgotten"]), (StatusCode::OK, &json!(0)), "{}", done.body);
    }
    assert_refused(&fixture.ask(delete(&format!("keys/{id}"))).await, StatusCode::NOT_FOUND, None);
    let unknown = fixture.ask(delete(&format!("keys/{}?forget=true", instance_id(1)))).await;
    assert_refused(&unknown, StatusCode::NOT_FOUND, None);
    assert_eq!(total(&fixture).await, 2);
}

#[actix_rt::test]
async fn a_mute_is_made_shown_where_it_matches_and_removed() {
    let fixture = Fixture::with(3).await;
    let made =
        fixture.ask(mute(&json!({"filter": "state=down", "seconds": 3600, "reason": " a \"move\" "}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert_eq!((&made["filter"], &made["reason"]), (&json!("state=down"), &json!("a \"move\"")));
    assert_eq!((&made["instance_id"], &made["key_id"]), (&Value::Null, &Value::Null));
    assert_eq!(made["active"], true);
    let until = made["until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!((3_590..=3_700).contains(&(until.as_second() - fixture.now.as_second())), "{until}");
    assert_eq!(fixture.get("/fleet/api/mutes").await.json(), json!({ "mutes": [made] }));

    let rows = fixture.get("/fleet/api/instances").await.json();
    let muted: Vec<_> = rows["instances"].as_array().unwrap().iter().map(|row| &row["muted"]).collect();
    let expected = json!({
        "id": made["id"], "of": "filter", "until": made["until"], "reason": "a \"move\""
    });
    assert_eq!(muted, [&expected, &Value::Null, &Value::Null]);
    let one = fixture.get(&format!("/fleet/api/instances/{}", instance_id(1))).await.json();
    assert_eq!(one["muted"], expected);
    // Of several, the one that ends last.
    let body = json!({"instance_id": instance_id(1), "seconds": 7200, "reason": "longer"});
    fixture.ask(mute(&body)).await;
    let one = fixture.get(&format!("/fleet/api/instances/{}", instance_id(1))).await.json();
    assert_eq!((&one["muted"]["reason"], &one["muted"]["of"]), (&json!("longer"), &json!("instance")));

    let path = format!("mutes/{}", made["id"].as_str().unwrap());
    assert_eq!(fixture.ask(delete(&path)).await.status, StatusCode::NO_CONTENT);
    assert_refused(&fixture.ask(delete(&path)).await, StatusCode::NOT_FOUND, None);
    assert_eq!(fixture.get("/fleet/api/mutes").await.json()["mutes"].as_array().unwrap().len(), 1);
}

#[actix_rt::test]
async fn a_mute_that_cannot_be_used_is_refused() {
    let fixture = Fixture::with(0).await;
    let id = instance_id(1);
    for (body, field) in [
        (json!({"seconds": 60, "reason": "a"}), "instance_id"),
        (json!({"instance_id": id, "key_id": id, "seconds": 60, "reason": "a"}), "instance_id"),
        (json!({"instance_id": "7", "seconds": 60, "reason": "a"}), "instance_id"),
        (json!({"filter": "", "seconds": 60, "reason": "a"}), "filter"),
        (json!({"filter": "statte=up", "seconds": 60, "reason": "a"}), "filter"),
        (json!({"filter": "state=up&limit=7", "seconds": 60, "reason": "a"}), "filter"),
        (json!({"key_id": id, "seconds": 59, "reason": "a"}), "seconds"),
        (json!({"key_id": id, "seconds": 31_622_401, "reason": "a"}), "seconds"),
        (json!({"key_id": id, "seconds": 60.5, "reason": "a"}), "seconds"),
        (json!({"key_id": id, "reason": "a"}), "seconds"),
        (json!({"key_id": id, "seconds": 60, "reason": ""}), "reason"),
        (json!({"key_id": id, "seconds": 60, "reason": " "}), "reason"),
        (json!({"key_id": id, "seconds": 60, "reason": "a\nb"}), "reason"),
        (json!({"key_id": id, "seconds": 60, "reason": "a".repeat(201)}), "reason"),
        (json!({"key_id": id, "seconds": 60, "reason": "a", "until": "tomorrow"}), "until"),
    ] {
        assert_refused(&fixture.ask(mute(&body)).await, StatusCode::BAD_REQUEST, Some(field));
    }
    assert_eq!(fixture.get("/fleet/api/mutes").await.json(), json!({"mutes": []}));
}

#[actix_rt::test]
async fn pages_ask_before_they_forget() {
    let fixture = Fixture::with(5).await;
    let fleet = fixture.get("/fleet/?state=up").await.body;
    assert!(
        fleet.contains("href=\"forget?state=up\"") && fleet.contains("href=\"mute?state=up\""),
        "{fleet}"
    );
    assert!(!fixture.get("/fleet/").await.body.contains("forget?"));
    let again = fixture.get("/fleet/forget?state=up&with_events=true").await;
    assert!(again.body.contains("name=\"with_events\" checked>"), "{}", again.body);
    let asked = fixture.get("/fleet/forget?state=up").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(
        asked.body.contains("Forget 3 servers") && asked.body.contains("comes back as new"),
        "{}",
        asked.body
    );
    for query in ["", "?all=true&state=up", "?key=7", "?revoke=7"] {
        assert_eq!(
            fixture.get(&format!("/fleet/forget{query}")).await.status,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    assert_eq!(total(&fixture).await, 5);
    let done = fixture.ask(form("forget?state=up", "with_events=on")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "./"), "{}", done.body);
    assert_eq!(total(&fixture).await, 2);

    let page = format!("instances/{}/forget", instance_id(1));
    let asked = fixture.get(&format!("/fleet/{page}")).await;
    assert!(asked.body.contains("&#60;script&#62;") && !asked.body.contains("<script>"), "{}", asked.body);
    let done = fixture.ask(form(&page, "")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "../../"));
    assert_eq!(fixture.ask(form(&page, "")).await.status, StatusCode::NOT_FOUND);

    let new = NewKey::named("<b>mine");
    let id = fixture.receiver.keys().create(new).await.unwrap().id;
    assert!(
        fixture.get(&format!("/fleet/server/keys/{id}")).await.body.contains(&format!("forget?revoke={id}"))
    );
    let page = format!("forget?revoke={id}");
    let asked = fixture.get(&format!("/fleet/{page}")).await.body;
    assert!(asked.contains("Revoke the key <bdi>&#60;b&#62;mine"), "{asked}");
    assert_eq!(fixture.ask(form(&page, "")).await.status, StatusCode::SEE_OTHER);
    assert!(fixture.get("/fleet/api/keys").await.json()["keys"][0]["revoked_at"].is_string());
    assert_eq!(total(&fixture).await, 1);
}

#[actix_rt::test]
async fn pages_mute_and_show_it() {
    let fixture = Fixture::with(3).await;
    assert!(fixture.get("/fleet/alerts").await.body.contains("Nothing is muted"));
    let page = format!("instances/{}", instance_id(1));
    let done = fixture.ask(form(&format!("{page}/mute"), "seconds=3600&reason=%3Cb%3Emove")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(done.header("location"), format!("../{}", instance_id(1)));
    let done = fixture.ask(form("mute?state=late", "seconds=86400&reason=holiday")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "alerts#mutes"));
    for (path, body) in [
        ("mute", "seconds=60&reason=a"),
        ("mute?state=late", "seconds=1&reason=a"),
        ("mute?state=late", "seconds=60&reason=+"),
        (&format!("{page}/mute"), "seconds=60&reason=a&more=1"),
    ] {
        assert_eq!(fixture.ask(form(path, body)).await.status, StatusCode::BAD_REQUEST, "{path} {body}");
    }
    let unknown = format!("instances/{}/mute", instance_id(9));
    assert_eq!(fixture.ask(form(&unknown, "seconds=60&reason=a")).await.status, StatusCode::NOT_FOUND);

    let shown = fixture.get(&format!("/fleet/{page}")).await.body;
    assert!(shown.contains("it is muted until") && shown.contains("&#60;b&#62;move"), "{shown}");
    assert_eq!(fixture.get("/fleet/").await.body.matches("\">muted until <").count(), 2);
    let list = fixture.get("/fleet/alerts").await.body;
    assert!(
        list.contains("state=late") && list.contains("holiday") && list.contains("&#60;b&#62;move"),
        "{list}"
    );
    let mutes = fixture.get("/fleet/api/mutes").await.json();
    let id = mutes["mutes"][0]["id"].as_str().unwrap();
    let ended = fixture.ask(form(&format!("mutes/{id}/remove"), "")).await;
    assert_eq!((ended.status, ended.header("location")), (StatusCode::SEE_OTHER, "../../alerts#mutes"));
    assert_eq!(fixture.ask(form(&format!("mutes/{id}/remove"), "")).await.status, StatusCode::NOT_FOUND);
}

#[actix_rt::test]
async fn a_mute_needs_no_reason() {
    let fixture = Fixture::with(3).await;
    let at = |number| format!("instances/{}", instance_id(number));
    let shown = fixture.get(&format!("/fleet/{}", at(1))).await.body;
    let (_, tap) =
        shown.split_once("<button name=\"seconds\" value=\"28800\">Mute for 8 h</button>").unwrap();
    assert!(
        tap.starts_with("<button name=\"seconds\" value=\"") && tap.contains("Mute until tomorrow "),
        "{tap}"
    );
    for body in ["seconds=28800", "seconds=28800&reason="] {
        let done = fixture.ask(form(&format!("{}/mute", at(1)), body)).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    }
    let by_api = fixture.ask(mute(&json!({"instance_id": instance_id(2), "seconds": 60}))).await;
    assert_eq!((by_api.status, &by_api.json()["reason"]), (StatusCode::CREATED, &json!("muted by the API")));
    let shown = fixture.get(&format!("/fleet/{}", at(1))).await.body;
    assert!(
        shown.contains("(<bdi>muted on the page</bdi>)") && shown.contains("<button>Unmute</button>"),
        "{shown}"
    );
    assert!(!shown.contains("Mute for 8 h"), "{shown}");
}

#[actix_rt::test]
async fn a_key_is_limited_and_replaced_and_given_an_instance() {
    let fixture = Fixture::with(1).await;
    let post =
        async |path: &str, body: Value| fixture.ask(TestRequest::post().uri(path).set_json(body)).await;
    let made = post("/fleet/api/keys", json!({"name": "mine", "new_per_hour": 5})).await.json();
    let at = |what: &str| format!("/fleet/api/keys/{}/{what}", made["id"].as_str().unwrap());
    assert_eq!(post(&at("limits"), json!({"any_frequency": true})).await.status, 204);
    let key = async || fixture.get("/fleet/api/keys").await.json()["keys"][0].clone();
    assert_eq!((&key().await["new_per_hour"], &key().await["any_frequency"]), (&json!(5), &json!(true)));
    assert_eq!(post(&at("limits"), json!({"new_per_hour": null})).await.status, 204);
    assert_eq!(key().await["new_per_hour"], Value::Null);
    assert_eq!(post(&at("limits"), json!({"new_per_hour": 0})).await.status, 400);

    let replaced = post(&at("url"), json!({"keep_hours": 2})).await.json();
    assert!(replaced["key"].is_string() && replaced["key"] != made["key"]);
    assert_ne!(key().await["old_until"], Value::Null);
    assert_eq!(fixture.ask(TestRequest::delete().uri(&at("url"))).await.status, 204);
    assert_eq!(key().await["old_until"], Value::Null);
    assert_eq!(post(&at("url"), json!({"keep_hours": 745})).await.status, 400);

    let owner = format!("/fleet/api/instances/{}/owner", instance_id(1));
    assert_eq!(post(&owner, json!({"key_id": made["id"]})).await.status, 204);
    let instance = fixture.get(&format!("/fleet/api/instances/{}", instance_id(1))).await.json();
    assert_eq!(instance["key_name"], "mine");
    assert_eq!(post(&owner, json!({"key_id": instance_id(1)})).await.status, 404, "it is no key");
}
