//! A server with telemetry embedded, as a process of its own: proxies are read from the environment, which is not a
//! test's to change, and a network is entered by a process.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use deployment_telemetry::{Product, Telemetry};
use test_support::Spawned;

use crate::host::{MemoryStore, SOON, block_on, build_info, wait_for_attempts};

/// The time limit of a stop, and what a busy machine adds.
const STOP_LIMIT: Duration = Duration::from_millis(5200);

/// What a server is started with.
pub(crate) struct Server {
    variables: Vec<(&'static str, String)>,
}

/// A server that has been started.
pub(crate) struct RunningServer(Spawned);

/// What became of its `begin`.
pub(crate) struct Begin {
    /// In the words of the log.
    pub(crate) outcome: String,
    pub(crate) duration: Duration,
}

impl Server {
    /// One that reports to `url`.
    pub(crate) fn to(url: impl Into<String>) -> Self {
        let mode = ("SIRVEO_TELEMETRY_MODE", "custom".to_owned());
        Self { variables: vec![mode, ("SIRVEO_TELEMETRY_URL", url.into())] }
    }

    /// The same with another variable.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The same with a `CA_FILE`.
    pub(crate) fn trusting(self, file: &Path) -> Self {
        self.with("SIRVEO_TELEMETRY_CA_FILE", file.to_str().unwrap())
    }

    /// Starts it.
    pub(crate) fn start(&self) -> RunningServer {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env_clear();
        self.start_by(command)
    }

    /// Starts it by a command that ends in this program, whose arguments are still missing.
    pub(crate) fn start_by(&self, mut command: Command) -> RunningServer {
        command.args(["--exact", "server::reports", "--ignored", "--nocapture"]);
        command.envs(self.variables.iter().cloned());
        RunningServer(Spawned::start(command))
    }
}

impl RunningServer {
    /// Its process.
    pub(crate) fn process(&self) -> &Spawned {
        &self.0
    }

    /// Waits until it has reported, and then stopped within its time limit.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Begin {
        let (duration, outcome) = self.measured("begin");
        let (stop, report) = self.measured("stop");
        assert!(stop <= STOP_LIMIT, "{stop:?}: {report}");
        // A thread that still waits for a resolver must not keep the process.
        assert!(self.0.wait_exit(Duration::from_secs(2)).success(), "{:#?}", self.0.output());
        Begin { outcome, duration }
    }

    /// What it printed as `LABEL took MILLISECONDS: TEXT`.
    fn measured(&self, label: &str) -> (Duration, String) {
        let label = format!("{label} took ");
        let line = self.0.wait_for_line(|line| line.contains(&label), SOON);
        let (milliseconds, text) = line.split_once(&label).unwrap().1.split_once(": ").unwrap();
        (Duration::from_millis(milliseconds.parse().unwrap()), text.to_owned())
    }
}

/// Runs all these servers at once; what became of each one's `begin` must read like this, to its end or up to a part
/// that differs from run to run.
#[track_caller]
pub(crate) fn assert_outcomes(expected: impl IntoIterator<Item = (Server, impl Into<String>)>) {
    let running: Vec<_> =
        expected.into_iter().map(|(server, words)| (server.start(), words.into())).collect();
    let mut different = Vec::new();
    for (server, words) in running {
        let outcome = server.finish().outcome;
        if !outcome.starts_with(&words) {
            different.push(format!("  expected {words}\n  but read {outcome}\n"));
        }
    }
    assert!(different.is_empty(), "\n{}", different.join("\n"));
}

#[test]
#[ignore = "the others run it, as a process of its own"]
fn reports() {
    tracing_subscriber::fmt().without_time().with_ansi(false).init();
    let telemetry =
        Telemetry::builder(Product::new("Sirveo"), build_info(), MemoryStore::new()).start().unwrap();
    let begin = wait_for_attempts(&telemetry, 1).attempts.pop_back().unwrap();
    println!("begin took {}: {}", begin.duration.as_millis(), begin.outcome);
    let asked = Instant::now();
    let report = block_on(telemetry.stop());
    println!("stop took {}: {report}", asked.elapsed().as_millis());
}
