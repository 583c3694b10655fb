//! Runs with the environment of a test's own.

use deployment_telemetry::Telemetry;

use crate::host::{self, MemoryStore, block_on, wait_for_attempts};

/// The environment is not a test's to change, so a child process is this very test with another one.
pub(crate) fn in_a_child_with(variables: &[(&str, &str)], test: &str) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env("WAY_OUT_CHILD", "1");
    test_support::environment::clean(&mut child, "SIRVEO_");
    let output = test_support::children::output(child.envs(variables.iter().copied())).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

pub(crate) fn is_child() -> bool {
    std::env::var_os("WAY_OUT_CHILD").is_some()
}

fn from_environment() -> Telemetry {
    let product = deployment_telemetry::Product::new("Sirveo");
    Telemetry::builder(product, host::build_info(), MemoryStore::new()).start().unwrap()
}

/// What became of `begin`, as a child prints it.
pub(crate) fn print_outcome() {
    let telemetry = from_environment();
    let outcome = wait_for_attempts(&telemetry, 1).attempts.pop_back().unwrap().outcome;
    block_on(telemetry.stop());
    assert_eq!(format!("{outcome:?}"), std::env::var("EXPECTED").unwrap());
}
