//! Settings that cannot be used: all are reported in one message, and nothing is started.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{files_in, program, run, text};

/// Every setting except the mode.
const WRONG: [(&str, &str); 12] = [
    ("SIRVEO_LISTEN", "here"),
    ("SIRVEO_PASSWORD", "s3cret"),
    ("SIRVEO_DATABASE_URL", "mysql://user:s3cret@localhost/s3cret"),
    ("SIRVEO_LOG_LEVEL", "loud"),
    ("SIRVEO_TELEMETRY_URL", "ftp://user:s3cret@localhost/?s3cret"),
    ("SIRVEO_TELEMETRY_AUTH", "s3cret with blanks"),
    ("SIRVEO_TELEMETRY_FREQUENCY", "59m"),
    ("SIRVEO_TELEMETRY_IDENTIFIER", "a\tb"),
    ("SIRVEO_TELEMETRY_CA_FILE", "/nowhere/ca.pem"),
    ("SIRVEO_TELEMETRY_SIGNING_SECRET", "s3cret"),
    ("SIRVEO_VENDOR_URL", "s3cret"),
    ("SIRVEO_VENDOR_FREQUENCY", "25h"),
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
    assert_eq!(message.matches("sirveo: ").count(), 1, "{message}");
    message
}

#[track_caller]
fn assert_names(message: &str, names: &[&str]) {
    for name in names {
        assert!(
            message.lines().any(|line| line.starts_with(&format!("  {name} accepts "))),
            "{name} is not in:\n{message}"
        );
    }
    assert_eq!(message.lines().count(), 1 + names.len(), "{message}");
}

#[test]
fn every_problem_is_reported_in_one_message() {
    for arguments in [&[][..], &["--loopback"], &["--telemetry-preview"]] {
        let directory = TempDir::new().unwrap();
        let mut command = program(directory.path());
        command
            .args(arguments)
            .envs(WRONG)
            .env("SIRVEO_TELEMETRY_MODE", "both")
            .env("SIRVEO_VENDOR_AUTH", "s3cret a b");
        let mut names: Vec<&str> = WRONG.iter().map(|(name, _)| *name).collect();
        names.push("SIRVEO_VENDOR_AUTH");
        assert_names(&refusal(command, &directory), &names);
    }
}

#[test]
fn a_wrong_mode_hides_no_other_problem() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.envs(WRONG).env("SIRVEO_TELEMETRY_MODE", "loud");
    // Whether these two are needed depends on the mode.
    for unread in ["SIRVEO_TELEMETRY_CA_FILE", "SIRVEO_VENDOR_URL"] {
        command.env_remove(unread);
    }
    let names = WRONG
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.ends_with("CA_FILE") && !name.ends_with("VENDOR_URL"));
    let mut names: Vec<&str> = names.collect();
    names.push("SIRVEO_TELEMETRY_MODE");
    assert_names(&refusal(command, &directory), &names);
}

#[test]
fn bytes_that_are_not_utf8_are_reported() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    let names =
        ["SIRVEO_LISTEN", "SIRVEO_PASSWORD", "SIRVEO_LICENSE", "SIRVEO_DATA_DIR", "SIRVEO_TELEMETRY_MODE"];
    command.envs(names.map(|name| (name, OsStr::from_bytes(b"\xff\xfe"))));
    assert_names(&refusal(command, &directory), &names);
}

#[test]
fn an_address_that_is_not_loopback_requires_a_password() {
    let directory = TempDir::new().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.7:80"] {
        let mut command = program(directory.path());
        command.env("SIRVEO_LISTEN", listen);
        let message = refusal(command, &directory);
        assert_names(&message, &["SIRVEO_LISTEN"]);
        assert!(message.contains("SIRVEO_PASSWORD"), "{message}");
    }
}

#[test]
fn an_empty_setting_counts_as_unset() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--telemetry-preview");
    for (name, _) in WRONG {
        command.env(name, " ");
    }
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
