//! `fleet simulate` against `fleet serve`, as an operator tries it.

use tempfile::TempDir;
use test_support::{Signal, Spawned, wait_until};

use crate::program::{LIMIT, Server, program, run, text};

fn url(server: &Server, directory: &TempDir, arguments: &[&str]) -> String {
    let mut command = program(directory.path());
    command.args(["key", "create"]).args(arguments);
    let created = run(command);
    let path =
        text(&created.stdout).lines().find_map(|line| line.strip_prefix("path")).unwrap().trim().to_owned();
    // Nothing of it is an event.
    wait_until("the key is known", LIMIT, || server.request("POST", &path, &[], "").status != 404);
    format!("http://{}{path}", server.address())
}

#[test]
fn a_simulated_fleet_appears_and_the_truth_is_told_at_the_end() {
    let (server, directory) = Server::alone();
    let url = url(&server, &directory, &["simulated"]);
    let mut command = program(directory.path());
    command.args(["simulate", "--url", &url, "--instances", "50", "--speed", "3600", "--duration", "2h"]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    assert!(told.contains("50 instances") && told.contains("errors: 0"), "{told}");
    let up =
        told.lines().find_map(|line| line.trim().strip_prefix("up")).unwrap().trim().parse::<u64>().unwrap();
    assert!(up > 10, "{told}");
    wait_until("all are judged", LIMIT, || server.get("/api/fleet").json()["states"]["up"] == up);
    assert_eq!(
        told.lines().filter(|line| line.contains("200: ") && !line.contains("· 4")).count(),
        1,
        "{told}"
    );
}

#[test]
fn a_signal_stops_the_simulation_and_the_truth_is_told() {
    let (server, directory) = Server::alone();
    let url = url(&server, &directory, &["simulated"]);
    let mut command = program(directory.path());
    command.args(["simulate", "--url", &url, "--instances", "100000", "--speed", "3600"]);
    let mut simulation = Spawned::start(command);
    wait_until("events arrive", LIMIT, || server.get("/api/fleet").json()["total"].as_u64() > Some(50));
    simulation.signal(Signal::SIGINT);
    assert_eq!(simulation.wait_exit(LIMIT).code(), Some(0));
    assert!(simulation.output().iter().any(|line| line == "the truth then:"), "{:?}", simulation.output());
}

#[test]
fn a_receiver_that_is_not_there_is_a_readable_error() {
    let directory = TempDir::new().unwrap();
    let mut command = program(directory.path());
    command.args(["simulate", "--url", &test_support::refused_url()]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("cannot be reached"), "{output:?}");
    let mut command = program(directory.path());
    command.args(["simulate", "--url", "https://localhost/webhooks/x"]);
    assert_eq!(run(command).status.code(), Some(2));
}
