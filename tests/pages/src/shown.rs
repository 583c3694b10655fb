//! Fleets whose pages are shown to the browser: by the program `fleet`, or by a receiver whose clock stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use actix_web::{App, HttpServer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deployment_telemetry::receiver::Receiver;
use jiff::{Timestamp, Unit};
use pages::Outcome;
use serde::Serialize;
use simulator::host::{self, Clock};
use tempfile::TempDir;
use test_support::server::{LIMIT, Server as Process, program};
use test_support::wait_until;
use uuid::Uuid;

use crate::past::{Event, Past, Server};
use crate::seed;

const USER: &str = "fleet";
const PASSWORD: &str = "correct horse battery";

/// Time within which a receiver has counted the past.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);

/// What the browser has to know of a fleet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    /// The address of the pages, with a slash at the end.
    pub(crate) url: String,
    user: &'static str,
    password: &'static str,
    /// The paths of the webhooks, one for each key.
    webhooks: Vec<String>,
    /// Ids of the servers by their names; those without a name by their ids.
    servers: BTreeMap<String, Uuid>,
    /// The request by which each of them begins again.
    begins: BTreeMap<String, Begin>,
}

/// A request that the browser sends as a server would.
#[derive(Clone, Debug, Serialize)]
struct Begin {
    /// Number of the key.
    key: usize,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Begin {
    fn of(server: &Server) -> Self {
        let Event { key, request, .. } = server.begins_again(Timestamp::now());
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Self { key, headers: request.headers, body }
    }
}

impl Shown {
    fn of(past: &Past, url: String, webhooks: Vec<String>) -> Self {
        let name = |server: &Server| server.name.clone().unwrap_or_else(|| server.id.to_string());
        let servers = past.servers.iter().map(|server| (name(server), server.id)).collect();
        // Those of a large fleet would be much to say.
        let begins = past.servers.iter().take(12).map(|server| (name(server), Begin::of(server))).collect();
        Self { url, user: USER, password: PASSWORD, webhooks, servers, begins }
    }
}

/// The program `fleet`, at work on a fleet with a past.
pub(crate) struct Running {
    pub(crate) shown: Shown,
    server: Process,
    folder: TempDir,
}

impl Running {
    /// Plays the past until now, and starts the program on it.
    pub(crate) async fn start(fleet: &Path, past: &Past) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        // Servers know the time to the second.
        let now = Timestamp::now().round(Unit::Second).map_err(|error| error.to_string())?;
        let webhooks = seed::play(past, folder.path(), now).await?;
        let server = serve(fleet, folder.path());
        let shown = Shown::of(past, url(&server), webhooks);
        let running = Self { shown, server, folder };
        running.wait_until_counted();
        running.send_what_is_refused(past);
        Ok(running)
    }

    fn wait_until_counted(&self) {
        wait_until("the past is counted", COUNTED_WITHIN, || {
            let headers = [&*authorization()];
            self.server.request("GET", "/api/adoption", &headers, "").body.contains("\"counted_on\":\"")
        });
    }

    /// Another program, on a copy of the store.
    pub(crate) fn copy(&self, fleet: &Path) -> Outcome<Self> {
        Ok(self.serve(fleet, self.copy_store()?))
    }

    /// Another program, on a copy of the store with so many times the servers.
    pub(crate) fn copy_times(&self, fleet: &Path, times: u16) -> Outcome<Self> {
        let folder = self.copy_store()?;
        seed::multiply(folder.path(), times)?;
        let running = self.serve(fleet, folder);
        running.wait_until_counted();
        Ok(running)
    }

    fn serve(&self, fleet: &Path, folder: TempDir) -> Self {
        let server = serve(fleet, folder.path());
        Self { shown: Shown { url: url(&server), ..self.shown.clone() }, server, folder }
    }

    fn copy_store(&self) -> Outcome<TempDir> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for file in fs::read_dir(self.folder.path()).map_err(|error| error.to_string())?.flatten() {
            fs::copy(file.path(), folder.path().join(file.file_name())).map_err(|error| error.to_string())?;
        }
        Ok(folder)
    }

    /// Sends events that the receiver refuses: these are kept by the process alone.
    fn send_what_is_refused(&self, past: &Past) {
        let Some(webhook) = self.shown.webhooks.first() else { return };
        let events = past.events(Timestamp::now());
        for event in events.iter().rev().take(12) {
            let body = String::from_utf8_lossy(&event.request.body).into_owned();
            for (headers, body) in [
                (&["Content-Type: application/json"][..], body.replace("\"reason\"", "\"treason\"")),
                (
                    &["Content-Type: application/json"],
                    body.replace("build_version\":\"", "build_version\":\"x"),
                ),
                (&["Content-Type: application/json", "telemetry-frequency: 1"], body.clone()),
            ] {
                let agent = event.request.headers.iter().find(|(name, _)| *name == "user-agent");
                let agent = format!("User-Agent: {}", agent.map_or("", |(_, agent)| agent));
                let headers: Vec<&str> = headers.iter().copied().chain([&*agent]).collect();
                self.server.request("POST", webhook, &headers, &body);
            }
        }
    }
}

fn authorization() -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn url(server: &Process) -> String {
    format!("http://{}/", server.address())
}

/// Starts the program on the store of a folder, and waits until it answers.
fn serve(fleet: &Path, folder: &Path) -> Process {
    let mut command = program(&fleet.display().to_string(), "FLEET_", folder);
    command.env("FLEET_DATA_DIR", folder).env("FLEET_PASSWORD", PASSWORD).env("FLEET_LOG_LEVEL", "INFO");
    let server = Process::start(command, "INF ready");
    server.wait_for_line(|line| line.starts_with("INF [receiver] ready on "), LIMIT);
    server
}

/// A receiver in this process whose clock stands, so that its pages are the same whenever they are looked at.
pub(crate) struct Standing {
    pub(crate) shown: Shown,
    receiver: Receiver,
    _folder: TempDir,
}

impl Standing {
    /// Plays the past until this moment, and shows it as it is then.
    pub(crate) async fn start(past: &Past, now: Timestamp) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let webhooks = seed::play(past, folder.path(), now).await?;
        let host = host::start(seed::store(folder.path()), Clock::at(now)).await?;
        while !host.get("/api/adoption").await?.is_some_and(|adoption| adoption["counted_on"].is_string()) {}
        let receiver = host.receiver.clone();
        let shown = receiver.clone();
        let app = move || App::new().configure(shown.webhooks()).configure(shown.fleet());
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0));
        let server = server.map_err(|error| error.to_string())?;
        let url = format!("http://{}/", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Ok(Self { shown: Shown::of(past, url, webhooks), receiver, _folder: folder })
    }

    pub(crate) async fn stop(self) {
        self.receiver.stop().await;
    }
}
