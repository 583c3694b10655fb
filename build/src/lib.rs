#![doc = include_str!("../README.md")]
#![expect(clippy::needless_doctest_main, reason = "a build script is its main function")]

mod commit;
mod time;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variable with the commit: read by the build script, and set by it for the server's compilation.
const COMMIT: &str = "DEPLOYMENT_TELEMETRY_COMMIT";

/// Variable with the time of the build, set for the server's compilation.
const TIME: &str = "DEPLOYMENT_TELEMETRY_TIME";

/// Variable with the time of a reproducible build, in seconds since 1970.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Files of a package that its build depends on.
const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// Prints the instructions by which cargo embeds the commit and the time. To be called by a build
/// script.
///
/// It never fails: a commit that cannot be found is `unknown`, and a variable that cannot be used is
/// warned of and ignored.
///
/// # Examples
/// ```no_run
/// // build.rs
/// fn main() {
///     deployment_telemetry_build::emit();
/// }
/// ```
pub fn emit() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    for line in instructions(&package, &|name| std::env::var_os(name)) {
        println!("{line}");
    }
}

/// The lines for cargo, for the package in the folder `package`.
fn instructions(package: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<String> {
    let mut lines = vec![
        format!("cargo::rerun-if-env-changed={COMMIT}"),
        format!("cargo::rerun-if-env-changed={SOURCE_DATE_EPOCH}"),
    ];
    // Cargo would run the script at each build for a file that does not exist.
    let sources = SOURCES.map(|name| package.join(name));
    let watched = sources.into_iter().chain(commit::files(package)).filter(|path| path.exists());
    lines.extend(watched.map(|path| format!("cargo::rerun-if-changed={}", path.display())));

    let mut warn = |name, what| lines.push(format!("cargo::warning={name} is ignored: {what}"));
    let commit = match variable(COMMIT).filter(|value| !value.is_empty()) {
        Some(value) => commit::from_variable(value).map_err(|what| warn(COMMIT, what)).ok(),
        None => None,
    };
    let time = match variable(SOURCE_DATE_EPOCH).filter(|value| !value.is_empty()) {
        Some(value) => time::from_variable(value).map_err(|what| warn(SOURCE_DATE_EPOCH, what)).ok(),
        None => None,
    };
    let commit = commit.or_else(|| commit::of(package)).unwrap_or_else(|| "unknown".to_owned());
    let time = time::rfc3339(time.unwrap_or_else(time::now));
    lines.push(format!("cargo::rustc-env={COMMIT}={commit}"));
    lines.push(format!("cargo::rustc-env={TIME}={time}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lines: &[String], name: &str) -> String {
        let start = format!("cargo::rustc-env={name}=");
        lines.iter().find_map(|line| line.strip_prefix(&start)).expect("the variable is set").to_owned()
    }

    #[test]
    fn the_variables_win_over_git_and_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let lines = instructions(folder.path(), &|name| match name {
            COMMIT => Some("4379644".into()),
            SOURCE_DATE_EPOCH => Some("1708117583".into()),
            _ => None,
        });
        assert_eq!(value(&lines, COMMIT), "4379644");
        assert_eq!(value(&lines, TIME), "2024-02-16T21:06:23Z");
        assert!(!lines.iter().any(|line| line.contains("warning")), "{lines:?}");
    }

    #[test]
    fn without_a_repository_the_commit_is_unknown_and_the_time_is_the_clocks() {
        let folder = tempfile::tempdir().unwrap();
        let lines = instructions(folder.path(), &|_| None);
        assert_eq!(value(&lines, COMMIT), "unknown");
        let time: jiff::Timestamp = value(&lines, TIME).parse().unwrap();
        assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60, "{time}");
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        for wrong in ["yesterday", "-1", "1.5", "99999999999999999999", "253402300800"] {
            let lines =
                instructions(folder.path(), &|name| (name == SOURCE_DATE_EPOCH).then(|| wrong.into()));
            assert!(lines.iter().any(|line| line.starts_with("cargo::warning=SOURCE_DATE_EPOCH")), "{wrong}");
            assert!(value(&lines, TIME).parse::<jiff::Timestamp>().is_ok(), "{wrong}");
        }
        // A line break would be an instruction of its own.
        for wrong in ["a\ncargo::rustc-env=PATH=", "two words", "é"] {
            let lines = instructions(folder.path(), &|name| (name == COMMIT).then(|| wrong.into()));
            assert!(lines.iter().any(|line| line.starts_with("cargo::warning=DEPLOYMENT")), "{wrong}");
            assert_eq!(value(&lines, COMMIT), "unknown", "{wrong}");
        }
    }

    #[test]
    fn only_files_that_exist_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let lines = instructions(folder.path(), &|_| None);
        let watched: Vec<_> =
            lines.iter().filter_map(|line| line.strip_prefix("cargo::rerun-if-changed=")).collect();
        assert_eq!(watched, [folder.path().join("Cargo.toml").to_str().unwrap()]);
    }
}
