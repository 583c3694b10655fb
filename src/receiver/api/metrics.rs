//! The page that Prometheus reads (receiver §5). No label names an instance, so there are some hundred series however
//! large the fleet is.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::receiver::app::App;
use crate::receiver::health::{Health, HealthState};
use crate::receiver::http::route::Route;
use crate::receiver::metrics::{Labels, OTHER};
use crate::receiver::store::{Group, License, State, StoreError};
use crate::receiver::store_handle::QUERY_LIMIT;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Number of versions with a series of their own: those that most instances have.
const NAMED_VERSIONS: usize = 20;

/// Longest label of a version, in characters. A sender may call its version what it likes.
const LONGEST_VERSION: usize = 64;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/metrics").get(show).mount(config);
}

/// In the format OpenMetrics, or in Prometheus' own for a client that accepts only `text/plain`.
async fn show(app: Data<App>, request: HttpRequest) -> HttpResponse {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_plain = accepts.contains("text/plain") && !accepts.contains("application/openmetrics-text");
    // Without the store there still are the counters, which show that it is gone.
    let mut fleet = fleet(&app).await.unwrap_or_default();
    health(app.server.health.read(), &mut fleet);
    if let Some(difference) = app.clock.difference() {
        clock(difference.as_secs_f64(), &mut fleet);
    }
    let text = app.server.metrics.to_text(&fleet);
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

/// The gauges of the fleet, as the store and the receiver know it now.
async fn fleet(app: &App) -> Result<Registry, StoreError> {
    let tally = app.counts.tally().await?;
    let waiting_alerts =
        app.store.ask(QUERY_LIMIT, |store| async move { store.waiting_alerts().await }).await?;
    let mut registry = Registry::default();
    gauges(&tally.groups, &mut registry);
    let mut number = |name: &str, help: &str, value: i64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    number("telemetry_receiver_waiting_alerts", "Alerts that are not delivered yet", waiting_alerts);
    number(
        "telemetry_receiver_waiting_events",
        "Events that are neither stored nor turned away yet",
        i64::try_from(app.server.backlog.count()).unwrap_or(i64::MAX),
    );
    if let Some(at) = app.server.judged.borrow().at {
        number(
            "telemetry_receiver_judged_timestamp_seconds",
            "When this receiver last judged the fleet",
            at.as_second(),
        );
    }
    Ok(registry)
}

/// How far the machine's clock is ahead of the database's.
fn clock(difference: f64, registry: &mut Registry) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(difference);
    registry.register_with_unit(
        "telemetry_receiver_clock_difference",
        "How far the clock of this machine is ahead of the database's, by which receivers go",
        Unit::Seconds,
        gauge,
    );
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
    registry.register("telemetry_instances", "Instances by state and by their license", by_state(groups));
    registry.register(
        "telemetry_flagged_instances",
        "Instances that have not ended, by flag",
        by_flag(groups),
    );
    registry.register(
        "telemetry_version_instances",
        "Instances that have not ended, by version; the most frequent ones, and all others",
        by_version(groups),
    );
}

/// Every series is there from the start, so that a rule sees it fall to 0.
fn by_state(groups: &[Group]) -> Family<Labels<2>, Gauge> {
    let labels = |state: State, license: License| {
        [("state", state.as_str().to_owned()), ("license", license.as_str().to_owned())]
    };
    let instances = Family::<Labels<2>, Gauge>::default();
    for state in State::ALL {
        for license in License::ALL {
            drop(instances.get_or_create(&labels(state, license)));
        }
    }
    for group in groups {
        instances.get_or_create(&labels(group.state, group.license)).inc_by(group.count);
    }
    instances
}

fn not_ended(groups: &[Group]) -> impl Iterator<Item = &Group> {
    groups.iter().filter(|group| group.state != State::Ended)
}

fn by_flag(groups: &[Group]) -> Family<Labels<1>, Gauge> {
    let flagged = Family::<Labels<1>, Gauge>::default();
    for group in not_ended(groups) {
        for (flag, is_set) in [
            ("crashed", group.flags.crashed),
            ("several-runs", group.flags.several_runs),
            ("cloned", group.flags.cloned),
            ("restarting", group.flags.restarting),
            ("new", group.is_new),
        ] {
            flagged.get_or_create(&[("flag", flag.to_owned())]).inc_by(group.count * i64::from(is_set));
        }
    }
    flagged
}

fn by_version(groups: &[Group]) -> Family<Labels<1>, Gauge> {
    let mut counts = BTreeMap::<&str, i64>::new();
    for group in not_ended(groups) {
        *counts.entry(&group.build_version).or_default() += group.count;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| -count);
    let versions = Family::<Labels<1>, Gauge>::default();
    for (rank, (version, count)) in ranked.into_iter().enumerate() {
        let version: String = match rank < NAMED_VERSIONS {
            true => version.chars().take(LONGEST_VERSION).collect(),
            false => OTHER.to_owned(),
        };
        versions.get_or_create(&[("version", version)]).inc_by(count);
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::metrics::Metrics;
    use crate::receiver::store::Flags;

    fn group(state: State, version: &str, count: i64) -> Group {
        Group {
            state,
            license: if version == "stolen" { License::Invalid } else { License::Valid },
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
            "telemetry_instances{state=\"up\",license=\"none\"} 0",
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
    fn the_difference_of_the_clocks_is_a_gauge_in_seconds() {
        let mut registry = Registry::default();
        clock(-3_600.5, &mut registry);
        let text = Metrics::default().to_text(&registry);
        assert!(text.contains("telemetry_receiver_clock_difference_seconds -3600.5\n"), "{text}");
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
