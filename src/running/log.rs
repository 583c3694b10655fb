//! A log that tests can read.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::{Arc, Mutex, Once};

/// Log lines of one thread, such as `WARN [telemetry] …`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static COLLECTED: RefCell<Option<Log>> = const { RefCell::new(None) };
    static PANICS_AT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

impl Log {
    /// Collects the lines that this thread logs from now on.
    ///
    /// All tests share one subscriber. With one subscriber per test, the cached interest of a callsite would
    /// depend on which test ran first.
    pub(crate) fn collect() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::DEBUG)
                .with_writer(|| OfThisThread)
                .with_ansi(false)
                .with_target(false)
                .without_time()
                .finish();
            // What is logged by the crate `log` is left to a test that records it.
            tracing::subscriber::set_global_default(subscriber).expect("no other one is set");
        });
        let log = Self::default();
        COLLECTED.set(Some(log.clone()));
        log
    }

    /// Makes the log panic at the next line of this thread that contains `part`, as the log of a host may.
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
