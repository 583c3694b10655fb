//! One instance, and its events.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::assert_problem;
use crate::receiver::fixture::{Fixture, HOSTILE, event_id, instance_id};

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
