//! The only place that reads the time, so that tests can set it. `clippy.toml` bans every other.

use std::sync::Arc;
use std::time::SystemTime;

#[cfg(feature = "receiver")]
use jiff::Timestamp;
use tokio::time::Instant;

/// Source of time: wall-clock time for slots and reports, monotonic time for durations and deadlines.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the time")]
    pub(crate) fn system() -> Self {
        Self(Arc::new(SystemTime::now))
    }

    /// Clock whose wall-clock time is `now()`, for simulations.
    #[cfg(feature = "receiver")]
    pub(crate) fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// Wall-clock time as a [`Timestamp`]; the Unix epoch where the clock is set outside the years -9999 to
    /// 9999.
    #[cfg(feature = "receiver")]
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.now().try_into().unwrap_or(Timestamp::UNIX_EPOCH)
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that reads the time")]
    pub(crate) fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, UNIX_EPOCH};

    /// Wall-clock time at which tests start: 2024-02-16T21:06:23Z.
    pub(crate) fn start_of_tests() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_708_117_583)
    }

    /// Wall clock that follows tokio's (paused) time and that tests can move.
    #[derive(Clone)]
    pub(crate) struct FakeClock(Arc<Mutex<(SystemTime, Instant)>>, Arc<AtomicU32>);

    impl FakeClock {
        #[expect(clippy::disallowed_methods, reason = "paused time")]
        pub(crate) fn at(start: SystemTime) -> Self {
            Self(Arc::new(Mutex::new((start, Instant::now()))), Arc::default())
        }

        /// Makes the next `times` readings of the wall-clock time panic.
        pub(crate) fn panic_next(&self, times: u32) {
            self.1.store(times, Ordering::Relaxed);
        }

        pub(crate) fn now(&self) -> SystemTime {
            let (start, since) = *self.0.lock().unwrap();
            start + since.elapsed()
        }

        pub(crate) fn jump_forward(&self, by: Duration) {
            self.0.lock().unwrap().0 += by;
        }

        pub(crate) fn jump_back(&self, by: Duration) {
            self.0.lock().unwrap().0 -= by;
        }

        /// The clock that the code under test is given.
        pub(crate) fn clock(&self) -> Clock {
            let fake = self.clone();
            Clock(Arc::new(move || {
                let left = fake.1.load(Ordering::Relaxed);
                if left > 0 {
                    fake.1.store(left - 1, Ordering::Relaxed);
                    panic!("the clock was told to panic");
                }
                fake.now()
            }))
        }
    }
}
