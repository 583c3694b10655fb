//! The program `fleet`, started and killed from outside, and the bare handler that it is compared with.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use test_support::programs::{self, Port};
use test_support::{Signal, Spawned};

use crate::{BARE, Outcome};

/// Time that a start may take, with a large margin for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Store of the events.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// URL of a database.
    Postgres(String),
    /// Folder of the database.
    Sqlite(PathBuf),
}

/// A receiver that listens on the same port after every start.
pub(crate) struct Receiver {
    program: PathBuf,
    store: Store,
    port: Port,
    process: Spawned,
    /// Path of the webhook, with the key.
    pub(crate) webhook: String,
}

impl Receiver {
    /// Creates a key and starts the program.
    pub(crate) fn start(program: &Path, store: Store) -> Outcome<Self> {
        let port = Port::reserve();
        let mut create = command(program, &store, &port);
        // A database that is given may have one of before.
        let name = format!("bench {:016x}", fastrand::u64(..));
        let created = create.args(["key", "create", &name, "--new-per-hour", "any"]).output();
        let webhook = created_webhook(&created.map_err(|error| format!("{}: {error}", program.display()))?)?;
        let process = serve(program, &store, &port);
        Ok(Self { program: program.to_owned(), store, port, process, webhook })
    }

    /// Creates another key, and returns the path of its webhook.
    pub(crate) fn another_key(&self, arguments: &[&str]) -> Outcome<String> {
        let mut create = command(&self.program, &self.store, &self.port);
        let created = create.args(["key", "create"]).args(arguments).output();
        created_webhook(&created.map_err(|error| format!("{}: {error}", self.program.display()))?)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port.number()).into()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait_exit(PATIENCE);
    }

    /// Starts it again after a [`kill`](Self::kill).
    pub(crate) fn start_again(&mut self) {
        self.process = serve(&self.program, &self.store, &self.port);
    }

    /// Whether the program still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        !self.process.has_ended()
    }

    /// Stops the program. An error has its last output.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait_exit(PATIENCE);
        match status.success() {
            true => Ok(()),
            false => Err(format!("the receiver ended with {status}: {}", self.last_lines())),
        }
    }

    /// Last lines of the output.
    pub(crate) fn last_lines(&self) -> String {
        let output = self.process.output();
        output[output.len().saturating_sub(5)..].join(" / ")
    }
}

/// The bare handler, in a process of its own.
pub(crate) struct Bare {
    _process: Spawned,
    pub(crate) address: SocketAddr,
}

impl Bare {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env::current_exe().expect("the file of this program is known"));
        command.arg(BARE);
        let process = Spawned::start(command);
        let address = listening_address(&process);
        Self { _process: process, address }
    }
}

/// Builds the program `fleet` with the profile of this program.
pub(crate) fn build() -> Outcome<PathBuf> {
    programs::of_workspace("fleet")
}

fn command(program: &Path, store: &Store, port: &Port) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("FLEET_") {
            command.env_remove(name);
        }
    }
    command.env("FLEET_LISTEN", format!("127.0.0.1:{}", port.number())).env("FLEET_PASSWORD", "none");
    match store {
        Store::Postgres(url) => command.env("FLEET_DATABASE_URL", url),
        Store::Sqlite(folder) => command.env("FLEET_DATA_DIR", folder),
    };
    command
}

fn serve(program: &Path, store: &Store, port: &Port) -> Spawned {
    let mut command = command(program, store, port);
    command.arg("serve");
    let process = Spawned::start(command);
    listening_address(&process);
    process
}

fn listening_address(process: &Spawned) -> SocketAddr {
    const LISTENING: &str = "listening on http://";
    let line = process.wait_for_line(|line| line.contains(LISTENING), PATIENCE);
    let address = line.split(LISTENING).nth(1).and_then(|rest| rest.split_whitespace().next());
    address.and_then(|address| address.parse().ok()).expect("the program prints its address")
}

fn created_webhook(created: &Output) -> Outcome<String> {
    let printed = String::from_utf8_lossy(&created.stdout);
    webhook(&printed).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&created.stderr);
        format!("`fleet key create` printed no path: {printed}{errors}")
    })
}

/// Path of the webhook in the output of `fleet key create`.
fn webhook(printed: &str) -> Option<String> {
    let from = printed.find("webhooks/")?;
    let path = printed[from..].split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).next()?;
    Some(format!("/{path}"))
}
