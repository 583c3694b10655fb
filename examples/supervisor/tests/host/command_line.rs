//! Commands other than serving.

use serde_json::Value;
use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination};

use crate::program::{files_in, program, run, text};

#[test]
fn help_names_every_setting() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--help");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for name in [
        "--loopback",
        "--telemetry-preview",
        "--version",
        "--help",
        "SIRVEO_LISTEN",
        "SIRVEO_PASSWORD",
        "SIRVEO_DATABASE_URL",
        "SIRVEO_DATA_DIR",
        "SIRVEO_LOG_LEVEL",
        "SIRVEO_LICENSE",
        "SIRVEO_TELEMETRY_MODE",
        "SIRVEO_TELEMETRY_URL",
        "SIRVEO_TELEMTRY_AUTH",
        "SIRVEO_TELEMETRY_AUTH",
        "SIRVEO_TELEMETRY_FREQUENCY",
        "SIRVEO_TELEMETRY_IDENTIFIER",
        "SIRVEO_TELEMETRY_CA_FILE",
        "SIRVEO_TELEMETRY_SIGNING_SECRET",
        "HTTPS_PROXY",
        "NO_PROXY",
        "DO_NOT_TRACK",
        "SIRVEO_VENDOR_URL",
        "SIRVEO_VENDOR_AUTH",
        "SIRVEO_VENDOR_FREQUENCY",
    ] {
        assert!(help.contains(name), "{name}");
    }
    assert!(files_in(directory.path()).is_empty());
}

#[test]
fn version_prints_the_build_as_telemetry_reports_it() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--version");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<(&str, &str)> =
        text(&output.stdout).lines().map(|line| line.split_once(": ").unwrap()).collect();
    let [version, commit, time, mode, os, arch] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(*version, ("build_version", env!("CARGO_PKG_VERSION")));
    assert!(commit.0 == "build_commit" && !commit.1.is_empty(), "{commit:?}");
    assert!(
        time.0 == "build_time" && time.1.parse::<jiff::Timestamp>().is_ok() && !time.1.contains('.'),
        "{time:?}"
    );
    assert_eq!(*mode, ("build_mode", "licenced"));
    assert_eq!((os.0, arch.0), ("build_os", "build_arch"));
    assert!(files_in(directory.path()).is_empty());
}

#[test]
fn an_unknown_option_is_refused() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--frobnicate");
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--frobnicate") && output.stdout.is_empty(), "{output:?}");
    assert!(files_in(directory.path()).is_empty());
}

#[test]
fn the_preview_prints_the_requests_and_sends_nothing() {
    let (custom, vendor) = (FakeDestination::start(Behaviour::Ok), FakeDestination::start(Behaviour::Ok));
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command
        .arg("--telemetry-preview")
        .env("SIRVEO_LICENSE", "s3cret-license")
        .env("SIRVEO_TELEMETRY_MODE", "both")
        .env("SIRVEO_TELEMETRY_URL", format!("{}?key=s3cret-query", custom.url()))
        .env("SIRVEO_TELEMTRY_AUTH", "s3cret-token")
        .env("SIRVEO_TELEMETRY_IDENTIFIER", "mine")
        .env("SIRVEO_TELEMETRY_SIGNING_SECRET", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")
        .env("SIRVEO_VENDOR_URL", vendor.url())
        .env("SIRVEO_VENDOR_AUTH", "s3cret-vendor")
        .env("SIRVEO_VENDOR_FREQUENCY", "90m");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let requests: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    let sent: Vec<(&str, &str)> = requests
        .iter()
        .map(|request| {
            (request["destination"].as_str().unwrap(), request["body"]["reason"].as_str().unwrap())
        })
        .collect();
    let reasons = ["begin", "update", "license-state-change", "end"];
    let expected: Vec<(&str, &str)> =
        reasons.iter().flat_map(|reason| [("custom", *reason), ("default", *reason)]).collect();
    assert_eq!(sent, expected);
    assert_eq!(requests[0]["body"]["custom_id"], "mine");
    assert_eq!(requests[1]["body"].get("custom_id"), None);
    let frequency = |request: &Value| {
        let headers = request["headers"].as_array().unwrap().iter();
        headers.filter(|header| header[0] == "telemetry-frequency").map(|header| header[1].clone()).next()
    };
    assert_eq!(frequency(&requests[0]), Some("28800".into()));
    assert_eq!(frequency(&requests[1]), Some("5400".into()));

    for secret in ["s3cret", "c2VjcmV0"] {
        assert!(
            !text(&output.stdout).contains(secret) && !text(&output.stderr).contains(secret),
            "{output:?}"
        );
    }
    assert!(files_in(directory.path()).is_empty());
    assert_eq!((custom.connections(), vendor.connections()), (0, 0));
}

#[test]
fn the_preview_creates_nothing_in_an_existing_folder() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.args(["--telemetry-preview", "--loopback"]).env("SIRVEO_DATA_DIR", ".");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 4);
    assert_eq!(files_in(directory.path()), [""; 0]);
}

#[test]
fn the_preview_of_disabled_telemetry_is_empty() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.arg("--telemetry-preview");
    let output = run(command);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""), "{output:?}");
}
