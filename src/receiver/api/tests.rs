use std::collections::BTreeSet;

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::receiver::api::OPEN_API;
use crate::receiver::fixture::{Answer, Fixture, HOSTILE, event_id, instance_id};
use crate::receiver::http::problem::{Cause, TYPE_PREFIX};
use crate::receiver::{HealthState, NewKey};

fn assert_problem(answer: &Answer, status: StatusCode, field: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem.get("field").and_then(Value::as_str), field, "{problem}");
}

#[actix_rt::test]
async fn the_fleet_is_counted() {
    let fixture = Fixture::with(5).await;
    let answer = fixture.get("/fleet/api/fleet").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let fleet = answer.json();
    assert_eq!(fleet["states"], json!({"down": 1, "late": 1, "up": 3, "ended": 0}));
    assert_eq!(fleet["total"], 5);
    assert_eq!(fleet["new"], 5);
    assert_eq!(fleet["license_invalid"], 1);
    assert_eq!(fleet["versions"], json!([{"version": "1.0", "count": 3}, {"version": "2.0", "count": 2}]));
}

#[actix_rt::test]
async fn instances_are_listed_worst_first_page_by_page() {
    let fixture = Fixture::with(5).await;
    let mut seen = Vec::new();
    let mut path = "/fleet/api/instances?limit=2".to_owned();
    loop {
        let page = fixture.get(&path).await.json();
        let rows = page["instances"].as_array().unwrap();
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| row["instance_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/fleet/api/instances?limit=2&after={next}");
    }
    let expected: Vec<_> = (1..=5).map(|number| instance_id(number).to_string()).collect();
    assert_eq!(seen, expected);
}

#[actix_rt::test]
async fn instances_are_filtered() {
    let fixture = Fixture::with(5).await;
    let id = format!("search={}", &instance_id(3).to_string()[..8]);
    for (query, count) in [
        ("", 5),
        ("state=down", 1),
        ("state=ended", 0),
        ("license=invalid", 1),
        ("license=valid", 4),
        ("version=1.0", 3),
        ("release=1.0", 3),
        ("release=1", 0),
        ("older-than=v2.0", 3),
        ("older-than=2.0.1", 5),
        ("older-than=1.0.0", 0),
        ("flag=crashed", 1),
        ("flag=several-runs", 0),
        ("flag=restarting", 0),
        ("flag=new", 5),
        ("search=LATE", 1),
        (&id, 1),
        ("search=%25", 0),
        ("state=up&version=2.0", 1),
    ] {
        let page = fixture.get(&format!("/fleet/api/instances?{query}")).await.json();
        assert_eq!(page["instances"].as_array().unwrap().len(), count, "{query}: {page}");
    }
}

#[actix_rt::test]
async fn a_list_has_strips_where_they_are_asked_for() {
    let fixture = Fixture::with(3).await;
    let page = fixture.get("/fleet/api/instances?strip=true").await.json();
    for (row, state) in page["instances"].as_array().unwrap().iter().zip(["down", "late", "up"]) {
        let strip = row["strip"].as_array().unwrap();
        assert_eq!((strip.len(), &strip[0], &strip[29]), (30, &Value::Null, &json!(state)));
    }
    for query in ["", "?strip=false"] {
        let page = fixture.get(&format!("/fleet/api/instances{query}")).await.json();
        assert!(page["instances"][0].get("strip").is_none(), "{page}");
    }
}

#[actix_rt::test]
async fn adoption_is_told_of_what_was_counted() {
    let fixture = Fixture::with(5).await;
    let day = &fixture.now.to_string()[..10];
    let ask = async |query: &str| fixture.get(&format!("/fleet/api/adoption?{query}")).await.json();
    let adoption = ask(&format!("from={day}&to={day}")).await;
    assert_eq!(
        (&adoption["from"], &adoption["to"], &adoption["counted_on"]),
        (&json!(day), &json!(day), &json!(day))
    );
    assert_eq!(adoption["active"], json!([5]));
    assert_eq!(
        adoption["bands"],
        json!([
            {"name": "2.0", "servers": [2], "share": [0.4]},
            {"name": "1.0", "servers": [3], "share": [0.6]},
        ])
    );
    assert_eq!(adoption["figures"]["active"]["now"], 5);
    assert_eq!(adoption["figures"]["newest_three"]["now"], 1.0);
    assert_eq!(adoption["figures"]["versions"]["now"], 2);
    assert_eq!(adoption["figures"]["upgrades"], json!({"now": 0, "before": null}));
    assert_eq!(adoption["releases"][1]["license_invalid"], 1);
    assert_eq!(adoption["releases"][0]["versions"], json!([{"version": "2.0", "servers": 2}]));
    assert_eq!(adoption["systems"], json!([{"os": "linux", "arch": "amd64", "servers": 5, "share": 1.0}]));
    assert_eq!(adoption["behind"], json!({"older_than": "1.0", "servers": 0, "keys": []}));
    assert_eq!(adoption["uptake"], json!([]));
    assert_eq!(
        (&adoption["counted_since"], &adoption["newest"]),
        (&json!(day), &json!({"release": "2.0", "servers": 2, "share": 0.4, "days": null, "before": null}))
    );
    let file = fixture.get(&format!("/fleet/api/adoption.csv?to={day}")).await;
    assert_eq!(file.body, format!("day,name,servers,share\r\n{day},2.0,2,0.4\r\n{day},1.0,3,0.6\r\n"));

    let key = uuid::Uuid::from_u128(99);
    let same = ask(&format!("from={day}&to={day}&by=version&key={key}&product=example-server")).await;
    assert_eq!(same, adoption);
    let nobody = ask(&format!("from={day}&to={day}&product=other")).await;
    assert_eq!((&nobody["active"], &nobody["releases"]), (&json!([0]), &json!([])));
    assert_eq!(ask("from=2027-02-02&to=2027-02-01").await["active"], json!([]));
    let usual = ask("").await;
    assert_eq!(usual["active"].as_array().unwrap().len(), 90);
    let before = ask("from=2001-01-01&to=2001-01-02").await;
    assert_eq!((&before["counted_on"], &before["active"]), (&Value::Null, &json!([null, null])));
}

#[actix_rt::test]
async fn an_instance_has_its_runs_and_transitions() {
    let fixture = Fixture::with(2).await;
    let answer = fixture.get(&format!("/fleet/api/instances/{}", instance_id(1))).await.json();
    assert_eq!(answer["custom_id"], HOSTILE);
    assert_eq!(answer["state"], "down");
    assert_eq!(
        answer["flags"],
        json!({"crashed": true, "several_runs": false, "cloned": false, "restarting": false, "new": true})
    );
    assert_eq!(answer["runs"][0]["begun"], true);
    assert_eq!(answer["runs"][0]["ended_at"], Value::Null);
    let transition = &answer["transitions"][0];
    assert_eq!(
        (&transition["change"], &transition["from"], &transition["to"]),
        (&json!("state"), &Value::Null, &json!("down"))
    );
    assert_eq!(transition["at"].as_str().unwrap().len(), "2027-01-01T00:00:00.000000Z".len());
}

#[actix_rt::test]
async fn events_are_listed_as_they_came_and_deleted() {
    let fixture = Fixture::with(3).await;
    let page = fixture.get("/fleet/api/events?limit=2").await;
    assert!(page.body.contains(r#""data":{ "z": 1.0, "number": 1, "note": "</pre>" }"#), "{}", page.body);
    let page = page.json();
    assert_eq!(page["events"][0]["kind"], "usr");
    assert_eq!(page["events"][0]["type"], "telemetry.custom");
    assert_eq!(page["events"][0]["persistent"], true);
    let next = page["next"].as_str().unwrap();
    let rest = fixture.get(&format!("/fleet/api/events?limit=2&after={next}")).await.json();
    assert_eq!(rest["events"][0]["id"], event_id(3).to_string());
    assert_eq!(rest["next"], Value::Null);

    let bound = fixture.now.to_string();
    for (query, count) in [
        (format!("instance={}", instance_id(2)), 1),
        ("reason=begin".to_owned(), 3),
        ("reason=end".to_owned(), 0),
        (format!("from={bound}"), 0),
        (format!("to={bound}"), 3),
    ] {
        let page = fixture.get(&format!("/fleet/api/events?{query}")).await.json();
        assert_eq!(page["events"].as_array().unwrap().len(), count, "{query}");
    }

    let path = format!("/fleet/api/instances/{}/events/{}", instance_id(2), event_id(2));
    assert_eq!(fixture.get(&path).await.json()["data"]["number"], 2);
    let deleted = fixture.ask(TestRequest::delete().uri(&path)).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_problem(&fixture.get(&path).await, StatusCode::NOT_FOUND, None);
    assert_problem(&fixture.ask(TestRequest::delete().uri(&path)).await, StatusCode::NOT_FOUND, None);
    let other = format!("/fleet/api/instances/{}/events/{}", instance_id(2), event_id(1));
    assert_problem(&fixture.get(&other).await, StatusCode::NOT_FOUND, None);
}

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
        TestRequest::post().uri("/fleet/mutes"),
    ] {
        assert_problem(&fixture.ask(request.insert_header(foreign)).await, StatusCode::FORBIDDEN, None);
    }
    assert_eq!(fixture.get(&path).await.status, StatusCode::OK);
}

fn new_key(body: impl ToString) -> TestRequest {
    TestRequest::post()
        .uri("/fleet/api/keys")
        .insert_header(("content-type", "application/json; charset=utf-8"))
        .set_payload(body.to_string())
}

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

#[actix_rt::test]
async fn the_server_without_telemetry_says_so() {
    let fixture = Fixture::with(1).await;
    let server = fixture.get("/fleet/api/server").await.json();
    assert_eq!(server["store"], "SQLite");
    assert_eq!(server["telemetry"], Value::Null);
    assert_eq!(server["waiting_alerts"], 1);
    assert_problem(&fixture.get("/fleet/api/server/preview").await, StatusCode::NOT_FOUND, None);
    let send = fixture.ask(TestRequest::post().uri("/fleet/api/server/send")).await;
    assert_problem(&send, StatusCode::NOT_FOUND, None);
}

#[actix_rt::test]
async fn without_the_store_only_the_server_is_shown() {
    let fixture = Fixture::without_store();
    let server = fixture.get("/fleet/api/server").await;
    assert_eq!(server.status, StatusCode::OK);
    assert_eq!(server.json()["waiting_alerts"], Value::Null);
    for path in ["fleet", "adoption", "instances", "events", "keys"] {
        let refused = fixture.get(&format!("/fleet/api/{path}")).await;
        assert_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, None);
        assert_eq!(refused.header("retry-after"), "5");
    }
}

#[actix_rt::test]
async fn a_receiver_that_does_not_run_says_so_everywhere_and_keeps_nobody_waiting() {
    let fixture = Fixture::with(1).await;
    let server = fixture.get("/fleet/api/server").await.json();
    assert_eq!((&server["health"], &server["panics"]), (&json!("running"), &json!(0)));
    let metrics = fixture.get("/fleet/metrics").await.body;
    assert!(metrics.contains("\ntelemetry_receiver_health{state=\"running\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\ntelemetry_receiver_panics_total 0\n"), "{metrics}");

    fixture.receiver.stop().await;
    fixture.receiver.ended().await;
    assert_eq!(fixture.receiver.health().state, HealthState::Stopped);
    assert_eq!(fixture.get("/fleet/api/server").await.json()["health"], "stopped");
    let page = fixture.get("/fleet/server").await;
    assert!(page.body.contains("The receiver was stopped"), "{}", page.body);
    let metrics = fixture.get("/fleet/metrics").await.body;
    assert!(metrics.contains("\ntelemetry_receiver_health{state=\"running\"} 0\n"), "{metrics}");
    assert!(metrics.contains("\ntelemetry_receiver_health{state=\"stopped\"} 1\n"), "{metrics}");
    assert_problem(&fixture.get("/fleet/api/instances").await, StatusCode::SERVICE_UNAVAILABLE, None);
    assert!(fixture.receiver.judge().await.is_err());
    assert!(fixture.receiver.keys().list().await.is_err());
}

#[actix_rt::test]
async fn metrics_have_the_format_that_is_asked_for() {
    let fixture = Fixture::with(3).await;
    let metrics = fixture.get("/fleet/metrics").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(metrics.body.contains("\ntelemetry_instances{state=\"down\",license=\"invalid\"} 1\n"));
    assert!(metrics.body.contains("\ntelemetry_receiver_waiting_alerts 1\n"));
    assert!(metrics.body.ends_with("# EOF\n"));
    let plain = TestRequest::get().uri("/fleet/metrics").insert_header(("accept", "text/plain"));
    let plain = fixture.ask(plain).await;
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.body.contains("# TYPE telemetry_receiver_events_total counter\n"));
}

#[actix_rt::test]
async fn every_path_of_the_description_is_there() {
    let fixture = Fixture::with(0).await;
    let description = fixture.get("/fleet/api/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    // The webhook is mounted by itself.
    for path in paths.keys().filter(|path| !path.starts_with("/webhooks/")) {
        let answer =
            fixture.ask(TestRequest::patch().uri(&format!("/fleet{}", path.replace(['{', '}'], "")))).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let mut allow: Vec<_> =
            answer.header("allow").split(", ").filter(|method| *method != "HEAD").collect();
        let mut described: Vec<_> =
            paths[path].as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        allow.sort_unstable();
        described.sort_unstable();
        assert_eq!(allow, described, "{path}");
    }
}

#[test]
fn every_cause_has_a_word_of_its_own_and_is_described() {
    let description: Value = serde_json::from_str(OPEN_API).unwrap();
    let described = &description["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
    let described: Vec<_> = described.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let types: Vec<_> = Cause::ALL.iter().map(|cause| format!("{TYPE_PREFIX}{}", cause.word())).collect();
    assert_eq!(types, described);
    assert_eq!(types.iter().collect::<BTreeSet<_>>().len(), types.len(), "one word, one cause");
    let titles: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.title()).collect();
    assert_eq!(titles.len(), types.len(), "one title, one cause");
    for cause in Cause::ALL {
        let status = cause.status();
        assert!(status.is_client_error() || status.is_server_error(), "{cause:?}");
        let is_temporary = matches!(status.as_u16(), 429 | 503);
        assert_eq!(cause.retry_after().is_some(), is_temporary, "{cause:?}");
    }
}
