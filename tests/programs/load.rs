//! The receiver under load: seconds of every section.

use crate::output_of;

#[test]
fn every_section_of_the_load_runs_and_comes_out_as_it_should() {
    let printed = output_of("receiver-load", &["--reduced", "--seed", "1"]);
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
