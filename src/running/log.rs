//! The log as a test reads it.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::{Arc, Mutex, Once};

/// The log lines of one thread, such as `WARN [telemetry] …`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static COLLECTED: RefCell<Option<Log>> = const { RefCell::new(None) };
    static PANICS_AT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

impl Log {
    /// Collects what this thread logs from now on.
    ///
    /// There is one subscriber for all tests: with one for each, what a callsite is interested in
    /// depends on which test came first.
    pub(crate) fn collect() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::DEBUG)
                .with_writer(|| OfThisThread)
                .with_ansi(false)
                .with_target(false)
                .without_time()
                .init();
        });
        let log = Self::default();
        COLLECTED.set(Some(log.clone()));
        log
    }

    /// The next line of this thread with `part` in it makes the log panic, as a host's may.
    pub(crate) fn panic_at(part: &'static str) {
        PANICS_AT.set(Some(part));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim_start().to_owned()).collect()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }
}

struct OfThisThread;

impl io::Write for OfThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if PANICS_AT.get().is_some_and(|part| String::from_utf8_lossy(bytes).contains(part)) {
            PANICS_AT.set(None);
            panic!("the log was told to panic");
        }
        COLLECTED.with_borrow(|log| {
            if let Some(Log(collected)) = log {
                collected.lock().unwrap().extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
