//! Programs under observation.

use std::{
    os::unix::process::ExitStatusExt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::Duration,
};

use test_support::{Signal, Spawned};

const LIMIT: Duration = Duration::from_secs(5);

fn shell(script: &str) -> Spawned {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Spawned::start(command)
}

#[test]
fn both_streams_are_there_when_it_has_ended() {
    let mut program = shell("echo one; echo two >&2; printf three; exit 3");
    assert_eq!(program.wait_exit(LIMIT).code(), Some(3));
    let mut output = program.output();
    output.sort();
    assert_eq!(output, ["one", "three", "two"]);
}

#[test]
fn a_line_is_waited_for_and_a_signal_arrives() {
    let mut program = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    assert_eq!(program.wait_for_line(|line| line == "ready", LIMIT), "ready");
    program.signal(Signal::SIGTERM);
    program.wait_for_line(|line| line == "bye", LIMIT);
    assert!(program.wait_exit(LIMIT).success());
    program.signal(Signal::SIGTERM);
}

#[test]
fn a_line_that_cannot_come_any_more_fails_at_once() {
    let program = shell("echo other");
    let wait = AssertUnwindSafe(|| program.wait_for_line(|line| line == "ready", 100 * LIMIT));
    let message = *catch_unwind(wait).unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("other"), "{message}");
}

#[test]
fn a_program_that_does_not_end_fails_the_wait_and_a_drop_kills_it() {
    let mut program = shell("exec sleep 600");
    let wait = AssertUnwindSafe(|| program.wait_exit(Duration::from_millis(100)));
    assert!(catch_unwind(wait).is_err());
    program.signal(Signal::SIGKILL);
    assert_eq!(program.wait_exit(LIMIT).signal(), Some(Signal::SIGKILL as i32));
    let id = shell("exec sleep 600").id();
    let status = Command::new("sh").args(["-c", &format!("kill -0 {id} 2>/dev/null")]).status();
    assert!(!status.unwrap().success());
}
