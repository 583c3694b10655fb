//! The watchdog: a plain thread beside the telemetry thread, because a frozen thread cannot report itself and a
//! stop must end in time without a runtime of the host.
//!
//! The watchdog gives the beat once a minute, reports a telemetry thread that does not answer it, and limits
//! the duration of a stop. It receives a [`Signal`] from the telemetry thread and from the handle, and sends a
//! [`Command`] to the supervisor.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::heartbeat::{report_frozen, report_thawed};
use super::outcome::{Delivered, StopReport};
use super::status::{Health, StatusBoard};
use crate::running::clock::Clock;

/// Command to the supervisor.
pub(crate) enum Command {
    /// A minute has passed: answer with [`Signal::Alive`] and tick the actors.
    Beat,
    /// The run ends: answer with the outcome of each destination's `end`.
    Stop { deadline: Instant, answer: Sender<Vec<Delivered>> },
}

/// Time limit of a stop (spec §7).
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Part of [`STOP_LIMIT`] that is reserved for the work around the requests.
const STOP_MARGIN: Duration = Duration::from_millis(200);

/// Signal to the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// From the telemetry thread: the answer to a beat.
    Alive,
    /// From the handle: stop the subsystem.
    Stop,
}

/// The watchdog and its connections.
pub(crate) struct Watchdog {
    pub(crate) signals: Receiver<Signal>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// Receives the report of the stop, once.
    pub(crate) report: watch::Sender<Option<StopReport>>,
    pub(crate) board: StatusBoard,
    pub(crate) clock: Clock,
    /// Time between two beats; `None` without an active destination, when no beat is needed.
    pub(crate) beat: Option<Duration>,
    /// Time that the telemetry thread has to answer a beat.
    pub(crate) patience: Duration,
}

/// State of the telemetry thread with regard to the beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    /// All beats are answered.
    Calm,
    /// The last beat is not answered yet.
    Awaited,
    /// The last beat was not answered in time.
    Frozen,
}

impl Watchdog {
    /// Watches until the handle stops the subsystem, then stops it and returns.
    pub(crate) fn watch(self) {
        const THREAD: &str = "telemetry thread";
        let mut pulse = Pulse::Calm;
        loop {
            let limit = match pulse {
                Pulse::Calm => self.beat.filter(|_| !self.commands.is_closed()),
                Pulse::Awaited => Some(self.patience),
                Pulse::Frozen => None,
            };
            let signal = match limit {
                Some(limit) => self.signals.recv_timeout(limit),
                None => self.signals.recv().map_err(RecvTimeoutError::from),
            };
            pulse = match (signal, pulse) {
                (Ok(Signal::Alive), Pulse::Frozen) => {
                    report_thawed(&self.board, THREAD);
                    Pulse::Calm
                }
                (Ok(Signal::Alive), _) => Pulse::Calm,
                (Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected), _) => break,
                (Err(RecvTimeoutError::Timeout), Pulse::Calm) => {
                    let _ = self.commands.send(Command::Beat);
                    Pulse::Awaited
                }
                (Err(RecvTimeoutError::Timeout), _) if self.commands.is_closed() => Pulse::Calm,
                (Err(RecvTimeoutError::Timeout), _) => {
                    report_frozen(&self.board, THREAD);
                    Pulse::Frozen
                }
            };
        }
        let report = self.stop();
        // The report comes before the log line: the log belongs to the host and may block.
        self.report.send_replace(Some(report.clone()));
        tracing::debug!("[telemetry] stopped: {report}");
    }

    /// Stops the subsystem, within [`STOP_LIMIT`] even if the telemetry thread does not respond.
    fn stop(&self) -> StopReport {
        let began = self.clock.monotonic();
        let (answer, answered) = channel();
        let deadline = began + STOP_LIMIT - STOP_MARGIN;
        let is_running = self.commands.send(Command::Stop { deadline, answer }).is_ok();
        let ends: Vec<Delivered> =
            if is_running { answered.recv_timeout(STOP_LIMIT).unwrap_or_default() } else { Vec::new() };
        let status = self.board.read();
        if status.health == Health::Running {
            self.board.update(|status| status.health = Health::Stopped);
        }
        StopReport {
            ends,
            was_running: is_running && status.health != Health::Down,
            took: self.clock.monotonic() - began,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::thread::JoinHandle;

    use super::*;
    use crate::running::log::Log;

    struct Scene {
        signals: Sender<Signal>,
        commands: mpsc::UnboundedReceiver<Command>,
        reported: watch::Receiver<Option<StopReport>>,
        board: StatusBoard,
        thread: JoinHandle<Vec<String>>,
    }

    fn start() -> Scene {
        let (signals, heard) = channel();
        let (commands, received) = mpsc::unbounded_channel();
        let (report, reported) = watch::channel(None);
        let board = StatusBoard::new();
        let watchdog = Watchdog {
            signals: heard,
            commands,
            report,
            board: board.clone(),
            clock: Clock::system(),
            beat: Some(Duration::from_millis(50)),
            patience: Duration::from_millis(50),
        };
        let thread = std::thread::spawn(move || {
            let log = Log::collect();
            watchdog.watch();
            log.lines()
        });
        Scene { signals, commands: received, reported, board, thread }
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_frozen_telemetry_thread_is_reported_once_and_so_is_its_recovery() {
        let scene = start();
        wait_until(|| scene.board.read().frozen.contains("telemetry thread"));
        scene.signals.send(Signal::Alive).unwrap();
        wait_until(|| scene.board.read().frozen.is_empty());
        scene.signals.send(Signal::Stop).unwrap();
        drop(scene.commands);
        let lines = scene.thread.join().unwrap();
        assert!(
            lines[0].starts_with("ERROR [telemetry] the telemetry thread has answered nothing"),
            "{lines:?}"
        );
        assert_eq!(lines[1], "INFO [telemetry] the telemetry thread answers again");
        assert!(scene.reported.borrow().as_ref().is_some_and(|report| report.ends.is_empty()));
    }

    #[test]
    fn beats_that_are_answered_cause_no_report() {
        let mut scene = start();
        for _ in 0..5 {
            assert!(matches!(scene.commands.blocking_recv(), Some(Command::Beat)));
            scene.signals.send(Signal::Alive).unwrap();
        }
        scene.signals.send(Signal::Stop).unwrap();
        drop(scene.commands);
        let lines = scene.thread.join().unwrap();
        assert!(lines.iter().all(|line| !line.contains("answered nothing")), "{lines:?}");
        assert!(scene.board.read().frozen.is_empty());
    }

    #[test]
    fn a_telemetry_thread_that_never_answers_the_stop_is_given_up_after_the_limit() {
        let scene = start();
        scene.signals.send(Signal::Stop).unwrap();
        let began = Clock::system().monotonic();
        scene.thread.join().unwrap();
        let took = began.elapsed();
        assert!((STOP_LIMIT..STOP_LIMIT * 2).contains(&took), "{took:?}");
        let report = scene.reported.borrow().clone().unwrap();
        assert!(report.ends.is_empty());
        assert_eq!(scene.board.read().health, Health::Stopped);
    }

    #[test]
    fn a_telemetry_thread_that_has_ended_is_reported_as_not_running() {
        let scene = start();
        drop(scene.commands);
        scene.signals.send(Signal::Stop).unwrap();
        scene.thread.join().unwrap();
        assert!(scene.reported.borrow().as_ref().is_some_and(|report| !report.was_running));
    }
}
