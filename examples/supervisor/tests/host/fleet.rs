//! The fleet: the stored events of this server and of others.

use tempfile::TempDir;
use test_support::{Signal, TestDatabase, wait_until};

use crate::program::{LIMIT, Server, program};

/// Path of the webhook of a new key, created on the page.
#[track_caller]
fn new_webhook(server: &Server) -> String {
    server.wait_for_store();
    let page = server.request("POST", "/server/keys", &["Sec-Fetch-Site: same-origin"], "name=others");
    assert_eq!(page.status, 201, "{page:?}");
    let (_, rest) = page.body.split_once("/webhooks/").expect("the page shows the address");
    format!("/webhooks/{}", rest.split(|end: char| end.is_whitespace() || end == '<').next().unwrap())
}

fn reasons(server: &Server) -> Vec<String> {
    server.events().iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn events_survive_a_restart_of_the_host() {
    let directory = TempDir::new().unwrap();
    let start = || {
        let mut command = program(directory.path());
        command.arg("--loopback");
        let server = Server::start(command);
        server.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
        server
    };
    let mut first = start();
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait_exit(LIMIT).code(), Some(0));
    let mut second = start();
    assert_eq!(reasons(&second), ["begin", "end", "begin"]);
    second.signal(Signal::SIGKILL);
    second.wait_exit(LIMIT);
    let third = start();
    assert_eq!(reasons(&third), ["begin", "begin", "end", "begin"]);
    let events = third.events();
    assert!(events.iter().all(|event| event["instance_id"] == events[0]["instance_id"]), "{events:#?}");
    // The run that was killed may be a replica: whether it was lost is known when it should have been heard.
    let fleet = || third.get("/api/fleet").json();
    wait_until("it is judged", LIMIT, || fleet()["states"]["up"] == 1);
    assert_eq!((&fleet()["total"], &fleet()["crashed"]), (&1.into(), &0.into()));
}

#[test]
fn with_postgresql_the_fleet_is_in_the_database() {
    let database = TestDatabase::new();
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--loopback").env("SIRVEO_DATABASE_URL", database.url());
    let mut server = Server::start(command);
    server.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    let stored = database.query_one_text(
        "select string_agg(concat_ws(' ', kind, type, persistent, reason), ', ' order by ts) from telemetry_event",
    );
    let expected = "usr telemetry.custom t begin, usr telemetry.custom t end";
    assert_eq!(stored.as_deref(), Some(expected));
    assert!(!directory.path().join("sirveo-data").exists());
}

#[test]
fn another_server_sends_with_its_own_key() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path()));
    let webhook = new_webhook(&server);
    let (other, _directory) = Server::reporting_to(&format!("http://{}{webhook}", server.address()));
    other.wait_for_line(|line| line.contains("sent reason=begin status=200"), LIMIT);
    server.wait_for_line(|line| line.starts_with("DBG [events] <- telemetry.custom id="), LIMIT);
    let events = server.events();
    assert_eq!(events[0]["instance_id"], other.telemetry()["instance_id"], "{events:#?}");
    assert_eq!(reasons(&server), ["begin"]);
}

#[test]
fn a_body_that_is_too_long_or_no_event_is_refused_and_the_log_has_no_key() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(program(directory.path()));
    let webhook = new_webhook(&server);
    let json = &["Content-Type: application/json"];
    let body = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(server.request("POST", &webhook, json, &body(16 * 1024)).status, 400);
    assert_eq!(server.request("POST", &webhook, json, &body(16 * 1024 + 1)).status, 413);
    for text in ["", "{", "reason=begin", "{} {}", r#"{"reason":"begin"}"#] {
        let refused = server.request("POST", &webhook, json, text);
        assert_eq!(refused.status, 400, "{text}");
        assert!(refused.head.contains("content-type: application/problem+json"), "{refused:?}");
    }
    assert_eq!(server.post("/webhooks/unknown").status, 404);
    assert!(server.events().is_empty());
    let key = webhook.trim_start_matches("/webhooks/");
    let log = server.output().join("\n");
    assert!(!log.contains(key) && !server.get("/server").body.contains(key), "{log}");
}
