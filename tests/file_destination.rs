//! A `file:` destination of a whole run: on a disk that is well, full, or read-only.

mod host;

use std::path::Path;
use std::process::Command;

use deployment_telemetry::{Cause, Outcome};
use host::{MemoryStore, block_on, custom, on, wait_for_attempts};
use test_support::programs;

/// Begins and stops a run with the destination `file`, and returns the outcomes of `begin` and `end`.
fn run(file: &Path) -> [Outcome; 2] {
    let url = format!("file://{}", file.display());
    let telemetry = on(MemoryStore::new()).config(custom(&url)).start().unwrap();
    let begin = wait_for_attempts(&telemetry, 1).attempts[0].outcome.clone();
    let status = telemetry.status();
    assert_eq!(status.destinations[0].url, url);
    let preview = telemetry.preview();
    assert!(preview.iter().all(|request| (request.method, request.url.as_str()) == ("APPEND", url.as_str())));
    let end = block_on(telemetry.stop()).ends.remove(0).outcome;
    [begin, end]
}

#[test]
fn a_run_appends_its_events_as_lines() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.jsonl");
    for _ in 0..2 {
        assert_eq!(run(&file), [Outcome::Status(200), Outcome::Status(200)]);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let reasons: Vec<String> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["time"].as_str().unwrap().ends_with('Z'));
            let mut names: Vec<_> = line["headers"].as_object().unwrap().keys().cloned().collect();
            names.sort();
            let expected =
                ["content-type", "telemetry-frequency", "user-agent", "webhook-id", "webhook-timestamp"];
            assert_eq!(names, expected);
            line["body"]["reason"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(reasons, ["begin", "end", "begin", "end"]);
}

/// Runs this very test in a mount namespace in which `$FOLDER` is a small disk, after `prepare`.
fn on_a_small_disk(prepare: &str, test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size=64k none \"$FOLDER\"\n{prepare}\nexec \"$@\"");
    let mut child = Command::new(programs::debian("unshare", "util-linux"));
    child
        .args(["--map-root-user", "--mount", "--", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("FOLDER", folder.path());
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// Folder on the small disk; `None` outside of it.
fn small_disk() -> Option<std::path::PathBuf> {
    std::env::var_os("FOLDER").map(Into::into)
}

#[track_caller]
fn assert_failed(outcomes: [Outcome; 2], why: &str) {
    for outcome in outcomes {
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.cause, Cause::File, "{failure}");
        assert!(failure.message.ends_with(why), "{failure}");
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_no_part_of_a_line() {
    let Some(folder) = small_disk() else {
        let fill = "cat /dev/zero > \"$FOLDER/filler\" 2>/dev/null || true";
        return on_a_small_disk(fill, "a_full_disk_is_told_and_leaves_no_part_of_a_line");
    };
    let file = folder.join("events.jsonl");
    assert_failed(run(&file), "its disk is full; free some space");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    std::fs::remove_file(folder.join("filler")).unwrap();
    assert_eq!(run(&file), [Outcome::Status(200), Outcome::Status(200)]);
}

#[test]
fn a_read_only_file_system_is_told() {
    let Some(folder) = small_disk() else {
        return on_a_small_disk("mount -o remount,ro \"$FOLDER\"", "a_read_only_file_system_is_told");
    };
    assert_failed(run(&folder.join("events.jsonl")), "its file system is mounted read-only");
}
