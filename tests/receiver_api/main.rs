//! The interface of a running receiver, held true by tools that are not ours: Schemathesis reads its description and
//! tries everything that it says and much that it does not; promtool reads its metrics and the alert rules.
#![allow(clippy::disallowed_methods, reason = "the clock is the real one")]

#[path = "../receiver/host.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod receiver;
#[path = "../host/mod.rs"]
mod sender;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use deployment_telemetry::receiver::PostgresFleetStore;
use deployment_telemetry::{Reason, Telemetry};
use serde_json::Value;
use test_support::{Behaviour, FakeDestination, TestDatabase, programs, wait_until};
use uuid::Uuid;

use receiver::{Event, Host, LIMIT};

/// Pinned: a later one asks other questions. The second is what draws them.
const SCHEMATHESIS: [&str; 2] = ["schemathesis==4.32.5", "hypothesis==6.170.17"];

/// More than fit on two pages of ten.
const INSTANCES: u128 = 25;

/// A receiver with a fleet that was heard from, in a host that sends telemetry of its own.
struct Scene {
    // In this order they end.
    host: Host,
    telemetry: Telemetry,
    destination: FakeDestination,
    _database: TestDatabase,
}

impl Scene {
    fn set() -> Self {
        let database = TestDatabase::new();
        let destination = FakeDestination::start(Behaviour::Ok);
        let telemetry = sender::on(sender::MemoryStore::new())
            .config(sender::custom(&format!("http://{}/events", destination.address())))
            .start()
            .unwrap();
        destination.wait_for_requests(1, LIMIT);
        let own = telemetry.clone();
        let host = Host::start(PostgresFleetStore::from_url(database.url()).unwrap(), |builder| {
            builder.telemetry(own)
        });
        for number in 1..=INSTANCES {
            let (instance, run) = (Uuid::from_u128(number << 64 | 1), Uuid::from_u128(number));
            for (sequence, reason) in [(1, Reason::Begin), (2, Reason::Update)] {
                let event = Event::new(instance, run, sequence, reason);
                assert_eq!(host.send(&event).status, 200);
            }
        }
        let scene = Self { host, telemetry, destination, _database: database };
        // An instance is up as soon as it is stored, and new among the changes once it is judged.
        let judged = || scene.json("/api/changes?kind=new")["changes"].as_array().unwrap().len();
        wait_until("all are judged", LIMIT, || judged() == INSTANCES as usize);
        scene
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.host.request("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    fn new_key(&self, name: &str) -> Value {
        let headers = ["content-type: application/json".to_owned()];
        let body = format!("{{\"name\": \"{name}\", \"signed\": true}}");
        let answer = self.host.request("POST", "/api/keys", &headers, body.as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].clone()
    }

    /// What Schemathesis cannot guess: keys, ids and cursors that there are.
    fn configuration(&self) -> String {
        let instances = self.json("/api/instances?limit=10");
        let events = self.json("/api/events?limit=10");
        let changes = self.json("/api/changes?limit=10");
        let (event, deleted) = (&events["events"][0], &events["events"][1]);
        format!(
            r#"
[[operations]]
include-path = "/webhooks/{{key}}"
# It cannot compute the checksum, without which nothing is taken; and a schema cannot say of all that a payload may
# hold besides that no text has U+0000.
generation.allow-x00 = false
checks.positive_data_acceptance.expected-statuses = ["200", "422"]
parameters = {{ "path.key" = "{key}" }}

[[operations]]
include-operation-id = "listInstances"
parameters = {{ "query.after" = {instances_next} }}
# That it belongs to one order cannot be said in a schema.
checks.positive_data_acceptance.expected-statuses = ["200", "400"]

[[operations]]
include-operation-id = "listEvents"
parameters = {{ "query.after" = {events_next} }}

[[operations]]
include-operation-id = "listChanges"
parameters = {{ "query.after" = {changes_next} }}

[[operations]]
include-operation-id = "getInstance"
parameters = {{ "path.instance_id" = {instance_id} }}

[[operations]]
include-operation-id = "getEvent"
parameters = {{ "path.instance_id" = {instance_id}, "path.event_id" = {event_id} }}

[[operations]]
include-operation-id = "deleteEvent"
parameters = {{ "path.instance_id" = {deleted_instance_id}, "path.event_id" = {deleted_id} }}

[[operations]]
# All others are needed.
include-operation-id = "forgetInstances"
parameters = {{ "query.dry_run" = true }}
# That a filter is given, or all of them are asked for, cannot be said in a schema.
checks.positive_data_acceptance.expected-statuses = ["200", "400"]

[[operations]]
include-operation-id = "forgetInstance"
parameters = {{ "path.instance_id" = {forgotten_instance_id} }}

[[operations]]
# What a filter may say neither.
include-operation-id = "createMute"
checks.positive_data_acceptance.expected-statuses = ["201", "400"]

[[operations]]
include-operation-id = "revokeKey"
parameters = {{ "path.key_id" = {revoked_key} }}

[[operations]]
include-operation-id = ["addSecret", "finishRotation"]
parameters = {{ "path.key_id" = {rotated_key} }}
"#,
            key = self.host.key.expose(),
            instances_next = instances["next"],
            events_next = events["next"],
            changes_next = changes["next"],
            instance_id = event["instance_id"],
            event_id = event["id"],
            deleted_instance_id = deleted["instance_id"],
            deleted_id = deleted["id"],
            forgotten_instance_id = instances["instances"][9]["instance_id"],
            revoked_key = self.new_key("revoked"),
            rotated_key = self.new_key("rotated"),
        )
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        futures_executor::block_on(self.telemetry.stop());
    }
}

/// Runs a program to its end and returns what it wrote.
#[track_caller]
fn run(command: &mut Command, input: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("input");
    fs::write(&file, input).unwrap();
    let output = command.stdin(Stdio::from(fs::File::open(file).unwrap())).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

#[test]
fn the_interface_is_as_it_is_described() {
    let schemathesis = programs::python(&SCHEMATHESIS, "schemathesis");
    let scene = Scene::set();
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("schemathesis.toml");
    fs::write(&configuration, scene.configuration()).unwrap();
    let written = run(
        Command::new(schemathesis)
            .current_dir(&directory)
            .arg("--config-file")
            .arg(configuration)
            .args(["run", "--checks=all", "--max-examples=50", "--seed=1", "--generation-database=none"])
            .args(["--continue-on-failure", "--no-color", "--max-response-time=5", "--url"])
            .arg(format!("http://{}", scene.host.address))
            .arg(format!("http://{}/api/openapi.json", scene.host.address)),
        "",
    );
    // For whoever runs the tests with `--nocapture`.
    println!("{written}");
}

#[test]
fn the_page_server_shows_the_telemetry_of_its_own_host_and_sends() {
    let scene = Scene::set();
    let page = scene.host.request("GET", "/server", &[], b"");
    assert_eq!(page.status, 200, "{page:?}");
    for shown in [
        sender::INSTANCE_ID,
        "<dt>Mode</dt><dd>custom</dd>",
        "Destination custom",
        "1 sent, 0 failed, 0 dropped",
        "What would be sent",
        "license-state-change to custom",
        "&#34;reason&#34;:&#34;end&#34;",
    ] {
        assert!(page.body.contains(shown), "{shown} is not in {}", page.body);
    }
    let sent = scene.host.request("POST", "/server/send", &[], b"");
    assert_eq!(sent.status, 303, "{sent:?}");
    assert!(sent.head.contains("location: ../server\r\n"), "{sent:?}");
    let requests = scene.destination.wait_for_requests(2, LIMIT);
    assert!(String::from_utf8_lossy(&requests[1].body).contains("\"reason\":\"update\""));
}

fn promtool() -> PathBuf {
    programs::debian("promtool", "prometheus")
}

/// As Prometheus' tool reads them, which does not know OpenMetrics.
#[test]
fn the_metrics_are_in_order() {
    let scene = Scene::set();
    let answer = scene.host.request("GET", "/metrics", &["accept: text/plain".to_owned()], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body.contains("telemetry_receiver_events_total{reason=\"begin\"} 25\n"),
        "{}",
        answer.body
    );
    // It complains by its exit code, too.
    let written = run(Command::new(promtool()).args(["check", "metrics"]), &answer.body);
    assert_eq!(written, "");
}

#[test]
fn the_alert_rules_are_in_order() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts");
    let in_order = |arguments: &[&str]| run(Command::new(promtool()).current_dir(&rules).args(arguments), "");
    let checked = in_order(&["check", "rules", "--lint-fatal", "telemetry.rules.yml"]);
    assert!(checked.contains("SUCCESS"), "{checked}");
    let tested = in_order(&["test", "rules", "telemetry.rules.test.yml"]);
    assert!(tested.contains("SUCCESS"), "{tested}");
}
