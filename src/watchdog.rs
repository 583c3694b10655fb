//! The watchdog is a thread beside the telemetry thread: it notices when that one answers nothing,
//! and ends it within its time however it fares, without a runtime of the host.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::outcome::Delivered;
use crate::status::{Health, StatusBoard};
use crate::supervisor::Command;
use crate::telemetry::StopReport;
use crate::watch::{ONE_MINUTE, PATIENCE, report_frozen, report_thawed};

/// For the whole of a stop, spec §7.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Of that, what is kept back for everything around the requests.
const STOP_MARGIN: Duration = Duration::from_millis(100);

/// What the watchdog hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// From the telemetry thread, once a minute.
    Alive,
    /// From the handle: the run ends.
    Stop,
}

pub(crate) struct Watchdog {
    pub(crate) signs: Receiver<Sign>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) report: watch::Sender<Option<StopReport>>,
    pub(crate) board: StatusBoard,
    pub(crate) clock: Clock,
    /// How long the telemetry thread may be silent; `None` for a disabled one, which sleeps.
    pub(crate) longest_silence: Option<Duration>,
}

/// The telemetry thread gives a sign of life each minute.
pub(crate) const LONGEST_SILENCE: Duration = ONE_MINUTE.saturating_add(PATIENCE);

impl Watchdog {
    /// Returns when the run has ended.
    pub(crate) fn watch(self) {
        const THREAD: &str = "telemetry thread";
        let mut is_frozen = false;
        loop {
            let limit = self.longest_silence.filter(|_| !is_frozen && !self.commands.is_closed());
            let sign = match limit {
                Some(limit) => self.signs.recv_timeout(limit),
                None => self.signs.recv().map_err(RecvTimeoutError::from),
            };
            match sign {
                Ok(Sign::Alive) if is_frozen => {
                    is_frozen = false;
                    report_thawed(&self.board, THREAD);
                }
                Ok(Sign::Alive) => {}
                Err(RecvTimeoutError::Timeout) if self.commands.is_closed() => {}
                Err(RecvTimeoutError::Timeout) => {
                    is_frozen = true;
                    report_frozen(&self.board, THREAD);
                }
                Ok(Sign::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let report = self.stop();
        tracing::debug!("[telemetry] stopped: {report}");
        self.report.send_replace(Some(report));
    }

    fn stop(&self) -> StopReport {
        let began = self.clock.monotonic();
        let (answer, answered) = channel();
        let deadline = began + STOP_LIMIT - STOP_MARGIN;
        let is_running = self.commands.try_send(Command::Stop { deadline, answer }).is_ok();
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
    use crate::fakes::Log;

    struct Scene {
        signs: Sender<Sign>,
        commands: mpsc::Receiver<Command>,
        reported: watch::Receiver<Option<StopReport>>,
        board: StatusBoard,
        thread: JoinHandle<Vec<String>>,
    }

    fn start() -> Scene {
        let (signs, heard) = channel();
        let (commands, received) = mpsc::channel(1);
        let (report, reported) = watch::channel(None);
        let board = StatusBoard::new();
        let watchdog = Watchdog {
            signs: heard,
            commands,
            report,
            board: board.clone(),
            clock: Clock::system(),
            longest_silence: Some(Duration::from_millis(50)),
        };
        let thread = std::thread::spawn(move || {
            let log = Log::collect();
            watchdog.watch();
            log.lines()
        });
        Scene { signs, commands: received, reported, board, thread }
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_silent_telemetry_thread_is_reported_once_and_so_is_its_return() {
        let scene = start();
        wait_until(|| scene.board.read().frozen.contains("telemetry thread"));
        scene.signs.send(Sign::Alive).unwrap();
        wait_until(|| scene.board.read().frozen.is_empty());
        scene.signs.send(Sign::Stop).unwrap();
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
    fn a_telemetry_thread_that_never_answers_the_stop_is_given_up_in_time() {
        let scene = start();
        scene.signs.send(Sign::Stop).unwrap();
        let began = Clock::system().monotonic();
        scene.thread.join().unwrap();
        let took = began.elapsed();
        assert!((STOP_LIMIT..STOP_LIMIT * 2).contains(&took), "{took:?}");
        let report = scene.reported.borrow().clone().unwrap();
        assert!(report.ends.is_empty());
        assert_eq!(scene.board.read().health, Health::Stopped);
    }

    #[test]
    fn a_thread_that_is_gone_needs_no_stop() {
        let scene = start();
        drop(scene.commands);
        scene.signs.send(Sign::Stop).unwrap();
        scene.thread.join().unwrap();
        assert!(scene.reported.borrow().as_ref().is_some_and(|report| !report.was_running));
    }
}
