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
    /// Whether the telemetry thread gives a sign of life each minute; a disabled one sleeps.
    pub(crate) expects_signs: bool,
}

impl Watchdog {
    /// Returns when the run has ended.
    pub(crate) fn watch(self) {
        const THREAD: &str = "telemetry thread";
        let mut is_frozen = false;
        loop {
            let is_awaited = self.expects_signs && !is_frozen && !self.commands.is_closed();
            let sign = match is_awaited {
                true => self.signs.recv_timeout(ONE_MINUTE + PATIENCE),
                false => self.signs.recv().map_err(RecvTimeoutError::from),
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
