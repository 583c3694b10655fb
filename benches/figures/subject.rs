//! What is measured: a telemetry, as a host puts it together.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use deployment_telemetry::{
    BuildInfo, Config, License, Product, StateError, StateStore, StopReport, Telemetry, TelemetryBuilder,
    Vendor,
};
use test_support::wait_until;

/// A license key of a usual length.
pub(crate) const KEY: &str = "6e1fe3b8-9c52-4cf6-bd42-1d0a7a3e4a58";

/// A stored instance id, as the store writes it.
const STORED_ID: &str = "\"7229a017-1f0a-4d8e-9d4a-0d5c7c5e1a11\"";

/// Far more than anything here takes that works at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A store that answers at once, for figures in which no database has a part.
pub(crate) struct MemoryStore;

impl StateStore for MemoryStore {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        Ok(Some(STORED_ID.to_owned()))
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StateError> {
        Ok(true)
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}

/// The build that every payload here reports.
pub(crate) fn build_info() -> BuildInfo {
    BuildInfo::new("0.1.0")
        .with_commit("4379644")
        .with_time("2024-02-16T23:06:23+02:00")
        .with_mode("licenced")
}

/// A telemetry with a license; its settings are the environment's.
pub(crate) fn telemetry(store: impl StateStore) -> TelemetryBuilder {
    Telemetry::builder(Product::new("Sirveo"), build_info(), store).license(license(true))
}

/// The license, with its key.
pub(crate) fn license(valid: bool) -> License {
    License::new(Some(KEY.into()), valid)
}

/// Starts a telemetry in the mode `custom`.
pub(crate) fn start_custom(store: impl StateStore, url: &str) -> Telemetry {
    telemetry(store).config(config("custom", url)).start().expect("the settings are good")
}

/// Starts a telemetry in the mode `both`.
pub(crate) fn start_both(custom: &str, vendor: &str) -> Telemetry {
    let telemetry = telemetry(MemoryStore).config(config("both", custom)).vendor(Vendor::new(vendor));
    telemetry.start().expect("the settings are good")
}

fn config(mode: &str, url: &str) -> Config {
    Config::custom(url).mode(mode)
}

/// Waits until each destination has taken its `begin`.
pub(crate) fn wait_for_begin(telemetry: &Telemetry) {
    wait_until("begin is sent everywhere", PATIENCE, || {
        telemetry.status().destinations.iter().all(|destination| destination.sent > 0)
    });
}

/// This very program.
pub(crate) fn this_program() -> PathBuf {
    env::current_exe().expect("a program knows its own path")
}

/// Takes away what of the caller's environment would change the telemetry of `command`.
pub(crate) fn clear_environment(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.ends_with("_PROXY") || text.starts_with("SIRVEO_") || text == "DO_NOT_TRACK" {
            command.env_remove(&name);
        }
    }
}

/// Ends a telemetry as a host does, and says how it went.
pub(crate) fn stop(telemetry: &Telemetry) -> StopReport {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime can be made").block_on(telemetry.stop())
}
