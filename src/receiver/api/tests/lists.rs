//! Lists of instances, and the counts of the fleet.

use serde_json::{Value, json};

use crate::receiver::fixture::{Fixture, instance_id};

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
