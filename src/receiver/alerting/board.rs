//! What is known of the destination of alerts while a receiver runs: where they go, what it answered last, and the way to
//! try it.

use std::sync::{Arc, OnceLock};

use actix::{Message, Recipient};
use jiff::Timestamp;
use tokio::sync::watch;

/// Send a test to the destination.
#[derive(Message)]
#[rtype(result = "Answered")]
pub(crate) struct SendTest;

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) at: Timestamp,
    /// Number of alerts; 0 for a test.
    pub(crate) alerts: usize,
    /// The status of the answer; `None` where there was none.
    pub(crate) status: Option<u16>,
    /// Why it was not taken, in words.
    pub(crate) failure: Option<String>,
}

/// Why there was no test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTest {
    /// There is no destination.
    NoDestination,
    /// The receiver is not ready, or does not run.
    NotRunning,
}

/// The destination of alerts as it is shown. Clones share it.
#[derive(Clone)]
pub(crate) struct AlertBoard {
    /// The host that alerts go to; `None` without alerts.
    host: Option<String>,
    last: watch::Sender<Option<Answered>>,
    tester: Arc<OnceLock<Recipient<SendTest>>>,
}

impl AlertBoard {
    pub(crate) fn of(host: Option<String>) -> Self {
        Self { host, last: watch::Sender::default(), tester: Arc::default() }
    }

    /// The host that alerts go to.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// What the destination last answered to this receiver.
    pub(crate) fn last(&self) -> Option<Answered> {
        self.last.borrow().clone()
    }

    pub(super) fn note(&self, answered: Answered) {
        self.last.send_replace(Some(answered));
    }

    /// Names the actor that sends tests.
    pub(crate) fn tested_by(&self, tester: Recipient<SendTest>) {
        let _ = self.tester.set(tester);
    }

    /// Sends a test, and waits for what comes back.
    pub(crate) async fn test(&self) -> Result<Answered, NoTest> {
        if self.host.is_none() {
            return Err(NoTest::NoDestination);
        }
        let tester = self.tester.get().ok_or(NoTest::NotRunning)?;
        tester.send(SendTest).await.map_err(|_| NoTest::NotRunning)
    }
}
