//! A host in the tests: what it builds, and a store of its own.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deployment_telemetry::{
    BuildInfo, Config, DestinationStatus, Product, StateError, StateStore, Status, Telemetry,
    TelemetryBuilder,
};
use test_support::becomes_true;

pub const INSTANCE_ID: &str = "4915a241-ba4e-4d2c-8f6e-0123456789ab";

/// Bound of a wait for a condition that must come true, however busy the machine is.
pub const SOON: Duration = Duration::from_secs(60);

/// Bound of a stop, which takes 5 seconds at most, with room for a machine that is busy; the figure itself is measured
/// by `tests/reliability`.
pub const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A store in memory: how a host with another database would write one.
#[derive(Clone)]
pub struct MemoryStore(Arc<Mutex<Option<String>>>);

impl MemoryStore {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(format!("\"{INSTANCE_ID}\"")))))
    }
}

impl StateStore for MemoryStore {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn replace(&self, _: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        let mut row = self.0.lock().unwrap();
        let is_as_expected = row.as_deref() == expected;
        if is_as_expected {
            *row = Some(value.to_owned());
        }
        Ok(is_as_expected)
    }

    /// Tests block the thread of their runtime.
    fn needs_host_runtime(&self) -> bool {
        false
    }
}

pub fn build_info() -> BuildInfo {
    BuildInfo::new("0.1.0")
        .with_commit("4379644")
        .with_time("2024-02-16T23:06:23+02:00")
        .with_mode("licenced")
}

/// A builder on `store`, which sends to nobody yet.
pub fn on(store: impl StateStore) -> TelemetryBuilder {
    Telemetry::builder(Product::new("Sirveo"), build_info(), store).config(Config::default())
}

/// To `url`, whatever proxy the environment names.
pub fn custom(url: &str) -> Config {
    Config::custom(url).no_proxy("*")
}

pub fn both(url: &str) -> Config {
    custom(url).mode("both")
}

/// Waits until the status is as it should be.
#[track_caller]
pub fn wait_for(telemetry: &Telemetry, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let mut status = telemetry.status();
    let came = becomes_true(SOON, || {
        status = telemetry.status();
        is_so(&status)
    });
    assert!(came, "not within {SOON:?}: {what}: {status:#?}");
    status
}

/// Waits until so many events went through, well or not.
#[track_caller]
pub fn wait_for_attempts(telemetry: &Telemetry, count: usize) -> DestinationStatus {
    let status = wait_for(telemetry, &format!("{count} attempts"), |status| {
        status.destinations.iter().all(|destination| destination.attempts.len() >= count)
    });
    status.destinations[0].clone()
}

/// Runs a future of the handle; it needs no runtime of any kind.
pub fn block_on<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}
