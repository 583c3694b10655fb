//! A few cases of each section, so that the program does not rot.

use std::fs;
use std::process::Command;

#[test]
fn a_few_of_all_trials_come_out_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.md");
    let output = Command::new(env!("CARGO_BIN_EXE_reliability"))
        .args(["--reduced", "--seed", "1", "--output"])
        .arg(&file)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
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
