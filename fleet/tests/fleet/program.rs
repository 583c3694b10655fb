//! Starts the program, each time in a folder and an environment of its own.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use simulator::{Fleet, Sender};
use tempfile::TempDir;
use test_support::server;

pub(crate) use test_support::server::{LIMIT, Response, files_in, run, text};

/// The program without a login, to be run in `directory`.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = server::program(env!("CARGO_BIN_EXE_fleet"), "FLEET_", directory);
    command.env("FLEET_PASSWORD", "none");
    command
}

/// The program as a server that is ready, including its store.
pub(crate) struct Server(server::Server);

impl Server {
    pub(crate) fn start(command: Command) -> Self {
        let server = server::Server::start(command, "INF ready");
        server.wait_for_line(|line| line.starts_with("INF [receiver] ready on "), LIMIT);
        Self(server)
    }

    /// Starts it on SQLite, in a folder of its own.
    pub(crate) fn alone() -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        (Self::start(program(directory.path())), directory)
    }

    /// Posts the first event of a simulated instance and returns the status of the answer.
    #[track_caller]
    pub(crate) fn post_event(&self, path: &str, sender: &Sender) -> u16 {
        let delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
        let request = sender.request(&delivery, Timestamp::now());
        let headers: Vec<_> =
            request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        self.request("POST", path, &headers, str::from_utf8(&request.body).unwrap()).status
    }
}

/// Id of the instance whose event [`Server::post_event`] sends.
pub(crate) fn instance_of_events() -> String {
    let delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
    let request = plain().request(&delivery, Timestamp::now());
    let body = str::from_utf8(&request.body).unwrap();
    let id = body.split("\"instance_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
    id.unwrap().to_owned()
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

/// A sender without a secret and a token.
pub(crate) fn plain() -> Sender {
    Sender { speed: 1.0, token: None, secret: None }
}
