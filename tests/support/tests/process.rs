//! Programs under observation.

use std::{
    os::unix::process::ExitStatusExt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::Duration,
};

use test_support::{Signal, Spawned};
#[cfg(target_os = "linux")]
use {nix::sys::signal::SigSet, std::env};

const LIMIT: Duration = Duration::from_secs(60);

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

/// Elsewhere nothing tells which signals a process ignores.
#[test]
#[cfg(target_os = "linux")]
fn a_child_ignores_and_blocks_nothing_whatever_its_parent_does() {
    for signals in ["INT", "HUP TERM QUIT", "PIPE CHLD USR1"] {
        let script =
            format!("trap '' {signals}; exec \"$0\" --exact signals_of_a_child --ignored --nocapture");
        let mut parent = Command::new("sh");
        parent.args(["-c", &script]).arg(env::current_exe().unwrap());
        let mut parent = Spawned::start(parent);
        assert!(parent.wait_exit(LIMIT).success(), "{signals}: {:#?}", parent.output());
    }
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by the test above, as a process of its own that ignores signals"]
fn signals_of_a_child() {
    /// Those that programs use; the C library keeps the next two for itself.
    const STANDARD: u64 = (1 << 31) - 1;

    SigSet::all().thread_block().unwrap();
    let mut child = shell("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    assert!(child.wait_exit(LIMIT).success());
    let lines = child.output();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let (_, mask) = line.split_once(":\t").unwrap();
        assert_eq!(u64::from_str_radix(mask, 16).unwrap() & STANDARD, 0, "{line}");
    }
}
