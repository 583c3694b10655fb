//! The counters of the receiver. The page `metrics` shows them.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::wire::payload::Reason;

/// The label of what has no series of its own.
pub(crate) const OTHER: &str = "other";

pub(crate) type Labels<const N: usize> = [(&'static str, String); N];

/// Counters that every thread may move. Clones move the same ones.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    events: Family<Labels<1>, Counter>,
    /// The series of `events`, in the order of [`Reason::ALL`], then [`OTHER`].
    by_reason: [Counter; 5],
    repeated: Counter,
    rejected: Family<Labels<1>, Counter>,
    store_errors: Counter,
    ingest: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let events = Family::<Labels<1>, Counter>::default();
        // A series that is there from the start lets a rate see its first event.
        let [begin, update, license, end] = Reason::EVERY.map(Reason::as_str);
        let by_reason = [begin, update, license, end, OTHER]
            .map(|reason| events.get_or_create(&[("reason", reason.to_owned())]).clone());
        let metrics = Self {
            registry: Arc::default(),
            events,
            by_reason,
            repeated: Counter::default(),
            rejected: Family::default(),
            store_errors: Counter::default(),
            ingest: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
            ]),
        };
        metrics.register()
    }
}

impl Metrics {
    fn register(mut self) -> Self {
        let mut registry = Registry::default();
        registry.register("telemetry_receiver_events", "Events that were stored", self.events.clone());
        registry.register(
            "telemetry_receiver_repeated_events",
            "Events that came again after they had been stored",
            self.repeated.clone(),
        );
        registry.register(
            "telemetry_receiver_rejected_requests",
            "Requests to the webhook that were refused",
            self.rejected.clone(),
        );
        registry.register(
            "telemetry_receiver_store_errors",
            "Questions and orders that the store did not answer in time or refused",
            self.store_errors.clone(),
        );
        registry.register_with_unit(
            "telemetry_receiver_ingest_duration",
            "From the arrival of an event to its answer",
            Unit::Seconds,
            self.ingest.clone(),
        );
        self.registry = Arc::new(registry);
        self
    }

    /// An event was stored. Reasons that are not in the contract count as `other`.
    pub(crate) fn stored(&self, reason: &str) {
        let known = Reason::ALL.iter().position(|known| known.as_str() == reason);
        self.by_reason[known.unwrap_or(Reason::ALL.len())].inc();
    }

    /// An event had been stored before.
    pub(crate) fn repeated(&self) {
        self.repeated.inc();
    }

    /// A request was refused; `cause` is one of a fixed set of words, such as `checksum`.
    pub(crate) fn rejected(&self, cause: &'static str) {
        self.rejected.get_or_create(&[("cause", cause.to_owned())]).inc();
    }

    /// How long it took from an event's arrival to its answer.
    pub(crate) fn answered(&self, took: Duration) {
        self.ingest.observe(took.as_secs_f64());
    }

    /// The store did not do what it was asked.
    pub(crate) fn store_failed(&self) {
        self.store_errors.inc();
    }

    /// The counters in the format OpenMetrics, and after them what is true of the fleet now.
    pub(crate) fn to_text(&self, fleet: &Registry) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, fleet))
            .and_then(|()| encode_eof(&mut text))
            .expect("memory takes what is written to it");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_moved_and_unknown_reasons_are_one() {
        let metrics = Metrics::default();
        metrics.stored("begin");
        metrics.stored("moved-house");
        metrics.stored("moved-again");
        metrics.repeated();
        metrics.rejected("checksum");
        metrics.answered(Duration::from_millis(3));
        metrics.store_failed();
        let text = metrics.to_text(&Registry::default());
        for line in [
            "telemetry_receiver_events_total{reason=\"begin\"} 1",
            "telemetry_receiver_events_total{reason=\"update\"} 0",
            "telemetry_receiver_events_total{reason=\"other\"} 2",
            "telemetry_receiver_repeated_events_total 1",
            "telemetry_receiver_rejected_requests_total{cause=\"checksum\"} 1",
            "telemetry_receiver_store_errors_total 1",
            "telemetry_receiver_ingest_duration_seconds_count 1",
            "telemetry_receiver_ingest_duration_seconds_bucket{le=\"0.005\"} 1",
            "# UNIT telemetry_receiver_ingest_duration_seconds seconds",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
