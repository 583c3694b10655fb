//! The program, as an operator tries it against a receiver.

use std::path::Path;
use std::process::Command;

use deployment_telemetry::receiver::{Receiver, SqliteFleetStore, WebhookKey};
use tempfile::TempDir;
use test_support::server::{self, LIMIT, run, text};
use test_support::{Signal, Spawned, TestDatabase, refused_url};

use crate::host::{Host, wait_for};

fn simulator(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = server::program(env!("CARGO_BIN_EXE_simulator"), "SIMULATOR_", directory);
    command.args(arguments);
    command
}

/// A receiver on SQLite and the real clock.
async fn host(directory: &TempDir) -> Host {
    let store = SqliteFleetStore::new(directory.path().join("fleet.sqlite"));
    Host::start(Receiver::builder(store), &WebhookKey::generate()).await
}

#[actix_web::test]
async fn a_simulated_fleet_appears_and_the_truth_is_printed_at_the_end() {
    let directory = TempDir::new().unwrap();
    let host = host(&directory).await;
    let mut command =
        simulator(directory.path(), &["--instances", "50", "--speed", "3600", "--duration", "2h"]);
    command.args(["--url", host.webhook().as_str()]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = text(&output.stdout);
    assert!(printed.contains("50 instances") && printed.contains("errors: 0"), "{printed}");
    let up = printed.lines().find_map(|line| line.trim().strip_prefix("up")).unwrap().trim();
    let up: u64 = up.parse().unwrap();
    assert!(up > 10, "{printed}");
    wait_for("all are judged", async || host.get("/api/fleet").await["states"]["up"] == up).await;
    let results = printed.lines().find(|line| line.contains(" sent · ")).unwrap();
    assert!(results.contains("200: ") && !results.contains("· 4") && !results.contains("· 5"), "{results}");
    host.stop().await;
}

#[actix_web::test]
async fn a_signal_stops_the_simulation_and_the_truth_is_printed() {
    let directory = TempDir::new().unwrap();
    let host = host(&directory).await;
    let mut command = simulator(directory.path(), &["--instances", "100000", "--speed", "3600"]);
    command.env("SIMULATOR_URL", host.webhook().as_str());
    let mut simulation = Spawned::start(command);
    wait_for("events arrive", async || host.get("/api/fleet").await["total"].as_u64() > Some(50)).await;
    simulation.signal(Signal::SIGINT);
    assert_eq!(simulation.wait_exit(LIMIT).code(), Some(0));
    let output = simulation.output();
    assert!(output.iter().any(|line| line == "the truth at that time:"), "{output:?}");
    host.stop().await;
}

#[test]
fn a_receiver_that_does_not_listen_is_a_readable_error() {
    let directory = TempDir::new().unwrap();
    let output = run(simulator(directory.path(), &["--url", &refused_url()]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the receiver cannot be reached"), "{output:?}");
}

#[test]
fn a_url_that_is_not_http_is_refused() {
    let directory = TempDir::new().unwrap();
    let output = run(simulator(directory.path(), &["--url", "https://localhost/webhooks/x"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("http://"), "{output:?}");
}

#[actix_web::test]
async fn the_instances_of_scenarios_are_found_by_their_names() {
    let directory = TempDir::new().unwrap();
    let host = host(&directory).await;
    let mut command = simulator(directory.path(), &["--scenarios", "--speed", "3600", "--duration", "2h"]);
    command.args(["--url", host.webhook().as_str()]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = text(&output.stdout);
    assert!(printed.contains("errors: 0") && printed.contains("  rolling-surge\n"), "{printed}");
    let found = host.get("/api/instances?search=rolling-surge").await;
    assert_eq!(found["instances"].as_array().unwrap().len(), 1, "{found}");
    host.stop().await;
}

#[test]
fn a_trial_prints_a_table_and_succeeds_where_the_receiver_is_right() {
    let directory = TempDir::new().unwrap();
    let output = run(simulator(directory.path(), &["truth", "--seeds", "1"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = text(&output.stdout);
    assert!(printed.contains("1 seeds from 1 on") && printed.contains("rolling-surge"), "{printed}");
}

/// By this, another database is compared with PostgreSQL. Each has the seed's alerts, and what chance draws is left out.
#[test]
fn what_two_databases_keep_of_a_seed_is_the_same_and_that_of_another_seed_is_not() {
    let kept = |seed: &str| {
        let (directory, database) = (TempDir::new().unwrap(), TestDatabase::new());
        let arguments = ["truth", "--seeds", "1", "--first", seed, "--database", database.url()];
        let output = run(simulator(directory.path(), &arguments));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let printed = text(&output.stdout);
        let lines: Vec<String> =
            printed.lines().filter(|line| line.starts_with("telemetry_")).map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{printed}");
        assert!(!lines[3].starts_with("telemetry_alert: 0 rows"), "{printed}");
        lines
    };
    let first = kept("1");
    assert_eq!(first, kept("1"));
    let other = kept("2");
    assert!(first.iter().zip(&other).all(|(one, another)| one != another), "{first:?} {other:?}");
}
