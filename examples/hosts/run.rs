//! A host from its start to its end, for the tests of each.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use test_support::{Behaviour, FakeDestination, Signal, Spawned};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs `program` through begin, change, end and both signals; the identity stays.
pub fn begins_changes_and_ends(program: &str, prefix: &str, variables: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let mut identities = BTreeSet::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let destination = FakeDestination::start(Behaviour::Ok);
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("LISTEN", "127.0.0.1:0").env("NO_PROXY", "*");
        command.env(format!("{prefix}_TELEMETRY_MODE"), "custom");
        command.env(format!("{prefix}_TELEMETRY_URL"), destination.url());
        command.envs(variables.iter().copied()).env_remove("DO_NOT_TRACK");
        let mut server = Spawned::start(command);
        let line = server.wait_for_line(|line| line.contains("listening on http://"), LIMIT);
        destination.wait_for_requests(1, LIMIT);
        put_license(line.rsplit_once("http://").unwrap().1, "another key");
        destination.wait_for_requests(2, LIMIT);
        server.signal(signal);
        assert_eq!(server.wait_exit(LIMIT).code(), Some(0), "{signal}: {:#?}", server.output());
        let payloads: Vec<serde_json::Value> = destination
            .requests()
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect();
        let reasons: Vec<_> = payloads.iter().map(|payload| payload["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["begin", "license-state-change", "end"], "{signal}");
        for payload in &payloads {
            assert_eq!(payload["build_version"], env!("CARGO_PKG_VERSION"));
            identities.insert(payload["instance_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(identities.len(), 1, "{identities:?}");
}

fn put_license(address: &str, key: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = key.len();
    write!(stream, "PUT /license HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{key}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}
