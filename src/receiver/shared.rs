//! What every request handler of the receiver has at hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::counts::Counts;
use super::health::HealthBoard;
use super::ingest::backlog::Backlog;
use super::ingest::writer::WriterActor;
use super::keys::Keys;
use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::store::{FleetStore, Outage, StoreError, on, within};
use crate::running::clock::Clock;
use crate::sender::telemetry::Telemetry;

/// For a question to the store.
const QUERY_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Shared {
    pub(crate) store: Arc<dyn FleetStore>,
    /// The receiver's own thread: what talks to the store runs there.
    pub(crate) runtime: Handle,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) health: HealthBoard,
    /// The host's own telemetry, for the page "Server".
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) keys: Keys,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) writer: Addr<WriterActor>,
    pub(crate) backlog: Backlog,
    pub(crate) counts: Counts,
    /// The host that alerts go to.
    pub(crate) alerts_to: Option<String>,
    /// What the last judgement of this receiver leaves to be seen.
    pub(crate) judged: watch::Sender<Judged>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    /// When it was.
    pub(crate) at: Option<Timestamp>,
    /// Those that the store remembers, oldest first.
    pub(crate) outages: Vec<Outage>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    /// Asks the store something on the receiver's thread, for no longer than 5 seconds.
    pub(crate) async fn ask<T, F>(
        &self,
        question: impl FnOnce(Arc<dyn FleetStore>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let question = within(QUERY_LIMIT, question(self.store.clone()));
        let answer = tokio::select! {
            answer = on(&self.runtime, question) => answer,
            // A frozen thread would never answer.
            () = self.health.not_running() => {
                Err(StoreError::Unavailable(format!("the receiver is {}", self.health.read().state.as_str())))
            }
        };
        if answer.is_err() {
            self.metrics.store_failed();
        }
        answer
    }
}
