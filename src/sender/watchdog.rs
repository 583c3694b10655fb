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

    use test_support::wait_until;

    use super::*;
    use crate::running::log::Log;

    struct Scene {
        signals: Sender<Signal>,
        commands: mpsc::UnboundedReceiver<Command>,
        reported: watch::Receiver<Option<StopReport>>,
        board: StatusBoard,
        thread: JoinHandle<Vec<String>>,
    }

    /// Bound of a wait for what must come true, however busy the machine is.
    const LIMIT: Duration = Duration::from_secs(60);

    fn start(patience: Duration) -> Scene {
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
            patience,
        };
        let thread = std::thread::spawn(move || {
            let log = Log::collect();
            watchdog.watch();
            log.lines()
        });
        Scene { signals, commands: received, reported, board, thread }
    }

    /// The lines of the log, once the watchdog has ended.
    fn lines(watchdog: JoinHandle<Vec<String>>) -> Vec<String> {
        wait_until("the watchdog has ended", LIMIT, || watchdog.is_finished());
        watchdog.join().unwrap()
    }

    #[test]
    fn a_frozen_telemetry_thread_is_reported_once_and_so_is_its_recovery() {
        let scene = start(Duration::from_millis(50));
        let frozen = || !scene.board.read().frozen.is_empty();
        wait_until("the silence is reported", LIMIT, frozen);
        assert!(scene.board.read().frozen.contains("telemetry thread"));
        // Again and again, for it freezes anew where nobody answers the next beat.
        wait_until("the return is reported", LIMIT, || {
            scene.signals.send(Signal::Alive).is_ok() && !frozen()
        });
        scene.signals.send(Signal::Stop).unwrap();
        drop(scene.commands);
        let lines = lines(scene.thread);
        assert!(
            lines[0].starts_with("ERROR [telemetry] the telemetry thread has not responded"),
            "{lines:?}"
        );
        assert_eq!(lines[1], "INFO [telemetry] the telemetry thread responds again");
        assert!(scene.reported.borrow().as_ref().is_some_and(|report| report.ends.is_empty()));
    }

    #[test]
    fn every_beat_is_given_and_one_that_is_answered_is_calm() {
        let mut scene = start(LIMIT);
        for _ in 0..5 {
            wait_until("a beat is given", LIMIT, || matches!(scene.commands.try_recv(), Ok(Command::Beat)));
            scene.signals.send(Signal::Alive).unwrap();
        }
        scene.signals.send(Signal::Stop).unwrap();
        drop(scene.commands);
        let lines = lines(scene.thread);
        assert!(lines.iter().all(|line| !line.contains("has not responded")), "{lines:?}");
        assert!(scene.board.read().frozen.is_empty());
    }

    #[test]
    fn a_telemetry_thread_that_never_answers_the_stop_is_given_up_in_time() {
        let scene = start(LIMIT);
        let began = Clock::system().monotonic();
        scene.signals.send(Signal::Stop).unwrap();
        lines(scene.thread);
        let took = began.elapsed();
        assert!((STOP_LIMIT..STOP_LIMIT * 3).contains(&took), "{took:?}");
        let report = scene.reported.borrow().clone().unwrap();
        assert!(report.ends.is_empty());
        assert_eq!(scene.board.read().health, Health::Stopped);
    }

    #[test]
    fn a_thread_that_is_gone_needs_no_stop() {
        let scene = start(LIMIT);
        drop(scene.commands);
        scene.signals.send(Signal::Stop).unwrap();
        lines(scene.thread);
        assert!(scene.reported.borrow().as_ref().is_some_and(|report| !report.was_running));
    }
}
