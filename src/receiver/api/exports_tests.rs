//! The lists as files.

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::Value;

use crate::receiver::NewKey;
use crate::receiver::fixture::{Fixture, HOSTILE, event_id, instance_id};

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[actix_rt::test]
async fn a_list_is_exported_whole_and_in_its_order() {
    // More than two pages.
    let fixture = Fixture::with(450).await;
    let csv = fixture.get("/fleet/api/instances.csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"instances.csv\"");
    assert_eq!(csv.header("cache-control"), "no-store");
    let records: Vec<&str> = csv.body.split_terminator("\r\n").collect();
    assert_eq!(records.len(), 451);
    assert!(records[0].starts_with("instance_id,custom_id,state,state_since,"), "{}", records[0]);
    let name = format!("\"{}\"", HOSTILE.replace('"', "\"\""));
    assert!(records[1].starts_with(&format!("{},{name},down,", instance_id(1))), "{}", records[1]);
    for (number, record) in (1..).zip(&records[1..]) {
        assert!(record.starts_with(&instance_id(number).to_string()), "{number}: {record}");
    }

    let listed = fixture.get("/fleet/api/instances.jsonl").await;
    assert_eq!(listed.header("content-type"), "application/jsonl");
    let rows = lines(&listed.body);
    assert_eq!(rows.len(), 450);
    let page = fixture.get("/fleet/api/instances?limit=200").await.json();
    assert_eq!(Value::from(rows[..200].to_vec()), page["instances"]);

    let events = lines(&fixture.get("/fleet/api/events.jsonl").await.body);
    let ids: Vec<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (1..=450).map(|number| event_id(number).to_string()).collect::<Vec<_>>());
    assert_eq!(events[1]["data"]["number"], 2);
}

#[actix_rt::test]
async fn an_export_has_the_filter_of_its_list() {
    let fixture = Fixture::with(7).await;
    for (query, count) in
        [("", 7), ("state=down", 1), ("version=2.0&state=up", 2), ("key=63&state=up", 0), ("search=LATE", 1)]
    {
        let query = query.replace("key=63", &format!("key={}", instance_id(63)));
        let csv = fixture.get(&format!("/fleet/api/instances.csv?{query}")).await;
        assert_eq!(csv.body.matches("\r\n").count(), count + 1, "{query}: {}", csv.body);
        let rows = fixture.get(&format!("/fleet/api/instances.jsonl?{query}")).await;
        assert_eq!(lines(&rows.body).len(), count, "{query}");
    }
    let of_one =
        fixture.get(&format!("/fleet/api/events.csv?instance={}&reason=begin", instance_id(3))).await;
    assert!(
        of_one.body.ends_with("\"{ \"\"z\"\": 1.0, \"\"number\"\": 3, \"\"note\"\": \"\"</pre>\"\" }\"\r\n"),
        "{}",
        of_one.body
    );
    assert_eq!(of_one.body.matches("\r\n").count(), 2);
    for query in [
        "instances.csv?limit=5",
        "instances.jsonl?after=AAAA",
        "instances.csv?strip=true",
        "instances.csv?state=fine",
        "events.csv?limit=5",
        "events.jsonl?from=yesterday",
    ] {
        let refused = fixture.get(&format!("/fleet/api/{query}")).await;
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (StatusCode::BAD_REQUEST, "application/problem+json"),
            "{query}"
        );
    }
}

#[actix_rt::test]
async fn keys_mutes_and_refused_requests_are_exported() {
    let fixture = Fixture::with(1).await;
    fixture.receiver.keys().create(NewKey::named("=cmd|' /C calc'!A0")).await.unwrap();
    let keys = fixture.get("/fleet/api/keys.csv").await;
    assert!(keys.body.starts_with("id,name,signed,rotating,token,rate,"), "{}", keys.body);
    assert!(keys.body.contains(",'=cmd|' /C calc'!A0,false,false,false,,,1000,false,,"), "{}", keys.body);
    assert_eq!(lines(&fixture.get("/fleet/api/keys.jsonl").await.body)[0]["name"], "=cmd|' /C calc'!A0");

    let mute = TestRequest::post()
        .uri("/fleet/api/mutes")
        .insert_header(("content-type", "application/json"))
        .set_payload(r#"{"filter": "state=up", "seconds": 3600, "reason": "two\nlines"}"#);
    assert_eq!(fixture.ask(mute).await.status, StatusCode::BAD_REQUEST, "a reason is one line");
    let mute = TestRequest::post()
        .uri("/fleet/api/mutes")
        .insert_header(("content-type", "application/json"))
        .set_payload(r#"{"filter": "state=up", "seconds": 3600, "reason": "a, b"}"#);
    assert_eq!(fixture.ask(mute).await.status, StatusCode::CREATED);
    let mutes = fixture.get("/fleet/api/mutes.csv").await;
    assert!(mutes.body.contains(",,,state=up,\"a, b\","), "{}", mutes.body);
    assert_eq!(lines(&fixture.get("/fleet/api/mutes.jsonl").await.body).len(), 1);

    let none = fixture.get("/fleet/api/refused.csv").await;
    assert_eq!(
        none.body,
        "at,key_id,key_name,status,cause,detail,field,product,instance_id,build_version\r\n"
    );
    assert_eq!(fixture.get("/fleet/api/refused.jsonl").await.body, "");
}

#[actix_rt::test]
async fn an_export_that_cannot_begin_is_refused_and_a_head_has_its_headers() {
    let fixture = Fixture::without_store();
    for path in ["instances.csv", "events.jsonl", "keys.csv", "mutes.jsonl"] {
        let refused = fixture.get(&format!("/fleet/api/{path}")).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(refused.header("retry-after"), "5");
    }
    let fixture = Fixture::with(1).await;
    let head = TestRequest::default().method(Method::HEAD).uri("/fleet/api/events.csv");
    let head = fixture.ask(head).await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (StatusCode::OK, "text/csv; charset=utf-8; header=present")
    );
}
