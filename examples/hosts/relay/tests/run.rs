#[path = "../../run.rs"]
mod run;

#[test]
fn it_begins_changes_and_ends() {
    run::begins_changes_and_ends(env!("CARGO_BIN_EXE_relay"), "RELAY", &[]);
}
