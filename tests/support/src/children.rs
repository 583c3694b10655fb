//! Child processes that handle signals as if they had been started at a terminal.
//!
//! A child inherits which signals its parent ignores and blocks. A test command in the background of a non-interactive
//! shell ignores `SIGINT`, one under `nohup` ignores `SIGHUP`; a program that installs no handler would then survive
//! what a test expects to end it.

use std::{
    fs, io,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Once, atomic::AtomicBool},
};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Starts `command` with no signal blocked or ignored.
///
/// # Errors
/// When the program cannot be started.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    static HANDLED: Once = Once::new();
    HANDLED.call_once(handle_ignored_signals);
    let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let child = command.spawn();
    blocked.thread_set_mask()?;
    child
}

/// Runs `command` to its end, as [`spawn`] starts it, without input, and returns what it printed.
///
/// # Errors
/// When the program cannot be started or its output cannot be read.
pub fn output(command: &mut Command) -> io::Result<Output> {
    spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?.wait_with_output()
}

/// Gives every signal that this process ignores a handler that does nothing.
///
/// To this process it is the same; a child starts with the default in place of a handler, but keeps what is ignored.
/// `SIGPIPE` is left out: the standard library resets it. Without `/proc` nothing tells what is ignored, and children
/// keep it.
fn handle_ignored_signals() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    for signal in Signal::iterator().map(|signal| signal as i32) {
        let is_ignored = ignored & (1 << (signal - 1)) != 0;
        let can_be_handled =
            signal != Signal::SIGPIPE as i32 && !signal_hook::consts::FORBIDDEN.contains(&signal);
        if is_ignored && can_be_handled {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
                .expect("a signal can be handled");
        }
    }
}
