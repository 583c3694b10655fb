//! What is told of an instance that goes down, comes back, or loses its license.

use std::time::Duration;

use deployment_telemetry::Reason;
use deployment_telemetry::receiver::{AlertDestination, ReceiverBuilder, Storage};
use futures_executor::block_on;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::environment::ran_in_a_clean_one;
use test_support::{Behaviour, FakeDestination, ReceivedRequest, TestDatabase, wait_until};
use uuid::Uuid;

use crate::clock::TestClock;
use crate::host::{Event, Host, INSTANCE, LIMIT, RUN, postgres, sqlite};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Longer than the allowance of an instance that reports once an hour.
const LONG: Duration = Duration::from_secs(3 * 3600);

fn telling(builder: ReceiverBuilder, clock: &TestClock, to: &FakeDestination) -> ReceiverBuilder {
    clock.drive_without_outages(builder).alerts(AlertDestination::new(to.url()).signing_secret(SECRET))
}

fn hourly(instance: Uuid, sequence: u64, reason: Reason) -> Event {
    Event::new(instance, RUN, sequence, reason).with("telemetry-frequency", "3600")
}

fn alerts(request: &ReceivedRequest) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "telemetry.alert");
    body["data"]["alerts"].as_array().unwrap().clone()
}

fn told(request: &ReceivedRequest) -> Vec<String> {
    alerts(request)
        .iter()
        .map(|alert| format!("{} {}", alert["from"].as_str().unwrap(), alert["to"].as_str().unwrap()))
        .collect()
}

#[test]
fn each_change_is_told_once_and_signed() {
    if ran_in_a_clean_one("alerts::each_change_is_told_once_and_signed") {
        return;
    }
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let webhook = FakeDestination::start(Behaviour::Ok);
    let host = Host::start(sqlite(directory.path()), |builder| telling(builder, &clock, &webhook));
    assert_eq!(host.send(&hourly(INSTANCE, 1, Reason::Begin)).status, 200);
    block_on(host.receiver.judge()).unwrap();
    clock.pass(LONG);
    block_on(host.receiver.judge()).unwrap();
    let down = webhook.wait_for_requests(1, LIMIT);
    assert_eq!(told(&down[0]), ["late down"]);
    let alert = &alerts(&down[0])[0];
    assert_eq!(alert["instance_id"], json!(INSTANCE));
    assert_eq!((&alert["custom_id"], &alert["change"]), (&json!("mine"), &json!("state")));

    let header = |name: &str| down[0].header(name).unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signature = test_support::webhook::signature(SECRET, &id, &timestamp, &down[0].body);
    assert_eq!(header("webhook-signature"), signature);

    let unlicensed = hourly(INSTANCE, 2, Reason::LicenseStateChange)
        .with_body(|fields| _ = fields.insert("license_valid".to_owned(), json!(false)));
    assert_eq!(host.send(&unlicensed).status, 200);
    block_on(host.receiver.judge()).unwrap();
    let back = webhook.wait_for_requests(2, LIMIT);
    let mut changes = told(&back[1]);
    changes.sort();
    assert_eq!(changes, ["down up", "valid invalid"]);
    assert_eq!(host.request("GET", "/api/server", &[], b"").json()["alerts_to"], "127.0.0.1");
    wait_until("nothing waits", LIMIT, || {
        host.request("GET", "/api/server", &[], b"").json()["waiting_alerts"] == 0
    });
    assert_eq!(webhook.requests().len(), 2);
}

#[test]
fn many_at_once_are_one_digest_by_one_of_several_receivers() {
    if ran_in_a_clean_one("alerts::many_at_once_are_one_digest_by_one_of_several_receivers") {
        return;
    }
    let (database, clock) = (TestDatabase::new(), TestClock::new());
    let webhook = FakeDestination::start(Behaviour::Ok);
    let hosts: Vec<Host> = (0..2)
        .map(|_| Host::start(postgres(&database), |builder| telling(builder, &clock, &webhook)))
        .collect();
    let count = 300;
    for number in 1..=count {
        assert_eq!(
            hosts[number % 2].send(&hourly(Uuid::from_u128(number as u128), 1, Reason::Begin)).status,
            200
        );
    }
    // What one of them judges at the moment, the other one passes over and does not wait for.
    let judge = || hosts.iter().for_each(|host| block_on(host.receiver.judge()).unwrap());
    judge();
    clock.pass(LONG);
    judge();
    let waiting = "select count(*)::text from telemetry_alert where delivered_at is null";
    wait_until("all are told", LIMIT, || database.query_one_text(waiting).as_deref() == Some("0"));
    let requests = webhook.requests();
    let mut instances: Vec<String> = requests
        .iter()
        .flat_map(alerts)
        .map(|alert| alert["instance_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(instances.len(), count);
    instances.sort();
    instances.dedup();
    assert_eq!(instances.len(), count);
    assert!(requests.len() <= 2, "{} requests", requests.len());
}

#[test]
fn an_alert_outlives_the_receiver_that_decided_it() {
    if ran_in_a_clean_one("alerts::an_alert_outlives_the_receiver_that_decided_it") {
        return;
    }
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let webhook = FakeDestination::start(Behaviour::Status(500));
    {
        let host = Host::start(sqlite(directory.path()), |builder| telling(builder, &clock, &webhook));
        assert_eq!(host.send(&hourly(INSTANCE, 1, Reason::Begin)).status, 200);
        block_on(host.receiver.judge()).unwrap();
        clock.pass(LONG);
        block_on(host.receiver.judge()).unwrap();
        webhook.wait_for_requests(1, LIMIT);
    }
    webhook.set_behaviour(Behaviour::Ok);
    clock.pass(Duration::from_secs(15));
    let host = Host::start(sqlite(directory.path()), |builder| telling(builder, &clock, &webhook));
    let requests = webhook.wait_for_requests(2, LIMIT);
    assert_eq!(requests[0].body, requests[1].body, "the same content");
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"), "by the same id");
    wait_until("nothing waits", LIMIT, || {
        host.request("GET", "/api/server", &[], b"").json()["waiting_alerts"] == 0
    });
}

/// What `api/alerts` says.
fn shown(host: &Host) -> Value {
    host.request("GET", "/api/alerts", &[], b"").json()
}

#[test]
fn a_destination_that_refuses_is_shown_with_its_answer_and_can_be_tested() {
    if ran_in_a_clean_one("alerts::a_destination_that_refuses_is_shown_with_its_answer_and_can_be_tested") {
        return;
    }
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let webhook = FakeDestination::start(Behaviour::Status(500));
    let host = Host::start(sqlite(directory.path()), |builder| telling(builder, &clock, &webhook));
    wait_until("a test is sent", LIMIT, || host.request("POST", "/api/alerts/test", &[], b"").status == 200);
    let test = webhook.wait_for_requests(1, LIMIT).remove(0);
    assert!(alerts(&test).is_empty());
    let refused = shown(&host);
    assert_eq!((&refused["to"], &refused["waiting"]), (&json!("127.0.0.1"), &json!(0)));
    let answer = &refused["last_answer"];
    assert_eq!(
        (&answer["delivered"], &answer["status"], &answer["alerts"]),
        (&json!(false), &json!(500), &json!(0))
    );
    assert_eq!(answer["answer"], "not taken: the destination answered with status 500");

    assert_eq!(host.send(&hourly(INSTANCE, 1, Reason::Begin)).status, 200);
    block_on(host.receiver.judge()).unwrap();
    clock.pass(LONG);
    block_on(host.receiver.judge()).unwrap();
    wait_until("the failure is noted", LIMIT, || shown(&host)["digests"][0]["failure"] == "status 500");
    let digest = shown(&host)["digests"][0].clone();
    assert_eq!((&digest["alerts"], &digest["tries"]), (&json!(1), &json!(1)));
    let of_instance = host.request("GET", &format!("/api/instances/{INSTANCE}"), &[], b"").json();
    assert_eq!(
        (&of_instance["alert"]["to"], &of_instance["alert"]["failure"]),
        (&json!("down"), &json!("status 500"))
    );

    webhook.set_behaviour(Behaviour::Ok);
    let test = host.request("POST", "/api/alerts/test", &[], b"").json();
    assert_eq!((&test["delivered"], &test["answer"]), (&json!(true), &json!("taken, with status 200")));
    let path = format!("/api/alerts/{}", digest["id"].as_str().unwrap());
    assert_eq!(host.request("DELETE", &path, &[], b"").status, 204);
    assert_eq!(host.request("DELETE", &path, &[], b"").status, 404);
    assert_eq!((&shown(&host)["waiting"], &shown(&host)["digests"]), (&json!(0), &json!([])));
}

fn mute(host: &Host, body: &Value) -> String {
    let headers = ["content-type: application/json".to_owned()];
    let made = host.request("POST", "/api/mutes", &headers, body.to_string().as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["id"].as_str().unwrap().to_owned()
}

fn changes_of(host: &Host, instance: Uuid) -> Vec<String> {
    let shown = host.request("GET", &format!("/api/instances/{instance}"), &[], b"").json();
    let changes = shown["transitions"].as_array().unwrap().iter().rev();
    changes.map(|change| change["to"].as_str().unwrap().to_owned()).collect()
}

/// An event of an instance that has a run of its own.
fn of_its_own(instance: Uuid, sequence: u64, reason: Reason) -> Event {
    Event::new(instance, instance, sequence, reason).with("telemetry-frequency", "3600")
}

/// Three instances go down while they are muted. One comes back before the end of the mute, one is down at the end of it, one
/// is down when its mute is removed.
fn who_is_muted_is_told_at_the_end(store: impl Into<Storage>) {
    let (clock, webhook) = (TestClock::new(), FakeDestination::start(Behaviour::Ok));
    let host = Host::start(store, |builder| telling(builder, &clock, &webhook));
    let [back, stays, removed] = [1, 2, 3].map(|number| Uuid::from_u128(0x4000_8000_0000_0000_0000 + number));
    for instance in [back, stays, removed] {
        assert_eq!(host.send(&of_its_own(instance, 1, Reason::Begin)).status, 200);
    }
    block_on(host.receiver.judge()).unwrap();
    let a_day =
        |of: Value| json!({ of[0].as_str().unwrap(): of[1], "seconds": 86_400, "reason": "maintenance" });
    mute(&host, &a_day(json!(["instance_id", back])));
    mute(&host, &a_day(json!(["filter", format!("search={}", &stays.to_string())])));
    let third = mute(&host, &a_day(json!(["instance_id", removed])));
    clock.pass(LONG);
    block_on(host.receiver.judge()).unwrap();
    for instance in [back, stays, removed] {
        let shown = host.request("GET", &format!("/api/instances/{instance}"), &[], b"").json();
        assert_eq!((&shown["state"], &shown["muted"]["reason"]), (&json!("down"), &json!("maintenance")));
        assert_eq!(changes_of(&host, instance), ["up", "late", "down"]);
    }
    assert_eq!(host.request("GET", "/api/server", &[], b"").json()["waiting_alerts"], 0);

    // One by hand.
    assert_eq!(host.request("DELETE", &format!("/api/mutes/{third}"), &[], b"").status, 204);
    block_on(host.receiver.judge()).unwrap();
    let requests = webhook.wait_for_requests(1, LIMIT);
    assert_eq!(told(&requests[0]), ["late down"]);
    assert_eq!(alerts(&requests[0])[0]["instance_id"], json!(removed));

    // One comes back, and nobody need know. The other is told at the end, once.
    assert_eq!(host.send(&of_its_own(back, 2, Reason::Update)).status, 200);
    block_on(host.receiver.judge()).unwrap();
    assert_eq!(changes_of(&host, back), ["up", "late", "down", "up"]);
    clock.pass(Duration::from_secs(86_400) - LONG);
    assert_eq!(host.send(&of_its_own(back, 3, Reason::Update)).status, 200);
    block_on(host.receiver.judge()).unwrap();
    let requests = webhook.wait_for_requests(2, LIMIT);
    assert_eq!(told(&requests[1]), ["late down"]);
    assert_eq!(alerts(&requests[1])[0]["instance_id"], json!(stays));
    assert_eq!(host.send(&of_its_own(stays, 2, Reason::Update)).status, 200);
    block_on(host.receiver.judge()).unwrap();
    let requests = webhook.wait_for_requests(3, LIMIT);
    assert_eq!(told(&requests[2]), ["down up"]);
    assert_eq!(webhook.requests().len(), 3);
}

#[test]
fn who_is_muted_is_told_at_the_end_on_sqlite() {
    if ran_in_a_clean_one("alerts::who_is_muted_is_told_at_the_end_on_sqlite") {
        return;
    }
    let directory = TempDir::new().unwrap();
    who_is_muted_is_told_at_the_end(sqlite(directory.path()));
}

#[test]
fn who_is_muted_is_told_at_the_end_on_postgresql() {
    if ran_in_a_clean_one("alerts::who_is_muted_is_told_at_the_end_on_postgresql") {
        return;
    }
    let database = TestDatabase::new();
    who_is_muted_is_told_at_the_end(postgres(&database));
}
