//! Seconds of kills and of hostile requests, so that the program does not rot.

use std::process::Command;

#[test]
fn a_few_kills_and_hostile_requests_come_out_as_they_should() {
    let output = Command::new(env!("CARGO_BIN_EXE_receiver-load"))
        .args(["kills", "hostile", "keys", "forgetting", "--reduced", "--seed", "1"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    for section in ["Killed under load", "Hostile requests", "Slow connections", "instances are forgotten"] {
        assert!(printed.contains(section), "{section} is missing in\n{printed}");
    }
}
