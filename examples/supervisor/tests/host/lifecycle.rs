//! A run from its start to each of its ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination, Signal, TestDatabase, refused_url, wait_until};

use crate::program::{LIMIT, Server, payloads, program, reasons, run, text};

#[test]
fn sigterm_and_sigint_end_the_run_with_an_end_event() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let destination = FakeDestination::start(Behaviour::Ok);
        let (mut server, _directory) = Server::reporting_to(&destination.url());
        destination.wait_for_requests(1, LIMIT);
        server.signal(signal);
        assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
        assert_eq!(reasons(&destination.requests()), ["begin", "end"], "{signal}");
    }
}

#[test]
fn with_postgresql_the_identity_is_in_the_database() {
    let database = TestDatabase::new();
    let destination = FakeDestination::start(Behaviour::Ok);
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .env("SIRVEO_DATABASE_URL", database.url())
        .env("SIRVEO_TELEMETRY_MODE", "custom")
        .env("SIRVEO_TELEMETRY_URL", destination.url());
    let mut server = Server::start(command);
    destination.wait_for_requests(1, LIMIT);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));

    let requests = destination.requests();
    assert_eq!(reasons(&requests), ["begin", "end"]);
    let stored = database.query_one_text("select value #>> '{}' from server_state where key = 'instance_id'");
    let reported: Vec<_> = payloads(&requests)
        .iter()
        .map(|payload| payload["instance_id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(reported, [stored.clone(), stored]);
    assert!(!directory.path().join("sirveo-data").exists());
}

#[test]
fn after_a_kill_the_next_run_has_the_same_identity() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (mut server, directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    server.signal(Signal::SIGKILL);
    assert_eq!(server.wait_exit(LIMIT).signal(), Some(Signal::SIGKILL as i32));

    let mut command = program(directory.path());
    command.env("SIRVEO_TELEMETRY_MODE", "custom").env("SIRVEO_TELEMETRY_URL", destination.url());
    let _server = Server::start(command);
    let requests = destination.wait_for_requests(2, LIMIT);
    assert_eq!(reasons(&requests), ["begin", "begin"]);
    let payloads = payloads(&requests);
    assert_eq!(payloads[0]["instance_id"], payloads[1]["instance_id"]);
}

#[test]
fn hanging_clients_do_not_delay_the_stop() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (mut server, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(1, LIMIT);
    let mut idle = TcpStream::connect(server.address()).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let mut hanging = TcpStream::connect(server.address()).unwrap();
    hanging
        .write_all(b"PUT /api/license HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    // Connections are accepted in order: an answer on a later one shows that both are accepted.
    assert_eq!(server.get("/healthz").body, "ok");

    let asked = Instant::now();
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(reasons(&destination.requests()), ["begin", "end"]);
}

#[test]
fn a_hanging_destination_delays_the_stop_by_five_seconds_unless_a_second_signal_arrives() {
    let destination = FakeDestination::start(Behaviour::HangBeforeHead);
    let (mut patient, _directory) = Server::reporting_to(&destination.url());
    let (mut impatient, _directory) = Server::reporting_to(&destination.url());
    destination.wait_for_requests(2, LIMIT);
    assert_eq!(patient.get("/healthz").body, "ok");

    let asked = Instant::now();
    patient.signal(Signal::SIGINT);
    impatient.signal(Signal::SIGINT);
    // Both `end` events are on their way, so both signals have arrived.
    destination.wait_for_requests(4, LIMIT);
    impatient.signal(Signal::SIGINT);
    assert_eq!(impatient.wait_exit(LIMIT).code(), Some(130));
    assert_eq!(patient.wait_exit(LIMIT).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[test]
fn a_destination_that_fails_does_not_harm_the_server() {
    let reset = FakeDestination::start(Behaviour::Reset);
    let endless = FakeDestination::start(Behaviour::EndlessBody);
    let garbage = FakeDestination::start(Behaviour::Garbage(b"\0\xff garbage".to_vec()));
    let refusing = FakeDestination::start(Behaviour::Status(503));
    for (url, outcome) in [
        (refused_url(), "\"refused\""),
        (reset.url(), "\"disconnected\""),
        (endless.url(), "{\"status\":200}"),
        (garbage.url(), "\"invalid_response\""),
        (refusing.url(), "{\"status\":503}"),
    ] {
        let (mut server, _directory) = Server::reporting_to(&url);
        wait_until("an attempt was made", LIMIT, || !server.destination()["attempts"][0].is_null());
        let attempt = server.destination()["attempts"][0].to_string();
        assert!(attempt.contains(outcome), "{url}: {attempt}");
        assert_eq!(server.get("/healthz").body, "ok");
        assert_eq!(server.get("/server").status, 200);
        server.signal(Signal::SIGINT);
        assert_eq!(server.wait_exit(LIMIT).code(), Some(0), "{url}");
    }
}

#[test]
fn disabled_telemetry_is_logged_once_and_the_log_is_quiet() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env_remove("SIRVEO_LOG_LEVEL");
    let mut server = Server::start(command);
    server.wait_for_store();
    assert_eq!((server.get("/").status, server.get("/nowhere").status), (200, 404));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    let address = format!("INF listening on http://{}", server.address());
    // The store is opened at the same time.
    let output = server.output();
    let output: Vec<_> = output.iter().filter(|line| *line != "INF [receiver] ready on SQLite").collect();
    assert_eq!(output, [&address, "INF [telemetry] mode=disabled", "INF ready to flow 🟢", "INF stopped"]);
}

#[test]
fn an_address_in_use_is_a_readable_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env("SIRVEO_LISTEN", &address);
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(
        message.contains(&address) && message.contains("in use") && message.lines().count() == 1,
        "{message}"
    );
    assert!(crate::program::files_in(directory.path()).is_empty());
}

#[test]
fn do_not_track_is_logged_once_and_respected() {
    let (operator, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .env("SIRVEO_TELEMETRY_MODE", "both")
        .env("SIRVEO_TELEMETRY_URL", operator.url())
        .env("SIRVEO_VENDOR_URL", vendor.url())
        .env("DO_NOT_TRACK", "true");
    let mut server = Server::start(command);
    operator.wait_for_requests(1, LIMIT);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    assert_eq!((operator.requests().len(), vendor.connections()), (2, 0));
    let logged: Vec<String> =
        server.output().into_iter().filter(|line| line.contains("DO_NOT_TRACK")).collect();
    assert_eq!(logged, ["INF [telemetry] DO_NOT_TRACK is set: nothing is sent to the vendor"]);
}
