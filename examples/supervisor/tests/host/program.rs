//! Starts the program, each time in a folder and an environment of its own.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use test_support::server;

pub(crate) use test_support::server::{LIMIT, files_in, run, text};

/// The program, to be run in `directory`.
pub(crate) fn program(directory: &Path) -> Command {
    server::program(env!("CARGO_BIN_EXE_supervisor"), "SIRVEO_", directory)
}

/// The program as a server that is ready.
pub(crate) struct Server(server::Server);

impl Server {
    pub(crate) fn start(command: Command) -> Self {
        Self(server::Server::start(command, "INF ready to flow 🟢"))
    }

    /// Waits until the store of its fleet is open.
    pub(crate) fn wait_for_store(&self) {
        self.wait_for_line(|line| line.starts_with("INF [receiver] ready on "), LIMIT);
    }

    /// Starts it with custom telemetry to `url`.
    pub(crate) fn reporting_to(url: &str) -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        let mut command = program(directory.path());
        command.env("SIRVEO_TELEMETRY_MODE", "custom").env("SIRVEO_TELEMETRY_URL", url);
        (Self::start(command), directory)
    }

    /// Status of its first destination.
    #[track_caller]
    pub(crate) fn destination(&self) -> Value {
        self.telemetry()["destinations"][0].clone()
    }

    /// Status of its own telemetry.
    #[track_caller]
    pub(crate) fn telemetry(&self) -> Value {
        self.get("/api/server").json()["telemetry"].clone()
    }

    /// Events that it received, newest first.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.get("/api/events").json()["events"].as_array().expect("a list of events").clone()
    }
}

impl Deref for Server {
    type Target = server::Server;

    fn deref(&self) -> &server::Server {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut server::Server {
        &mut self.0
    }
}

/// Bodies of requests, as JSON.
pub(crate) fn payloads(requests: &[test_support::ReceivedRequest]) -> Vec<Value> {
    requests.iter().map(|request| serde_json::from_slice(&request.body).expect("a payload is JSON")).collect()
}

/// Reasons of requests.
pub(crate) fn reasons(requests: &[test_support::ReceivedRequest]) -> Vec<String> {
    payloads(requests).iter().map(|payload| payload["reason"].as_str().unwrap().to_owned()).collect()
}
