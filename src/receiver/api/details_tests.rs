//! The latest changes, the licenses, the alerts that wait, and one instance with its history.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::receiver::fixture::{Fixture, HOSTILE, instance_id};

/// The hash of the license key of the first instance.
fn hash() -> String {
    "0a".repeat(32)
}

async fn ids(fixture: &Fixture, path: &str) -> Vec<String> {
    let answer = fixture.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    let page = answer.json();
    let rows = page["instances"].as_array().unwrap();
    rows.iter().map(|row| row["instance_id"].as_str().unwrap().to_owned()).collect()
}

#[actix_rt::test]
async fn instances_are_listed_in_the_order_that_is_asked_for() {
    let fixture = Fixture::with(5).await;
    for (sort, expected) in [
        ("worst", [1, 2, 3, 4, 5]),
        ("silent", [1, 2, 5, 4, 3]),
        ("name", [1, 2, 3, 4, 5]),
        ("version", [1, 3, 5, 2, 4]),
        ("first-seen", [1, 2, 3, 4, 5]),
    ] {
        let expected: Vec<_> = expected.map(|number| instance_id(number).to_string()).to_vec();
        let (mut seen, mut path) = (Vec::new(), format!("/fleet/api/instances?limit=2&sort={sort}"));
        loop {
            seen.extend(ids(&fixture, &path).await);
            let page = fixture.get(&path).await.json();
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/fleet/api/instances?limit=2&sort={sort}&after={next}");
        }
        assert_eq!(seen, expected, "{sort}");
        let csv = fixture.get(&format!("/fleet/api/instances.csv?sort={sort}")).await.body;
        let exported: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(exported, expected, "{sort}");
    }
    let next = fixture.get("/fleet/api/instances?limit=2").await.json()["next"].as_str().unwrap().to_owned();
    let other = fixture.get(&format!("/fleet/api/instances?sort=name&after={next}")).await;
    assert_eq!((other.status, &other.json()["field"]), (StatusCode::BAD_REQUEST, &json!("after")));
    for query in ["sort=best", "sort=", "sort=name&sort=name", "sort=name,worst"] {
        let refused = fixture.get(&format!("/fleet/api/instances?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[actix_rt::test]
async fn the_muted_are_a_filter_but_not_of_a_mute() {
    let fixture = Fixture::with(4).await;
    let mute = async |of: Value| {
        let body = json!({"filter": of, "seconds": 3600, "reason": "maintenance"}).to_string();
        let request = TestRequest::post().uri("/fleet/api/mutes");
        let request = request.insert_header(("content-type", "application/json")).set_payload(body);
        fixture.ask(request).await.status
    };
    assert!(ids(&fixture, "/fleet/api/instances?flag=muted").await.is_empty());
    assert_eq!(mute(json!("flag=muted")).await, StatusCode::BAD_REQUEST);
    assert_eq!(mute(json!("state=down,late")).await, StatusCode::CREATED);
    let muted = [1, 2].map(|number| instance_id(number).to_string());
    assert_eq!(ids(&fixture, "/fleet/api/instances?flag=muted").await, muted);
    assert_eq!(ids(&fixture, "/fleet/api/instances?flag=muted,crashed").await, muted[..1]);
    let doomed = TestRequest::delete().uri("/fleet/api/instances?flag=muted&dry_run=true");
    assert_eq!(fixture.ask(doomed).await.json()["forgotten"], 2);
    fixture.receiver.judge().await.unwrap();
    let fleet = fixture.get("/fleet/api/fleet").await.json();
    assert_eq!((&fleet["muted"], &fleet["ended_today"]), (&json!(2), &json!(0)));
}

#[actix_rt::test]
async fn the_fleet_says_who_has_been_so_for_longest() {
    let fixture = Fixture::with(5).await;
    let longest = &fixture.get("/fleet/api/fleet").await.json()["longest"];
    assert_eq!(longest["down"]["custom_id"], HOSTILE);
    assert_eq!(longest["up"]["instance_id"], json!(instance_id(5)));
    assert_eq!((&longest["late"]["instance_id"], &longest["ended"]), (&json!(instance_id(2)), &json!(null)));
}

#[actix_rt::test]
async fn the_latest_changes_are_listed() {
    let fixture = Fixture::with(3).await;
    let listed = fixture.get("/fleet/api/changes?limit=2").await.json();
    let changes = listed["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (&changes[0]["instance_id"], &changes[0]["custom_id"], &changes[0]["to"], &changes[0]["key_name"]),
        (&json!(instance_id(1)), &json!(HOSTILE), &json!("down"), &json!(null))
    );
    let count = async |query: &str| {
        let answer = fixture.get(&format!("/fleet/api/changes?{query}")).await;
        answer.json()["changes"].as_array().map(Vec::len)
    };
    let key = Uuid::from_u128(99);
    assert_eq!(count(&format!("key={key}&change=state,license")).await, Some(3));
    assert_eq!(count("change=version").await, Some(0));
    assert_eq!(count(&format!("key={}", Uuid::nil())).await, Some(0));
    let csv = fixture.get("/fleet/api/changes.csv?change=state").await;
    assert_eq!(csv.body.matches("\r\n").count(), 4, "{}", csv.body);
    assert!(csv.body.starts_with("at,change,from,to,instance_id,custom_id,key_id,key_name\r\n"));
    assert_eq!(fixture.get("/fleet/api/changes.jsonl?change=version").await.body, "");
    let limited = fixture.get("/fleet/api/changes.jsonl?limit=5").await;
    assert_eq!(limited.status, StatusCode::BAD_REQUEST);
    for query in ["change=weather", "change=new-instances", "key=1", "limit=0", "after=x"] {
        assert_eq!(count(query).await, None, "{query}");
    }
}

#[actix_rt::test]
async fn licenses_are_counted_and_found_by_their_hash() {
    let fixture = Fixture::with(4).await;
    let licenses = fixture.get("/fleet/api/licenses").await.json();
    assert_eq!(
        (&licenses["valid"], &licenses["invalid"], &licenses["none"]),
        (&json!(3), &json!(1), &json!(0))
    );
    assert_eq!((&licenses["shared"], &licenses["lost"]), (&json!([]), &json!([])));
    assert_eq!(licenses["found"], json!(null));
    let by_hash =
        fixture.get(&format!("/fleet/api/licenses?hash={}", &hash().to_uppercase()[..8])).await.json();
    assert_eq!(by_hash["found"]["instances"][0]["instance_id"], json!(instance_id(1)));
    let none = fixture.get(&format!("/fleet/api/licenses?hash={}", "0b".repeat(32))).await.json();
    assert_eq!(none["found"], json!({"instances": [], "next": null}));
    for query in ["hash=0a0a", "hash=secret-key", "hash=", "license=valid"] {
        let refused = fixture.get(&format!("/fleet/api/licenses?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[actix_rt::test]
async fn alerts_that_wait_are_listed_where_there_is_no_destination() {
    let fixture = Fixture::with(2).await;
    let alerts = fixture.get("/fleet/api/alerts").await.json();
    assert_eq!(
        (&alerts["to"], &alerts["last_answer"], &alerts["waiting"]),
        (&json!(null), &json!(null), &json!(1))
    );
    assert_eq!((&alerts["digests"][0]["id"], &alerts["digests"][0]["alerts"]), (&json!(null), &json!(1)));
    let test = fixture.ask(TestRequest::post().uri("/fleet/api/alerts/test")).await;
    assert_eq!(test.status, StatusCode::NOT_FOUND);
    assert_eq!(test.json()["detail"], "no destination of alerts is set");
    for id in [Uuid::nil().to_string(), "1".to_owned()] {
        let given_up = fixture.ask(TestRequest::delete().uri(&format!("/fleet/api/alerts/{id}"))).await;
        assert_eq!(given_up.status, StatusCode::NOT_FOUND);
    }
}

#[actix_rt::test]
async fn an_instance_has_its_history_and_its_neighbours() {
    let fixture = Fixture::with(5).await;
    let whole = fixture.get(&format!("/fleet/api/instances/{}", instance_id(1))).await.json();
    assert_eq!((&whole["license"], &whole["license_servers"]), (&json!("invalid"), &json!(1)));
    assert_eq!(whole["neighbours"], json!({"reporting": 3, "silent": 1}));
    assert_eq!((&whole["grace"], whole["days"].as_array().unwrap().len()), (&json!(300), 90));
    assert_eq!(whole["days"][89], "down");
    assert_eq!(
        (&whole["events"][0]["reason"], &whole["events"][0]["sequence"]),
        (&json!("begin"), &json!(1))
    );
    let alert = &whole["alert"];
    assert_eq!(
        (&alert["to"], &alert["delivered_at"], &alert["failure"]),
        (&json!("down"), &json!(null), &json!(null))
    );
    assert_eq!(whole["months"][0]["down"]["count"], 1);
    let third = fixture.get(&format!("/fleet/api/instances/{}", instance_id(3))).await.json();
    assert_eq!((&third["license_servers"], &third["alert"]), (&json!(null), &json!(null)));
    assert_eq!(third["neighbours"], json!({"reporting": 2, "silent": 2}));
}
