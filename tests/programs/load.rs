//! Seconds of every section, so that the program does not rot.

use std::process::Command;

#[test]
fn every_section_runs_and_comes_out_as_it_should() {
    let output = Command::new(env!("CARGO_BIN_EXE_receiver-load"))
        .args(["--reduced", "--seed", "1"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let tables = [
        "Ingest: events a second",
        "Ingest beside another version",
        "Ingest on a distributed PostgreSQL",
        "Latency, from when an event was due",
        "Too much, over",
        "Killed under load",
        "Hostile requests",
        "Slow connections",
        "### Keys\n",
        "fleet summary, counted anew",
        "instances are forgotten",
        "adoption, 90 days",
        "Those who look on",
    ];
    for table in tables {
        assert!(printed.contains(table), "{table} is missing in\n{printed}");
    }
}
