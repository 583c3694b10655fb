//! The environment of the test command, which is the developer's: a proxy, or `DO_NOT_TRACK`, must not reach a test.

use std::{env, ffi::OsString, process::Command};

use crate::children;

/// Takes every variable that changes what telemetry does out of `command`'s environment: the settings of a product,
/// which begin with `prefix`, and those that all products read.
pub fn clean(command: &mut Command, prefix: &str) {
    let is_setting = |name: &OsString| name.to_string_lossy().to_ascii_uppercase().starts_with(prefix);
    for name in env::vars_os().map(|(name, _)| name).filter(is_setting).chain(telling()) {
        command.env_remove(name);
    }
}

/// Runs the calling test, named `test`, in a process without the variables that all products read, where this process
/// has any; says whether it did. A test cannot take them out of its own process, which it shares with others.
///
/// # Panics
/// When the test fails there.
#[track_caller]
pub fn ran_in_a_clean_one(test: &str) -> bool {
    if telling().next().is_none() {
        return false;
    }
    let mut command = Command::new(env::current_exe().expect("a test has a file"));
    command.args(["--exact", test, "--nocapture"]);
    telling().for_each(|name| _ = command.env_remove(name));
    let output = children::output(&mut command).expect("a test can be run");
    let told = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && told.contains("1 passed");
    assert!(passed, "{test}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn telling() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name).filter(|name| {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        upper.ends_with("_PROXY") || ["DO_NOT_TRACK", "REQUEST_METHOD"].contains(&&*upper)
    })
}
