//! A program under observation.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

pub use nix::sys::signal::Signal;
use nix::{sys::signal::kill, unistd::Pid};

use crate::{children, wait::becomes_true};

/// How long the last lines may take after the program's end: a child of its own may hold the pipes for ever.
const LAST_LINES: Duration = Duration::from_secs(5);

/// A running program and what it has printed, both streams together. Killed when dropped.
pub struct Spawned {
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    open_streams: usize,
}

impl Spawned {
    /// Starts `command` without input, and with the default handling of signals.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = children::spawn(&mut command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Output::default());
        output.lock().open_streams = 2;
        output.collect(child.stdout.take().expect("stdout is piped"));
        output.collect(child.stderr.take().expect("stderr is piped"));
        Self { child, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far.
    pub fn output(&self) -> Vec<String> {
        self.output.lock().lines.clone()
    }

    /// The first line, past or to come, for which `wanted` holds.
    ///
    /// # Panics
    /// When there is none within that time, or the program has closed its output without it.
    #[track_caller]
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, within: Duration) -> String {
        let deadline = Instant::now() + within;
        let mut state = self.output.lock();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| wanted(line)) {
                return line.clone();
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.open_streams == 0 {
                let all = state.lines.join("\n");
                drop(state);
                panic!("no such line within {within:?}; all there is:\n{all}");
            }
            state = self.output.changed.wait_timeout(state, left).expect("no reader panics").0;
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal; nothing happens where it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let id = self.id().try_into().expect("a process id is positive");
            kill(Pid::from_raw(id), signal).expect("a child can be signalled");
        }
    }

    /// Waits until it has ended; then [`output`](Self::output) has all it printed.
    ///
    /// # Panics
    /// When it does not end within that time.
    #[track_caller]
    pub fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let mut status = None;
        becomes_true(within, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        let Some(status) = status else {
            panic!("still running after {within:?}; its output:\n{}", self.output().join("\n"));
        };
        becomes_true(LAST_LINES, || self.output.lock().open_streams == 0);
        status
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no reader panics")
    }

    fn collect(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = Arc::clone(self);
        thread::Builder::new()
            .name("test-output".into())
            .spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    output.lock().lines.push(text);
                    output.changed.notify_all();
                    line.clear();
                }
                output.lock().open_streams -= 1;
                output.changed.notify_all();
            })
            .expect("a thread can be started");
    }
}
