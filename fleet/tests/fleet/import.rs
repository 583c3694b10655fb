//! Event files of servers without a network: written by the sender, carried, imported and shown.

use std::path::{Path, PathBuf};

use deployment_telemetry::{BuildInfo, Config, License, MemoryStateStore, Product, Telemetry};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use test_support::{TestDatabase, wait_until};

use crate::operator::Operator;
use crate::program::{LIMIT, Server, run, text};

/// Runs a server without a network from its begin to its end, and returns its event file.
fn written_in(directory: &Path) -> PathBuf {
    let file = directory.join("telemetry.jsonl");
    let build = BuildInfo::new("1.2.0").with_time("2026-11-01T00:00:00Z");
    let telemetry = Telemetry::builder(Product::new("Sirveo"), build, MemoryStateStore::new())
        .config(Config::custom(format!("file://{}", file.display())).identifier("island"))
        .license(License::valid("key"))
        .start()
        .unwrap();
    wait_until("begin is written", LIMIT, || !telemetry.status().destinations[0].attempts.is_empty());
    actix_web::rt::System::new().block_on(telemetry.stop());
    file
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// The same line, written at this time.
fn written_at(line: &str, time: Timestamp) -> String {
    let (_, rest) = line.split_once("\",\"headers\"").unwrap();
    format!("{{\"time\":\"{time:.3}\",\"headers\"{rest}")
}

/// The only instance, once it is judged to be in this state.
fn instance(server: &Server, state: &str) -> Value {
    let found = || server.get("/api/instances").json()["instances"].clone();
    let id = found()[0]["instance_id"].as_str().unwrap().to_owned();
    let mut instance = Value::Null;
    wait_until("it is judged", LIMIT, || {
        instance = server.get(&format!("/api/instances/{id}")).json();
        let last = &instance["transitions"][0];
        instance["state"] == state && (&last["change"], &last["to"]) == (&"state".into(), &state.into())
    });
    instance
}

fn time(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

fn a_file_is_carried_and_shown(database: Option<&TestDatabase>) {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database };
    operator.does(&["key", "create", "islands"]);
    let server = Server::start(operator.command(&[]));

    let island = TempDir::new().unwrap();
    let written = written_in(island.path());
    let carried = directory.path().join("carried.jsonl");
    std::fs::copy(&written, &carried).unwrap();
    let done = operator.does(&["import", "--key", "islands", "carried.jsonl"]);
    assert!(done.starts_with("carried.jsonl: 2 events stored, 0 known before; from 20"), "{done}");

    let shown = instance(&server, "ended");
    let lines = lines(&written);
    let begin: Value = serde_json::from_str(&lines[0]).unwrap();
    let end: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(time(&shown["first_seen_at"]), time(&begin["time"]));
    assert_eq!(time(&shown["last_seen_at"]), time(&end["time"]));
    assert_eq!(shown["instance_id"], begin["body"]["instance_id"]);
    assert_eq!(
        (&shown["custom_id"], &shown["product"], &shown["key_name"]),
        (&"island".into(), &"Sirveo".into(), &"islands".into())
    );
    let events = server.get("/api/events").json()["events"].clone();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event["imported"] == true), "{events:#?}");
    assert_eq!(events[1]["data"], begin["body"]);

    // The same again, also as another file and by the standard input, changes nothing.
    std::fs::copy(&written, directory.path().join("again.jsonl")).unwrap();
    let again = operator.does(&["import", "--key", "islands", "again.jsonl", "carried.jsonl"]);
    assert_eq!(again.matches("0 events stored, 2 known before; from ").count(), 2, "{again}");
    let mut piped = operator.command(&["import", "--key", "islands", "-"]);
    piped.stdin(std::fs::File::open(&carried).unwrap());
    let piped = piped.output().unwrap();
    assert!(
        text(&piped.stdout).starts_with("the standard input: 0 events stored, 2 known before"),
        "{piped:?}"
    );
    assert_eq!(instance(&server, "ended"), shown);
}

#[test]
fn a_file_is_carried_and_shown_on_sqlite() {
    a_file_is_carried_and_shown(None);
}

#[test]
fn a_file_is_carried_and_shown_on_postgresql() {
    a_file_is_carried_and_shown(Some(&TestDatabase::new()));
}

fn the_past_is_no_alarm(database: Option<&TestDatabase>) {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database };
    operator.does(&["key", "create", "islands"]);
    let mut command = operator.command(&[]);
    // Nobody listens there: an alert would wait.
    command.env("FLEET_ALERT_URL", "http://127.0.0.1:9/");
    let server = Server::start(command);
    let lines = lines(&written_in(directory.path()));
    let days_ago = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
    // It began forty days ago, and the file was copied while it ran.
    let began = days_ago(40);
    std::fs::write(directory.path().join("past.jsonl"), written_at(&lines[0], began)).unwrap();
    let done = operator.does(&["import", "--key", "islands", "past.jsonl"]);
    assert!(done.starts_with("past.jsonl: 1 event stored, 0 known before; from "), "{done}");
    let shown = instance(&server, "up");
    assert_eq!(time(&shown["last_seen_at"]).as_second(), began.as_second());
    let transitions = shown["transitions"].as_array().unwrap();
    assert_eq!((transitions.len(), &transitions[0]["to"]), (1, &"up".into()), "{transitions:?}");
    assert_eq!(time(&transitions[0]["at"]).as_second(), began.as_second());
    // The next file tells its end, which is as old.
    let ended = days_ago(39);
    std::fs::write(directory.path().join("past.jsonl"), written_at(&lines[1], ended)).unwrap();
    operator.does(&["import", "--key", "islands", "past.jsonl"]);
    assert_eq!(time(&instance(&server, "ended")["state_since"]).as_second(), ended.as_second());
    assert_eq!(server.get("/api/server").json()["waiting_alerts"], 0);
}

#[test]
fn the_past_is_no_alarm_on_sqlite() {
    the_past_is_no_alarm(None);
}

#[test]
fn the_past_is_no_alarm_on_postgresql() {
    the_past_is_no_alarm(Some(&TestDatabase::new()));
}

fn what_cannot_be_used_is_told_and_skipped(database: Option<&TestDatabase>) {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database };
    for key in [&["islands"][..], &["others"], &["signed", "--signed"]] {
        operator.does(&[&["key", "create"], key].concat());
    }
    let lines = lines(&written_in(directory.path()));
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let year_ago = Timestamp::now() - SignedDuration::from_hours(365 * 24);
    let hostile = [
        lines[0].clone(),
        "\u{1b}[31m{\"time\"".to_owned(),
        "{\"version\":2,\"events\":[]}".to_owned(),
        String::new(),
        format!("{{\"time\":\"{}", "x".repeat(1_000_000)),
        lines[1].replace("1.2.0", "6.6.6"),
        written_at(&lines[1], tomorrow),
        written_at(&lines[1], year_ago),
        lines[1][..lines[1].len() / 2].to_owned(),
    ];
    std::fs::write(directory.path().join("hostile.jsonl"), hostile.join("\n")).unwrap();
    let output = run(operator.command(&["import", "--key", "islands", "hostile.jsonl"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).starts_with("hostile.jsonl: 1 event stored, 0 known before, 7 skipped; from ")
    );
    let errors = text(&output.stderr);
    let told: Vec<&str> = errors.lines().collect();
    for (number, why) in [
        (2, "it is cut off, or no JSON (at column "),
        (3, "it is no line of an event file: that has a time, headers and a body"),
        (5, "it has more than 65536 bytes, which no event has"),
        (6, "checksum must be the first 16 hex digits of SHA-256"),
        (7, "is in the future: its sender's clock was ahead"),
        (8, "events are not kept for so long"),
        (9, "it is cut off, or no JSON (at column "),
    ] {
        let beginning = format!("fleet: hostile.jsonl: line {number} is skipped: ");
        assert!(
            told.iter().any(|line| line.starts_with(&beginning) && line.contains(why)),
            "{number}: {errors}"
        );
    }
    assert_eq!(told.last(), Some(&"fleet: 5 lines were refused; the other events are stored"), "{errors}");
    assert!(!errors.contains('\u{1b}'), "nothing of the file is repeated");

    // Where only the last line is torn, all its events are there.
    std::fs::write(directory.path().join("torn.jsonl"), format!("{}\n{}", lines[0], &lines[1][..99]))
        .unwrap();
    let torn = operator.does(&["import", "--key", "islands", "torn.jsonl"]);
    assert!(torn.starts_with("torn.jsonl: 0 events stored, 1 known before, 1 skipped; "), "{torn}");

    std::fs::write(directory.path().join("whole.jsonl"), lines.join("\n")).unwrap();
    let other = operator.refused(&["import", "--key", "others", "whole.jsonl"], 1);
    assert_eq!(other.matches("is skipped: its instance belongs to another key").count(), 2, "{other}");
    std::fs::write(directory.path().join("mixed.jsonl"), [&lines[0], "{", &lines[1]].join("\n")).unwrap();
    let mixed = operator.refused(&["import", "--key", "others", "mixed.jsonl"], 1);
    let numbers: Vec<&str> = mixed
        .split("line ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" is skipped"))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(numbers, ["1", "2", "3"], "in the order of the file: {mixed}");
    let unsigned = operator.refused(&["import", "--key", "signed", "whole.jsonl"], 1);
    assert_eq!(unsigned.matches("is skipped: its signature is missing or wrong").count(), 2, "{unsigned}");
}

#[test]
fn what_cannot_be_used_is_told_and_skipped_on_sqlite() {
    what_cannot_be_used_is_told_and_skipped(None);
}

#[test]
fn what_cannot_be_used_is_told_and_skipped_on_postgresql() {
    what_cannot_be_used_is_told_and_skipped(Some(&TestDatabase::new()));
}

#[test]
fn a_file_of_any_size_is_imported_and_its_progress_told() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    operator.does(&["key", "create", "islands"]);
    let lines = lines(&written_in(directory.path()));
    let (before, after) = lines[0].split_once(".1\",\"webhook-timestamp\"").unwrap();
    let began = Timestamp::now() - SignedDuration::from_hours(24 * 30);
    let many: String = (1..=25_000_u32)
        .map(|number| {
            let line = format!("{before}.{number}\",\"webhook-timestamp\"{after}");
            written_at(&line, began + SignedDuration::from_secs(i64::from(number))) + "\n"
        })
        .collect();
    std::fs::write(directory.path().join("many.jsonl"), many).unwrap();
    let output = run(operator.command(&["import", "--key", "islands", "many.jsonl"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("many.jsonl: 25000 events stored, 0 known before; from "));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("fleet: many.jsonl: 20000 lines are read, ") && told.ends_with(" %\n"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn what_is_no_event_file_is_refused() {
    let directory = TempDir::new().unwrap();
    let operator = Operator { directory: directory.path(), database: None };
    let import = |file: &str, code: i32| operator.refused(&["import", "--key", "islands", file], code);
    assert!(import("any", 1).contains("there is no database at /"));
    operator.does(&["key", "create", "islands"]);
    assert!(import("missing", 1).contains("missing cannot be read: No such file"));
    assert!(import("/dev/null", 1).contains("/dev/null cannot be read: it is no file"));
    assert!(import(".", 1).contains(". cannot be read: it is no file"));
    std::fs::write(directory.path().join("picture"), [0x89, b'P', b'N', b'G', b'\n', 0, 0, b'\n', 0xff])
        .unwrap();
    let picture = import("picture", 1);
    assert!(picture.contains("picture is no event file: none of its lines is JSON"), "{picture}");
    assert!(picture.ends_with("fleet: 1 file is no event file; no event is stored\n"), "{picture}");
    std::fs::copy(written_in(directory.path()), directory.path().join("whole.jsonl")).unwrap();
    let both = run(operator.command(&["import", "--key", "islands", "picture", "whole.jsonl"]));
    assert_eq!(both.status.code(), Some(1));
    assert!(text(&both.stdout).contains("\nwhole.jsonl: 2 events stored, "), "{both:?}");
    let last = text(&both.stderr).lines().last().unwrap();
    assert_eq!(last, "fleet: 1 file is no event file; the other events are stored");
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let empty = operator.does(&["import", "--key", "islands", "empty"]);
    assert_eq!(empty, "empty: 0 events stored, 0 known before\n");
    assert!(
        operator.refused(&["import", "--key", "nobody", "empty"], 1).contains("no valid key has the name")
    );
    operator.refused(&["import", "empty"], 2);
    operator.refused(&["import", "--key", "islands"], 2);
}
