//! A run from its start to each of its ends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use test_support::{Signal, TestDatabase};

use crate::program::{LIMIT, Server, files_in, program, run, text};

#[test]
fn sigterm_and_sigint_stop_the_program_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut server, _directory) = Server::alone();
        server.signal(signal);
        assert_eq!(server.wait_exit(LIMIT).code(), Some(0), "{signal}");
        assert_eq!(server.output().last().unwrap(), "INF stopped");
    }
}

#[test]
fn events_survive_a_restart() {
    let directory = TempDir::new().unwrap();
    let mut key = program(directory.path());
    key.args(["key", "create", "a"]);
    let created = run(key);
    let path =
        text(&created.stdout).lines().find_map(|line| line.strip_prefix("path")).unwrap().trim().to_owned();
    let mut server = Server::start(program(directory.path()));
    assert_eq!(server.post_event(&path, &crate::program::plain()), 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    let again = Server::start(program(directory.path()));
    assert_eq!(again.get("/api/events").json()["events"].as_array().map(Vec::len), Some(1));
}

#[test]
fn with_postgresql_no_file_is_written() {
    let database = TestDatabase::new();
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env("FLEET_DATABASE_URL", database.url());
    let mut server = Server::start(command);
    assert_eq!(server.get("/api/fleet").json()["total"], 0);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    assert!(files_in(directory.path()).is_empty());
}

#[test]
fn hanging_clients_do_not_delay_the_stop_and_a_second_signal_ends_it_at_once() {
    let (mut patient, _directory) = Server::alone();
    let (mut impatient, _directory) = Server::alone();
    let hanging: Vec<_> = [&patient, &impatient]
        .map(|server| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            stream
                .write_all(b"POST /webhooks/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
                .unwrap();
            stream
        })
        .into();
    assert_eq!(patient.get("/healthz").body, "ok");
    let asked = Instant::now();
    patient.signal(Signal::SIGINT);
    impatient.signal(Signal::SIGINT);
    impatient.wait_for_line(|line| line == "INF stopping", LIMIT);
    impatient.signal(Signal::SIGINT);
    assert_eq!(impatient.wait_exit(LIMIT).code(), Some(130));
    assert_eq!(patient.wait_exit(LIMIT).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    drop(hanging);
}

#[test]
fn a_page_that_is_open_does_not_delay_the_stop() {
    let (mut server, _directory) = Server::alone();
    let mut page = TcpStream::connect(server.address()).unwrap();
    page.set_read_timeout(Some(LIMIT)).unwrap();
    write!(page, "GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).unwrap();
    let mut lines = BufReader::new(page).lines();
    assert!(lines.any(|line| line.unwrap() == "event: pulse"));
    let asked = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit(LIMIT).code(), Some(0));
    // Requests under way have five seconds.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn a_client_that_does_not_finish_its_request_is_disconnected() {
    let (server, _directory) = Server::alone();
    let mut slow = TcpStream::connect(server.address()).unwrap();
    slow.set_read_timeout(Some(LIMIT)).unwrap();
    slow.write_all(b"POST /webhooks/x HTTP/1.1\r\nHost: loc").unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn an_address_in_use_is_a_readable_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env("FLEET_LISTEN", &address);
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(
        message.contains(&address) && message.contains("in use") && message.lines().count() == 1,
        "{message}"
    );
    assert!(files_in(directory.path()).is_empty());
}

#[test]
fn a_connection_ends_after_a_thousand_requests_also_for_a_client_that_pipelines() {
    let (server, _directory) = Server::alone();
    let connect = || {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        stream
    };
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answers_to = |count: usize| {
        let mut stream = connect();
        // The server may disconnect before everything is written.
        let _ = stream.write_all(&request.repeat(count));
        let mut answers = Vec::new();
        let end = stream.read_to_end(&mut answers);
        let answers = String::from_utf8(answers).unwrap();
        let is_kept = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        (answers.matches("HTTP/1.1 200 OK").count(), answers.matches("connection: close").count(), is_kept)
    };
    assert_eq!(answers_to(999), (999, 0, true), "the connection is kept open");
    assert_eq!(answers_to(1000), (1000, 1, false), "the connection is closed");
    let (answered, _, is_kept) = answers_to(20_000);
    assert!(answered <= 1000 && !is_kept, "{answered}");
}

#[test]
fn a_connection_that_does_not_speak_http_leaves_nothing_in_the_log() {
    let (server, _directory) = Server::alone();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01 no HTTP\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(server.get("/healthz").status, 200);
    let log = server.output().join("\n");
    assert!(!log.contains("ERR") && !log.contains("WRN"), "{log}");
}
