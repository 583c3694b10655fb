//! TLS to the destination itself.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use deployment_telemetry::{Cause, Config, Outcome};

use crate::authority::Authority;
use crate::host::{MemoryStore, block_on, custom, on, wait_for_attempts};

fn outcome_of_begin(config: Config) -> Outcome {
    let telemetry = on(MemoryStore::new()).config(config).start().unwrap();
    let outcome = wait_for_attempts(&telemetry, 1).attempts.pop_back().unwrap().outcome;
    block_on(telemetry.stop());
    outcome
}

#[track_caller]
fn assert_failure(outcome: Outcome, cause: Cause, words: &str) {
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.cause, cause, "{failure}");
    assert!(failure.message.contains(words), "{failure}");
}

#[test]
fn a_private_ca_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("localhost", false).port());
    let config = custom(&url).ca_file(authority.path());
    assert_eq!(outcome_of_begin(config), Outcome::Status(200));
    assert_failure(
        outcome_of_begin(custom(&url)),
        Cause::Tls,
        "unknown CA; name the CA's file in the CA_FILE setting",
    );
}

#[test]
fn a_certificate_for_another_name_is_refused_and_told() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("other.example", false).port());
    let config = custom(&url).ca_file(authority.path());
    assert_failure(outcome_of_begin(config), Cause::Tls, "its certificate is for another name");
}

#[test]
fn an_expired_certificate_is_refused_and_told() {
    let authority = Authority::new();
    let url = format!("https://localhost:{}/", authority.serve("localhost", true).port());
    let config = custom(&url).ca_file(authority.path());
    assert_failure(outcome_of_begin(config), Cause::Tls, "has expired");
}

#[test]
fn https_to_a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_failure(outcome_of_begin(custom(&plain)), Cause::Tls, "is the URL meant to be http?");
}
