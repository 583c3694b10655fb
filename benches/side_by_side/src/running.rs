//! A host that runs, in a process of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use test_support::TestDatabase;

use crate::host::Host;
use crate::stopwatch::now;

/// Where hosts keep what they must know again.
pub(crate) struct State {
    database: TestDatabase,
    folder: TempDir,
}

/// Where hosts report to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) scheme: &'static str,
    pub(crate) address: SocketAddr,
}

/// Killed when dropped.
pub(crate) struct Running {
    child: Child,
}

impl State {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { database: TestDatabase::new(), folder }
    }

    /// What starts `host`. All have the same environment, of which each takes what concerns it; nothing of the caller's
    /// gets in, such as a proxy.
    fn command(&self, host: Host, to: Target) -> Command {
        let Target { scheme, address } = to;
        let mut command = Command::new(host.program());
        command
            .env_clear()
            .env("SIRVEO_TELEMETRY_MODE", "custom")
            .env("SIRVEO_TELEMETRY_URL", format!("{scheme}://{address}/events"))
            .env("TELEMETRY_URL", format!("{scheme}://{address}/events"))
            .env("SENTRY_DSN", format!("{scheme}://key@{address}/1"))
            .env("DATABASE_URL", self.database.url())
            .env("STATE_FILE", self.folder.path().join(host.package()));
        command
    }
}

impl Running {
    /// Starts `host`. Says too how long it took from there until it had answered its first request.
    pub(crate) fn start(host: Host, state: &State, to: Target) -> (Self, Duration) {
        let mut command = state.command(host, to);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut address = String::new();
        let mut output = BufReader::new(child.stdout.as_mut().expect("stdout is piped"));
        output.read_line(&mut address).expect("output can be read");
        let mut running = Self { child };
        let Ok(address) = address.trim_end().parse() else {
            panic!("{} does not start: {}", host.package(), running.last_words())
        };
        let answer = ask(address).expect("a host that listens answers");
        let took = began.elapsed();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{} answers: {answer}", host.package());
        (running, took)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long it takes from SIGTERM to its end; `None` where it has not ended within `limit`, and is killed.
    pub(crate) fn stop(mut self, limit: Duration) -> Option<Duration> {
        let id = Pid::from_raw(self.id().try_into().expect("a process id is positive"));
        let (status, took) = thread::scope(|scope| {
            let (sender, ended) = mpsc::channel();
            let child = &mut self.child;
            let began = now();
            kill(id, Signal::SIGTERM).expect("a child can be signalled");
            scope.spawn(move || sender.send((child.wait(), began.elapsed())));
            ended.recv_timeout(limit).ok().or_else(|| {
                kill(id, Signal::SIGKILL).expect("a child can be killed");
                None
            })
        })?;
        let status: ExitStatus = status.expect("a child can be waited for");
        assert!(status.success(), "a host ends with {status}: {}", self.last_words());
        Some(took)
    }

    fn last_words(&mut self) -> String {
        let mut words = String::new();
        let _ = self.child.stderr.as_mut().expect("stderr is piped").read_to_string(&mut words);
        words
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
