//! The one place here that asks for the time.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures the real clock")]

use std::time::Instant;

/// A moment, to ask later how long ago it was.
pub(crate) fn now() -> Instant {
    Instant::now()
}
