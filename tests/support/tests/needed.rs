//! Programs that are missing: named, with the way to get them, and installed by nobody who was not asked to.

use std::{env, path::Path, process::Command};

use test_support::{programs, server};

/// This very test on a machine without programs, which is not asked to install any.
fn without_programs(test: &str) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env("PATH", "/nonexistent").env_remove("TEST_INSTALL");
    let output = server::run(command);
    assert!(!output.status.success());
    server::text(&output.stdout).to_owned() + server::text(&output.stderr)
}

#[test]
fn a_missing_program_fails_the_test_with_all_that_is_missing() {
    let told = without_programs("uses_openssl");
    assert!(told.contains("openssl is missing, and tests install nothing unless asked to"), "{told}");
    let (_, missing) = told.split_once("Missing on this machine: ").unwrap();
    let (names, packages) = missing.split_once(". On Debian, as root: apt-get install ").unwrap();
    for (name, package) in [("openssl", "openssl"), ("npm", "npm"), ("promtool", "prometheus")] {
        assert!(names.contains(name) && packages.contains(package), "{name} in {told}");
    }
    assert!(told.contains("With TEST_INSTALL=1 in the environment"), "{told}");
}

#[test]
fn a_missing_package_of_python_or_npm_fails_the_test() {
    for (test, requirement) in
        [("uses_a_package_of_python", "no-such-package--1"), ("uses_a_package_of_npm", "no-such-package-1")]
    {
        let told = without_programs(test);
        assert!(
            told.contains(&format!("{requirement} is missing")) && told.contains("TEST_INSTALL=1"),
            "{told}"
        );
    }
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn uses_openssl() {
    programs::debian("openssl", "openssl");
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn uses_a_package_of_python() {
    programs::python(&["no-such-package==1"], "program");
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn uses_a_package_of_npm() {
    programs::npm(&["no-such-package@1"]);
}

#[test]
fn a_program_that_is_there_is_found() {
    assert!(Path::new(&programs::debian("python3", "python3")).is_file());
}
