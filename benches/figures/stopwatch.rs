//! How long something takes. The one place here that asks for the time.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures the real clock")]

use std::time::{Duration, Instant};

/// A moment, to ask later how long ago it was.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long `work` takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let began = now();
    work();
    began.elapsed()
}
