//! What is judged of instances, by whom and when.

use std::time::Duration;

use deployment_telemetry::Reason;
use futures_executor::block_on;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{TestDatabase, wait_until};
use uuid::Uuid;

use crate::clock::TestClock;
use crate::host::{Event, Host, INSTANCE, LIMIT, RUN, postgres, sqlite};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn hourly(sequence: u64, reason: Reason) -> Event {
    Event::new(INSTANCE, RUN, sequence, reason).with("telemetry-frequency", "3600")
}

fn instance(host: &Host) -> Value {
    block_on(host.receiver.judge()).unwrap();
    host.request("GET", &format!("/api/instances/{INSTANCE}"), &[], b"").json()
}

/// As `from to`, the oldest first.
fn transitions(instance: &Value) -> Vec<String> {
    let told = |transition: &Value| {
        format!("{} {}", transition["from"].as_str().unwrap_or("-"), transition["to"].as_str().unwrap())
    };
    instance["transitions"].as_array().unwrap().iter().rev().map(told).collect()
}

#[test]
fn a_life_is_told_as_it_was() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    let host = Host::start(sqlite(directory.path()), |builder| clock.drive_without_outages(builder));
    assert_eq!(host.send(&hourly(1, Reason::Begin)).status, 200);
    assert_eq!(instance(&host)["state"], "up");
    clock.pass(HOUR + 6 * MINUTE);
    assert_eq!(instance(&host)["state"], "late");
    clock.pass(HOUR);
    assert_eq!(instance(&host)["state"], "down");
    let server = host.request("GET", "/api/server", &[], b"").json();
    assert_eq!(server["waiting_alerts"], 0, "nobody is to be told");
    assert_eq!(host.send(&hourly(2, Reason::Update)).status, 200);
    assert_eq!(instance(&host)["state"], "up");
    assert_eq!(host.send(&hourly(3, Reason::End)).status, 200);
    clock.pass(100 * HOUR);
    let ended = instance(&host);
    assert_eq!(ended["state"], "ended");
    assert_eq!(transitions(&ended), ["- up", "up late", "late down", "down up", "up ended"]);
    let restarted = Event::new(INSTANCE, Uuid::from_u128(9), 1, Reason::Begin);
    assert_eq!(host.send(&restarted).status, 200);
    let up = instance(&host);
    assert_eq!((&up["state"], &up["flags"]["crashed"]), (&json!("up"), &json!(false)));
    assert_eq!(up["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_receiver_that_was_away_makes_nobody_late() {
    let (directory, clock) = (TempDir::new().unwrap(), TestClock::new());
    {
        let host = Host::start(sqlite(directory.path()), |builder| clock.drive(builder));
        assert_eq!(host.send(&hourly(1, Reason::Begin)).status, 200);
        assert_eq!(instance(&host)["state"], "up");
    }
    clock.pass(50 * HOUR);
    let host = Host::start(sqlite(directory.path()), |builder| clock.drive(builder));
    wait_until("the receiver is ready", LIMIT, || block_on(host.receiver.judge()).is_ok());
    assert_eq!(instance(&host)["state"], "up");
    let outages = host.request("GET", "/api/server", &[], b"").json()["outages"].clone();
    assert_eq!(outages.as_array().unwrap().len(), 1, "{outages}");
    // What is left of the allowance is left.
    let steps = (65 * 60) / 25 - 2;
    for _ in 0..steps {
        clock.pass(Duration::from_secs(25));
        block_on(host.receiver.judge()).unwrap();
    }
    assert_eq!(instance(&host)["state"], "up");
    for _ in 0..4 {
        clock.pass(Duration::from_secs(25));
        block_on(host.receiver.judge()).unwrap();
    }
    assert_eq!(instance(&host)["state"], "late");
}

#[test]
fn however_many_receivers_there_are_a_transition_is_recorded_once() {
    let (database, clock) = (TestDatabase::new(), TestClock::new());
    let hosts: Vec<Host> = (0..3)
        .map(|_| Host::start(postgres(&database), |builder| clock.drive_without_outages(builder)))
        .collect();
    let instances: Vec<Uuid> = (1..=200).map(Uuid::from_u128).collect();
    for (number, id) in instances.iter().enumerate() {
        let run = Uuid::from_u128(1_000 + number as u128);
        let begin = Event::new(*id, run, 1, Reason::Begin).with("telemetry-frequency", "3600");
        assert_eq!(hosts[number % 3].send(&begin).status, 200);
        assert_eq!(hosts[(number + 1) % 3].send(&begin).status, 200, "the same by another way");
    }
    assert_eq!(database.query_one_text("select count(*)::text from telemetry_event").as_deref(), Some("200"));
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for host in &hosts {
                scope.spawn(|| block_on(host.receiver.judge()).unwrap());
            }
        });
        clock.pass(HOUR + 6 * MINUTE);
    }
    let told = "select string_agg(told, ', ' order by told) from (
                    select format('%s %s %s', \"from\", \"to\", count(*)) as told
                    from telemetry_transition group by \"from\", \"to\") as counted";
    assert_eq!(database.query_one_text(told).as_deref(), Some(" up 200, late down 200, up late 200"),);
}

#[test]
fn the_way_by_which_events_come_changes_nothing() {
    let clock = TestClock::new();
    let events: Vec<Event> = vec![
        hourly(1, Reason::Begin),
        hourly(2, Reason::Update),
        hourly(3, Reason::LicenseStateChange).with_body(|fields| {
            fields.insert("license_valid".to_owned(), json!(false));
        }),
        hourly(4, Reason::End).with_body(|fields| {
            fields.insert("license_valid".to_owned(), json!(false));
        }),
    ];
    let mut judged = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let database = TestDatabase::new();
        let hosts: Vec<Host> = (0..2)
            .map(|_| Host::start(postgres(&database), |builder| clock.drive_without_outages(builder)))
            .collect();
        for (turn, event) in order.into_iter().enumerate() {
            assert_eq!(hosts[turn % 2].send(&events[event]).status, 200);
        }
        // What the other one judges at the moment is passed over, and not waited for.
        block_on(hosts[1].receiver.judge()).unwrap();
        let mut instance = instance(&hosts[0]);
        // How it came to be so depends on when it was judged.
        for history in ["transitions", "days", "months"] {
            instance.as_object_mut().unwrap().remove(history);
        }
        judged.push(instance);
    }
    assert_eq!(judged[0]["state"], "ended");
    assert_eq!(judged[0]["license_valid"], false);
    assert_eq!(judged[0], judged[1]);
    assert_eq!(judged[0], judged[2]);
}
