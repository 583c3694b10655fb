//! A board without a battery: it boots in 1970, and its clock jumps when the network tells it the time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use test_support::server::{self, LIMIT, Server};
use test_support::{Behaviour, FakeDestination, programs};

/// Longest time after the jump until an event arrives: a minute until the slot is looked at, and then it is due.
const AFTER_THE_JUMP: Duration = Duration::from_secs(90);

/// The library that shows a program another time, for programs with threads.
fn libfaketime() -> PathBuf {
    programs::debian("faketime", "faketime");
    let folders = fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists()).expect("the package has the library")
}

/// Sets the clock of the programs that go by this file.
fn set_clock(file: &Path, time: &str) {
    fs::write(file, format!("{time}\n")).unwrap();
}

#[test]
fn an_event_arrives_soon_after_a_clock_that_began_in_1970_is_set() {
    let destination = FakeDestination::start(Behaviour::Status(503));
    let directory = TempDir::new().unwrap();
    let clock = directory.path().join("clock");
    set_clock(&clock, "@1970-01-01 00:01:00");
    let example = programs::of_workspace("supervisor").unwrap();
    let mut command = server::program(example.to_str().unwrap(), "SIRVEO_", directory.path());
    command
        .env("SIRVEO_TELEMETRY_MODE", "custom")
        .env("SIRVEO_TELEMETRY_URL", destination.url())
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let server = Server::start(command, "INF ready to flow 🟢");
    let sent_at = |number: usize| {
        let requests = destination.wait_for_requests(number, AFTER_THE_JUMP);
        let request = &requests[number - 1];
        let payload: Value = serde_json::from_slice(&request.body).unwrap();
        let time = request.header("webhook-timestamp").unwrap().parse::<u64>().unwrap();
        (payload["reason"].as_str().unwrap().to_owned(), time)
    };
    let (reason, in_1970) = sent_at(1);
    assert_eq!(reason, "begin");
    assert!(in_1970 < 86_400, "{in_1970}");
    server.wait_for_line(|line| line.contains("status=503"), LIMIT);
    // The network is there by now, and so is the time.
    destination.set_behaviour(Behaviour::Ok);
    set_clock(&clock, "+0");
    let (reason, today) = sent_at(2);
    assert_eq!(reason, "update");
    let now = jiff::Timestamp::now().as_second() as u64;
    assert!(now.abs_diff(today) < 120, "{today} at {now}");
}
