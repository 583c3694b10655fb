//! The programs in the documentation do what it says.

mod host;

use deployment_telemetry::License;
use host::{MemoryStore, SOON, block_on, custom, on};
use test_support::{Behaviour, FakeDestination, Language, TestDatabase};

const PAYLOAD: &str = include_str!("../docs/payload.md");

/// The one program in `language` in the documentation of the payload.
fn program(language: &str) -> &'static str {
    let (_, rest) = PAYLOAD.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// Payloads as they arrive, in the order of rising oddity.
fn payloads() -> Vec<Vec<u8>> {
    let odd = "Žluť \"quoted\" \\ / \u{2028} \u{1f600} <&>";
    ["eu-west 3", odd].into_iter().map(payload).collect()
}

fn payload(identifier: &str) -> Vec<u8> {
    let destination = FakeDestination::start(Behaviour::Ok);
    let license = License::valid("abc");
    let config = custom(&destination.url()).identifier(identifier);
    let telemetry = on(MemoryStore::new()).config(config).license(license).start().unwrap();
    let body = destination.wait_for_requests(1, SOON).remove(0).body;
    block_on(telemetry.stop());
    body
}

fn tampered(payload: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(payload.to_vec()).unwrap();
    text.replace("\"license_valid\":true", "\"license_valid\":false").into_bytes()
}

#[test]
fn the_verifier_in_python_works() {
    for payload in payloads() {
        assert_eq!(Language::Python.run(program("python"), &payload).trim(), "True");
        assert_eq!(Language::Python.run(program("python"), &tampered(&payload)).trim(), "False");
    }
}

#[test]
fn the_verifier_in_javascript_works() {
    for payload in payloads() {
        assert_eq!(Language::JavaScript.run(program("javascript"), &payload).trim(), "true");
        assert_eq!(Language::JavaScript.run(program("javascript"), &tampered(&payload)).trim(), "false");
    }
}

#[test]
fn the_verifier_in_sql_works() {
    let database = TestDatabase::new();
    database.execute("create table telemetry_event (data jsonb not null)");
    for payload in payloads() {
        for (payload, is_right) in [(tampered(&payload), "false"), (payload, "true")] {
            let payload = String::from_utf8(payload).unwrap();
            database.execute("truncate telemetry_event");
            database.execute(&format!("insert into telemetry_event values ($json${payload}$json$)"));
            let sql = program("sql").trim().trim_end_matches(';');
            let answer = database.query_one_text(&format!("select is_right::text from ({sql}) as verified"));
            assert_eq!(answer.as_deref(), Some(is_right));
        }
    }
}

#[test]
fn the_keys_in_the_documentation_are_the_keys_on_the_wire() {
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload("x")).unwrap();
    let fields = PAYLOAD.split_once("## What is never in it").unwrap().0;
    let documented: Vec<&str> = fields
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key))
        .collect();
    let mut sorted = documented.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, body.keys().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(documented.len(), 12);
}
