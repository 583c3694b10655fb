//! The state of the server itself, also where its store or its receiver does not work.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::assert_problem;
use crate::receiver::fixture::Fixture;
use crate::receiver::{AlertDestination, HealthState, Receiver};

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

/// Its thread may never answer, and the actor of the alerts is on it.
#[actix_rt::test]
async fn a_test_of_alerts_does_not_wait_for_a_receiver_that_does_not_run() {
    let mut fixture = Fixture::with(1).await;
    let alerts = AlertDestination::new("http://127.0.0.1:9/");
    fixture.receiver = Receiver::builder(fixture.storage()).alerts(alerts).start().unwrap();
    fixture.is_ready().await;
    // One that is frozen would run again at the next beat, for its thread is well.
    assert!(fixture.receiver.app.server.health.change(HealthState::Down));
    let answer = fixture.ask(TestRequest::post().uri("/fleet/api/alerts/test")).await;
    assert_problem(&answer, StatusCode::SERVICE_UNAVAILABLE, None);
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
