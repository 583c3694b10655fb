//! What the receiver counts, and the page that Prometheus reads (receiver §5). No label names an instance, so there are
//! some hundred series however large the fleet is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::health::{Health, HealthState};
use super::http::route::Route;
use super::shared::Shared;
use super::store::{Group, State, StoreError};
use crate::wire::payload::Reason;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// So many versions get a series of their own, those that most instances have.
const NAMED_VERSIONS: usize = 20;
const OTHER: &str = "other";
/// In characters; a sender may call its version what it likes.
const LONGEST_VERSION: usize = 64;

type Labels<const N: usize> = [(&'static str, String); N];

/// Counters that every thread may move. Clones move the same ones.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    events: Family<Labels<1>, Counter>,
    /// Those of `events`, in the order of [`Reason::ALL`], then [`OTHER`].
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

    /// All of it as OpenMetrics writes it, with what is true of the fleet now.
    fn to_text(&self, fleet: &Registry) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, fleet))
            .and_then(|()| encode_eof(&mut text))
            .expect("memory takes what is written to it");
        text
    }
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/metrics").get(show).mount(config);
}

/// As OpenMetrics, or, for what names only `text/plain`, as Prometheus writes it by itself.
async fn show(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_plain = accepts.contains("text/plain") && !accepts.contains("application/openmetrics-text");
    // Without the store there still are the counters, which tell that it is gone.
    let mut fleet = fleet(&shared).await.unwrap_or_default();
    health(shared.health.read(), &mut fleet);
    let text = shared.metrics.to_text(&fleet);
    let (content_type, text) = if is_plain { (PLAIN, to_plain(&text)) } else { (OPEN_METRICS, text) };
    HttpResponse::Ok().content_type(content_type).body(text)
}

/// The format before OpenMetrics gives the family of a counter the name of its series, and knows no units and no end.
fn to_plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|family| family.split_once(' '))
        {
            let counter = if kind == "counter" { "_total" } else { "" };
            if let Some(said) = help.take().and_then(|help| help.strip_prefix("# HELP ")?.strip_prefix(name))
            {
                plain += &format!("# HELP {name}{counter}{said}\n");
            }
            plain += &format!("# TYPE {name}{counter} {kind}\n");
        } else if !line.starts_with('#') {
            plain += line;
            plain.push('\n');
        }
    }
    plain
}

/// What is asked of the store whenever somebody looks.
async fn fleet(shared: &Shared) -> Result<Registry, StoreError> {
    let (groups, _) = shared.counts.ask(shared).await?;
    let waiting_alerts = shared.ask(|store| async move { store.waiting_alerts().await }).await?;
    let mut registry = Registry::default();
    gauges(&groups, &mut registry);
    let mut number = |name: &str, help: &str, value: i64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    number("telemetry_receiver_waiting_alerts", "Alerts that are not delivered yet", waiting_alerts);
    number(
        "telemetry_receiver_waiting_events",
        "Events that are neither stored nor turned away yet",
        i64::try_from(shared.backlog.count()).unwrap_or(i64::MAX),
    );
    if let Some(at) = shared.judged.borrow().at {
        number(
            "telemetry_receiver_judged_timestamp_seconds",
            "When this receiver last judged the fleet",
            at.as_second(),
        );
    }
    Ok(registry)
}

/// One series for each state, of which one is 1.
fn health(health: Health, registry: &mut Registry) {
    let states = Family::<Labels<1>, Gauge>::default();
    for state in HealthState::ALL {
        let labels = [("state", state.as_str().to_owned())];
        states.get_or_create(&labels).set((state == health.state).into());
    }
    registry.register("telemetry_receiver_health", "Whether this receiver does its work", states);
    let panics = Counter::<u64>::default();
    panics.inc_by(health.panics);
    registry.register(
        "telemetry_receiver_panics",
        "Panics of this receiver's actors that were contained",
        panics,
    );
}

fn gauges(groups: &[Group], registry: &mut Registry) {
    let instances = Family::<Labels<2>, Gauge>::default();
    for state in State::ALL {
        for license in ["valid", "invalid"] {
            let labels = [("state", state.as_str().to_owned()), ("license", license.to_owned())];
            drop(instances.get_or_create(&labels));
        }
    }
    let flagged = Family::<Labels<1>, Gauge>::default();
    let mut by_version = BTreeMap::<&str, i64>::new();
    for group in groups {
        let license = if group.license_valid { "valid" } else { "invalid" };
        instances
            .get_or_create(&[("state", group.state.as_str().to_owned()), ("license", license.to_owned())])
            .inc_by(group.count);
        if group.state == State::Ended {
            continue;
        }
        *by_version.entry(&group.build_version).or_default() += group.count;
        for (flag, is_set) in [
            ("crashed", group.flags.crashed),
            ("several-runs", group.flags.several_runs),
            ("restarting", group.flags.restarting),
            ("new", group.is_new),
        ] {
            flagged.get_or_create(&[("flag", flag.to_owned())]).inc_by(group.count * i64::from(is_set));
        }
    }
    let mut ranked: Vec<_> = by_version.into_iter().collect();
    ranked.sort_by_key(|(_, count)| -count);
    let versions = Family::<Labels<1>, Gauge>::default();
    for (rank, (version, count)) in ranked.into_iter().enumerate() {
        let version: String = match rank < NAMED_VERSIONS {
            true => version.chars().take(LONGEST_VERSION).collect(),
            false => OTHER.to_owned(),
        };
        versions.get_or_create(&[("version", version)]).inc_by(count);
    }
    registry.register("telemetry_instances", "Instances by state and by their license", instances);
    registry.register("telemetry_flagged_instances", "Instances that have not ended, by flag", flagged);
    registry.register(
        "telemetry_version_instances",
        "Instances that have not ended, by version; the most frequent ones, and all others",
        versions,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::Flags;

    fn group(state: State, version: &str, count: i64) -> Group {
        Group {
            state,
            license_valid: version != "stolen",
            flags: Flags { restarting: version == "stolen", ..Flags::default() },
            is_new: false,
            build_version: version.to_owned(),
            count,
        }
    }

    fn text_of(groups: &[Group]) -> String {
        let mut registry = Registry::default();
        gauges(groups, &mut registry);
        Metrics::default().to_text(&registry)
    }

    #[test]
    fn the_fleet_is_counted_by_state_license_flag_and_version() {
        let text = text_of(&[
            group(State::Up, "1.0", 7),
            group(State::Down, "1.0", 2),
            group(State::Up, "stolen", 3),
            group(State::Ended, "1.0", 100),
        ]);
        for line in [
            "telemetry_instances{state=\"up\",license=\"valid\"} 7",
            "telemetry_instances{state=\"up\",license=\"invalid\"} 3",
            "telemetry_instances{state=\"late\",license=\"valid\"} 0",
            "telemetry_instances{state=\"ended\",license=\"valid\"} 100",
            "telemetry_flagged_instances{flag=\"restarting\"} 3",
            "telemetry_flagged_instances{flag=\"crashed\"} 0",
            "telemetry_version_instances{version=\"1.0\"} 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn there_is_a_bound_on_the_versions_and_they_are_escaped() {
        let mut groups: Vec<_> = (0..1000).map(|n| group(State::Up, &format!("v{n}"), 1)).collect();
        groups.push(group(State::Up, &("\"\n\\".to_owned() + &"x".repeat(5000)), 2));
        groups.push(group(State::Up, OTHER, 5));
        let text = text_of(&groups);
        let series: Vec<_> =
            text.lines().filter(|line| line.starts_with("telemetry_version_instances{")).collect();
        assert_eq!(series.len(), NAMED_VERSIONS, "{series:?}");
        assert!(series.iter().all(|line| line.len() < 120), "{series:?}");
        assert!(series.contains(&"telemetry_version_instances{version=\"other\"} 987"), "{series:?}");
    }

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

    #[test]
    fn the_plain_format_has_the_same_series_under_names_of_its_own() {
        let metrics = Metrics::default();
        metrics.rejected("checksum");
        let text = metrics.to_text(&Registry::default());
        let plain = to_plain(&text);
        assert!(plain.contains("# HELP telemetry_receiver_repeated_events_total Events that"), "{plain}");
        assert!(plain.contains("# TYPE telemetry_receiver_repeated_events_total counter\n"), "{plain}");
        assert!(plain.contains("# TYPE telemetry_receiver_ingest_duration_seconds histogram\n"), "{plain}");
        let series = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(series(&text), series(&plain));
        assert!(!plain.contains("# EOF") && !plain.contains("# UNIT"));
    }
}
