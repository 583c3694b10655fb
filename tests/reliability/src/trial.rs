//! How things are tried: each by itself, many at once, and a panic of one is that one's failure.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::search::Search;

/// What all trials share.
pub(crate) struct Context {
    /// Looks through all that hosts print.
    pub(crate) search: Search,
    /// For what is left to chance.
    pub(crate) seed: u64,
    /// A few cases of each section, so that the program does not rot.
    pub(crate) is_reduced: bool,
}

impl Context {
    /// The number of times something is tried.
    pub(crate) fn times(&self, full: usize, reduced: usize) -> usize {
        if self.is_reduced { reduced } else { full }
    }
}

/// What came out, or what is wrong with it.
pub(crate) type Outcome<T = String> = Result<T, String>;

/// Number of cases at a time: most wait for a time to pass, and a machine with two processors keeps up.
pub(crate) const MANY: usize = 16;

/// Where the hosts are to start about as fast as by themselves.
pub(crate) const FEW: usize = 3;

/// Tries every case, so many at once, and tells how far it is.
pub(crate) fn try_all<C: Sync, T: Send>(
    at_once: usize,
    cases: &[C],
    run: impl Fn(&C) -> Outcome<T> + Sync,
) -> Vec<Outcome<T>> {
    let results: Vec<Mutex<Option<Outcome<T>>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..at_once.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let outcome = attempt(|| run(case));
                    if let Err(wrong) = &outcome {
                        eprintln!("  {wrong}");
                    }
                    *results[index].lock().expect("the lock is held for no work") = Some(outcome);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(MANY) || done == cases.len() {
                        eprintln!("  {done} of {}", cases.len());
                    }
                }
            });
        }
    });
    let outcome = |result: Mutex<Option<_>>| result.into_inner().ok().flatten();
    results.into_iter().map(|result| outcome(result).expect("every case was tried")).collect()
}

/// The work, with a panic for a failure.
pub(crate) fn attempt<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(message(panic.as_ref())))
}

/// `Err` with `what` where it is not so.
pub(crate) fn ensure(is_so: bool, what: impl FnOnce() -> String) -> Outcome<()> {
    if is_so { Ok(()) } else { Err(what()) }
}

/// `duration` with its unit, in two or three digits.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ ..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{:.0} µs", nanos as f64 / 1e3),
        nanos @ 1_000_000..1_000_000_000 => format!("{:.0} ms", nanos as f64 / 1e6),
        nanos => format!("{:.1} s", nanos as f64 / 1e9),
    }
}

/// The beginning of it: the helpers put all that a program printed into theirs.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").chars().take(300).collect()
}
