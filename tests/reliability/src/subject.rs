//! A host as the trials see it: started, watched, commanded and ended from outside.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use test_support::{Signal, Spawned, becomes_true, wait_until};

use crate::procfs::hears_sigterm;
use crate::pulse::Pulse;
use crate::trial::{Context, Outcome, ensure};
use crate::{HOST, host, http, procfs, secrets};

/// Far more than anything takes that works at all, on a machine on which much else is tried.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// For the whole of a stop, with the room that is left for a busy machine.
pub(crate) const STOP_LIMIT: Duration = Duration::from_millis(5_200);

/// What a host is started with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    variables: BTreeMap<String, String>,
    /// A shell script that arranges the mounts of the host, which are its own then.
    mounts: Option<String>,
}

impl Settings {
    /// Without telemetry.
    pub(crate) fn bare() -> Self {
        Self { variables: BTreeMap::new(), mounts: None }
    }

    /// Telemetry to a place of the operator's, with every secret it can have, on a store in memory. The
    /// token and the user part of the URL exclude each other.
    pub(crate) fn custom(scheme: &str, authority: &str, has_token: bool) -> Self {
        let encode =
            |secret: secrets::Secret| utf8_percent_encode(secret.value, NON_ALPHANUMERIC).to_string();
        let user = match has_token {
            true => String::new(),
            false => format!("{}:{}@", encode(secrets::URL_USER), encode(secrets::URL_PASSWORD)),
        };
        let url = format!(
            "{scheme}://{user}{authority}/hooks/{}?key={}",
            secrets::PATH_KEY.value,
            secrets::QUERY.value
        );
        let mut settings = Self::bare()
            .with(host::STORE, host::MEMORY)
            .with(host::LICENSE, secrets::LICENSE.value)
            .with("SIRVEO_TELEMETRY_MODE", "custom")
            .with("SIRVEO_TELEMETRY_URL", url)
            .with("SIRVEO_TELEMETRY_SIGNING_SECRET", format!("whsec_{}", secrets::SIGNING.value));
        if has_token {
            settings = settings.with("SIRVEO_TELEMETRY_AUTH", secrets::TOKEN.value);
        }
        settings
    }

    /// With a variable set.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// With mounts of its own, which this script arranges.
    pub(crate) fn in_mounts(mut self, script: impl Into<String>) -> Self {
        self.mounts = Some(script.into());
        self
    }

    /// Starts the host and waits for nothing. It has the variables that are named here and no other.
    pub(crate) fn spawn(&self) -> Spawned {
        let program = this_program();
        let mut command = match &self.mounts {
            None => Command::new(program),
            Some(script) => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-ec", &format!("{script}\nexec \"$0\" \"$@\"")]).arg(program);
                command
            }
        };
        command
            .arg(HOST)
            .env_clear()
            .envs(&self.variables)
            .env("PATH", env::var_os("PATH").unwrap_or_default());
        Spawned::start(command)
    }

    /// Starts the host and waits until it serves.
    pub(crate) fn start<'a>(&self, context: &'a Context) -> Subject<'a> {
        self.start_within(context, PATIENCE)
    }

    /// The same, with this much patience.
    pub(crate) fn start_within<'a>(&self, context: &'a Context, patience: Duration) -> Subject<'a> {
        let process = self.spawn();
        let line = process.wait_for_line(|line| line.starts_with(host::LISTENING), patience);
        let address = line[host::LISTENING.len()..].parse().expect("the host says its address");
        http::ask(address, "GET", "/healthz", patience).expect("a host that listens answers");
        // Its workers may answer a moment before it hears signals.
        wait_until("the host hears SIGTERM", patience, || hears_sigterm(process.id()));
        Subject { context, process, address }
    }
}

fn this_program() -> PathBuf {
    env::current_exe().expect("a program knows its own path")
}

/// A host that serves.
pub(crate) struct Subject<'a> {
    context: &'a Context,
    pub(crate) process: Spawned,
    pub(crate) address: SocketAddr,
}

/// What a host left behind.
pub(crate) struct Ended {
    /// How long its telemetry took to stop.
    pub(crate) stop: Duration,
    /// All that it printed.
    pub(crate) lines: Vec<String>,
    /// The status of its telemetry after all.
    pub(crate) status: Value,
}

impl Subject<'_> {
    /// Gives an order; the answer comes when it is carried out.
    pub(crate) fn order(&self, path: &str) -> Outcome {
        http::ask(self.address, "POST", path, PATIENCE).map_err(|error| format!("{path}: {error}"))
    }

    /// What the telemetry says of itself.
    pub(crate) fn status(&self) -> Outcome<Value> {
        let status = http::ask(self.address, "GET", "/status", PATIENCE);
        status
            .and_then(|status| serde_json::from_str(&status).map_err(io::Error::other))
            .map_err(|e| e.to_string())
    }

    /// Waits until the status is as it should be.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Outcome<Value> {
        let mut last: Outcome<Value> = Err("no status".to_owned());
        let came = becomes_true(within, || {
            last = self.status();
            last.as_ref().is_ok_and(&is_so)
        });
        ensure(came, || format!("not within {} s: {what}; {}", within.as_secs(), summary(&last)))?;
        last
    }

    /// Waits until so many events were taken by the destination.
    pub(crate) fn wait_for_sent(&self, count: u64, within: Duration) -> Outcome<Value> {
        self.wait_for(&format!("{count} events are taken"), within, |status| sent(status) >= count)
    }

    /// Waits until an event with this reason went through, well or not.
    pub(crate) fn wait_for_attempt(&self, reason: &str, within: Duration) -> Outcome<Value> {
        self.wait_for(&format!("an attempt at {reason}"), within, |status| {
            status["destinations"][0]["attempts"][0]["reason"] == reason
        })
    }

    /// Waits until it has printed so many lines with this in them.
    pub(crate) fn wait_for_lines(&self, text: &str, count: usize, within: Duration) {
        let seen = Cell::new(0);
        let is_last = |line: &str| {
            seen.set(seen.get() + usize::from(line.contains(text)));
            seen.get() == count
        };
        self.process.wait_for_line(is_last, within);
    }

    /// Asks for its health all the time, until told to stop.
    pub(crate) fn pulse(&self) -> Pulse {
        Pulse::of(self.address)
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        procfs::threads(self.process.id())
    }

    /// Ends it as a service manager does. It must exit with 0, and its telemetry must stop in time.
    pub(crate) fn end(mut self) -> Outcome<Ended> {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait_exit(PATIENCE);
        let lines = self.process.output();
        ensure(status.success(), || format!("it ended with {status}: {}", last_words(&lines)))?;
        let said = |prefix: &str| lines.iter().rev().find_map(|line| line.strip_prefix(prefix));
        let stops: Vec<Duration> =
            lines.iter().filter_map(|line| line.strip_prefix(host::STOPPED)).map(micros).collect();
        let stop = stops.into_iter().max().ok_or("it did not stop its telemetry")?;
        ensure(stop <= STOP_LIMIT, || format!("the stop took {stop:?}"))?;
        let status = said(host::LAST_STATUS).and_then(|status| serde_json::from_str(status).ok());
        Ok(Ended { stop, status: status.ok_or("no last status")?, lines })
    }

    /// The same for a host that may have no telemetry: whether it exited with 0, and all that it printed.
    pub(crate) fn end_without_telemetry(mut self) -> Outcome<(bool, Vec<String>)> {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait_exit(PATIENCE);
        Ok((status.success(), self.process.output()))
    }
}

impl Drop for Subject<'_> {
    fn drop(&mut self) {
        self.context.search.look_through(&self.process.output());
    }
}

impl Ended {
    /// The outcome in the log of the last attempt with this reason, such as `status=200` or `cause=dns`.
    pub(crate) fn outcome(&self, reason: &str) -> Option<&str> {
        let found = |line: &&String| line.contains("[telemetry:custom]") && is_attempt(line, reason);
        self.lines.iter().rev().find(found)?.split(&format!(" reason={reason} ")).nth(1)?.split(' ').next()
    }

    /// How many lines contain this.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(text)).count()
    }
}

fn is_attempt(line: &str, reason: &str) -> bool {
    line.contains(&format!(" sent reason={reason} ")) || line.contains(&format!(" failed reason={reason} "))
}

/// What a failure is to be understood from.
fn summary(status: &Outcome<Value>) -> String {
    match status {
        Err(error) => error.clone(),
        Ok(status) => {
            let attempts = status["destinations"][0]["attempts"].as_array();
            let last = attempts.and_then(|attempts| attempts.first()).map(Value::to_string);
            format!(
                "health {}, panics {}, {} sent, instance id {}, {} attempts, the last {}",
                status["health"],
                status["panics"],
                sent(status),
                status["instance_id"],
                attempts.map_or(0, Vec::len),
                last.unwrap_or_default()
            )
        }
    }
}

/// How many events the destination took, as the status has it.
pub(crate) fn sent(status: &Value) -> u64 {
    status["destinations"][0]["sent"].as_u64().unwrap_or_default()
}

fn micros(text: &str) -> Duration {
    Duration::from_micros(text.parse().expect("the host prints a number"))
}

fn last_words(lines: &[String]) -> String {
    let words = lines[lines.len().saturating_sub(3)..].join(" / ");
    words.chars().take(400).collect()
}
