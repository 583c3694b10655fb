//! What the handlers of the API and of the pages work with.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::alerting::board::AlertBoard;
use super::clock::ReceiverClock;
use super::counts::Counts;
use super::health::HealthBoard;
use super::ingest::backlog::Backlog;
use super::ingest::refused::RefusedRequests;
use super::judging::judge::Judged;
use super::keys::Keys;
use super::live::Live;
use super::metrics::Metrics;
use super::store_handle::StoreHandle;
use crate::sender::telemetry::Telemetry;

/// What the handlers of the API and the pages work with.
pub(crate) struct App {
    pub(crate) store: StoreHandle,
    pub(crate) clock: ReceiverClock,
    pub(crate) keys: Keys,
    pub(crate) counts: Counts,
    pub(crate) live: Live,
    pub(crate) server: ServerFacts,
}

/// The receiver itself, as it is shown.
pub(crate) struct ServerFacts {
    pub(crate) health: HealthBoard,
    pub(crate) metrics: Metrics,
    pub(crate) backlog: Backlog,
    pub(crate) refused: RefusedRequests,
    pub(crate) judged: watch::Sender<Judged>,
    /// The destination of alerts.
    pub(crate) alerts: AlertBoard,
    /// The host's own telemetry.
    pub(crate) telemetry: Option<Telemetry>,
    /// How long events are kept.
    pub(crate) retention: Duration,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }
}
