//! Whether a host answers, asked all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http;
use crate::trial::{Outcome, ensure, short};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(25);

/// A host that takes longer does not answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks for the health of a host.
pub(crate) struct Pulse {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Beats>,
}

/// What came of the questions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beats {
    /// How long each answer took, sorted.
    took: Vec<Duration>,
    failures: Vec<String>,
}

impl Pulse {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = ended.clone();
        let thread = thread::spawn(move || {
            let mut beats = Beats::default();
            // Once at least.
            loop {
                let began = Instant::now();
                match http::ask(address, "GET", "/healthz", LIMIT) {
                    Ok(_) => beats.took.push(began.elapsed()),
                    Err(error) => beats.failures.push(error.to_string()),
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(EVERY);
            }
            beats.took.sort_unstable();
            beats
        });
        Self { ended, thread }
    }

    /// Stops asking. Every answer must have come.
    pub(crate) fn stop(self) -> Outcome<Beats> {
        self.ended.store(true, Ordering::Relaxed);
        let beats = self.thread.join().map_err(|_| "the questions for its health panicked")?;
        let asked = beats.took.len() + beats.failures.len();
        ensure(beats.failures.is_empty(), || {
            format!(
                "the host gave no answer {} of {asked} times: {}",
                beats.failures.len(),
                beats.failures[0]
            )
        })?;
        ensure(asked > 0, || "the host was not asked for its health".to_owned())?;
        Ok(beats)
    }
}

impl Beats {
    /// These and those.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.took.extend(other.took);
        self.took.sort_unstable();
        self
    }

    pub(crate) fn count(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn p99(&self) -> Duration {
        self.took.get(self.took.len() * 99 / 100).copied().unwrap_or_default()
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.took.last().copied().unwrap_or_default()
    }

    /// How often it was asked and how slow it was.
    pub(crate) fn describe(&self) -> String {
        format!("{0} of {0} answered, slowest {1}", self.count(), short(self.slowest()))
    }
}
