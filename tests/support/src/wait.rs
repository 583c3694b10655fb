//! Waiting for a condition, with a bound.

use std::{
    thread,
    time::{Duration, Instant},
};

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks at `condition` until it holds or `within` has passed; says whether it came to hold.
pub fn becomes_true(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within that time; `what` names the condition in the message.
#[track_caller]
pub fn wait_until(what: &str, within: Duration, condition: impl FnMut() -> bool) {
    assert!(becomes_true(within, condition), "not within {within:?}: {what}");
}
