//! Settings that cannot be used: all are reported in one message, and nothing is started.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Server, files_in, program, run, text};

const WRONG: [(&str, &str); 8] = [
    ("FLEET_LISTEN", "here"),
    ("FLEET_HTTPS", "yes"),
    ("FLEET_PASSWORD", "s3cret"),
    ("FLEET_LOG_LEVEL", "loud"),
    ("FLEET_RETENTION", "0"),
    ("FLEET_ALERT_URL", "ftp://user:s3cret@localhost/?s3cret"),
    ("FLEET_ALERT_SECRET", "s3cret"),
    ("FLEET_DATABASE_URL", "mysql://user:s3cret@localhost/s3cret"),
];

/// Runs a program that must refuse to start, and returns its message.
#[track_caller]
fn refusal(command: Command, directory: &TempDir) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(files_in(directory.path()), [""; 0]);
    let message = text(&output.stderr).to_owned();
    assert!(!message.contains("s3cret") && !message.contains("panicked"), "{message}");
    assert_eq!(message.matches("fleet: ").count(), 1, "{message}");
    message
}

#[track_caller]
fn assert_names(message: &str, names: &[&str]) {
    for name in names {
        assert!(
            message
                .lines()
                .any(|line| line.starts_with(&format!("  {name} accepts ")) && line.contains("; given: ")),
            "{name} is not in:\n{message}"
        );
    }
    assert_eq!(message.lines().count(), 1 + names.len(), "{message}");
}

#[test]
fn every_problem_is_reported_in_one_message() {
    for arguments in [&[][..], &["serve"]] {
        let directory = TempDir::new().unwrap();
        let mut command = program(directory.path());
        command.args(arguments).envs(WRONG);
        assert_names(&refusal(command, &directory), &WRONG.map(|(name, _)| name));
    }
}

#[test]
fn a_variable_that_looks_like_a_setting_is_reported() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.envs([
        ("FLEET_PASWORD", "s3cret"),
        ("FLEET_SERVICE_HOST", "10.0.0.1"),
        ("FLEET_PORT_8080_TCP", "1"),
    ]);
    let log = Server::start(command).output().join("\n");
    assert!(log.contains("WRN FLEET_PASWORD is not a setting"), "{log}");
    assert_eq!(log.matches("is not a setting").count(), 1, "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn a_key_command_reports_problems_of_the_settings_that_it_uses() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.args(["key", "list"]).envs(WRONG);
    assert_names(&refusal(command, &directory), &["FLEET_LISTEN", "FLEET_DATABASE_URL"]);
}

#[test]
fn a_secret_for_alerts_requires_their_url() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.env("FLEET_ALERT_SECRET", "whsec_s3cret");
    let message = refusal(command, &directory);
    assert_names(&message, &["FLEET_ALERT_URL"]);
    assert!(message.contains("required by FLEET_ALERT_SECRET"), "{message}");
}

#[test]
fn bytes_that_are_not_utf8_are_reported() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    let names = ["FLEET_LISTEN", "FLEET_PASSWORD", "FLEET_DATA_DIR", "FLEET_DATABASE_URL"];
    command.envs(names.map(|name| (name, OsStr::from_bytes(b"\xff\xfe"))));
    assert_names(&refusal(command, &directory), &names);
}

#[test]
fn an_address_that_is_not_loopback_requires_a_login() {
    let directory = TempDir::new().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.7:80"] {
        let mut command = program(directory.path());
        command.env("FLEET_LISTEN", listen).env("FLEET_PASSWORD", "none");
        let message = refusal(command, &directory);
        assert_names(&message, &["FLEET_LISTEN"]);
        assert!(message.contains("FLEET_PASSWORD"), "{message}");
    }
}

#[test]
fn an_empty_setting_counts_as_unset() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    for (name, _) in WRONG.iter().filter(|(name, _)| *name != "FLEET_LISTEN") {
        command.env(name, " ");
    }
    assert_eq!(Server::start(command).get("/healthz").body, "ok");
    assert_eq!(files_in(directory.path()), ["fleet-data"]);
}

#[test]
fn an_unknown_option_is_reported() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--frobnicate");
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--frobnicate"));
}
