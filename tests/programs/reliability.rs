//! Faults against both halves: a few of each section.

use std::fs;

use crate::output_of;

#[test]
fn a_few_of_all_trials_come_out_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.md");
    let written = file.to_str().expect("the name of the folder is text");
    let printed = output_of("reliability", &["--reduced", "--seed", "1", "--output", written]);
    let tables = fs::read_to_string(file).unwrap();
    assert!(printed.contains(tables.trim()), "what is printed is what is written");
    for section in [
        "Faults of the destination",
        "Hosts killed",
        "Every actor of the sender struck",
        "Every actor of the receiver struck",
        "Floods",
        "Faults of the database",
    ] {
        assert!(tables.contains(section), "{section} is missing in\n{tables}");
    }
    assert!(tables.contains("| 0 hits |"), "{tables}");
    // Each pair of an actor and a message was struck, and named.
    assert_eq!(tables.matches("| one panic at a message | all ").count(), 2, "{tables}");
    for pair in ["sender::scheduler Finish", "receiver::ingest::writer Append", "receiver::keeper Tidy"] {
        assert!(tables.contains(pair), "{pair} is missing in\n{tables}");
    }
}
