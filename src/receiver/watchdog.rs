//! The watchdog: a plain thread beside the receiver's. It notices when the receiver's thread answers nothing, and bounds
//! a stop, neither of which a thread that is frozen can do by itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::runtime::Handle;

use super::health::{HealthBoard, HealthState};
use crate::running::clock::Clock;

/// Time between two beats.
pub(crate) const BEAT: Duration = Duration::from_secs(5);

/// How long the receiver's thread may take to answer a beat.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the watchdog hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// From the receiver's thread, for each beat.
    Alive,
    /// From a handle: the receiver is to stop.
    Stop,
    /// From the receiver's thread: it ends.
    Ended,
}

pub(crate) struct Watchdog {
    pub(crate) signs: Receiver<Sign>,
    /// Where beats are answered to.
    pub(crate) answers: Sender<Sign>,
    /// The receiver's thread.
    pub(crate) runtime: Handle,
    pub(crate) health: HealthBoard,
    pub(crate) clock: Clock,
    pub(crate) beat: Duration,
    pub(crate) patience: Duration,
    /// How long a stop may take.
    pub(crate) stop_limit: Duration,
}

/// How the receiver's thread stands with the beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    /// It answered every beat.
    Calm,
    /// It has not answered the last beat yet.
    Awaited,
    /// It did not answer in time.
    Frozen,
}

impl Watchdog {
    /// Returns when the receiver has ended.
    pub(crate) fn watch(self) {
        let mut pulse = Pulse::Calm;
        loop {
            let sign = match pulse {
                Pulse::Calm => self.signs.recv_timeout(self.beat),
                Pulse::Awaited => self.signs.recv_timeout(self.patience),
                Pulse::Frozen => self.signs.recv().map_err(RecvTimeoutError::from),
            };
            pulse = match (sign, pulse) {
                (Ok(Sign::Alive), _) => {
                    self.thawed();
                    Pulse::Calm
                }
                (Ok(Sign::Stop), _) => return self.stop(),
                (Ok(Sign::Ended) | Err(RecvTimeoutError::Disconnected), _) => return self.ended(),
                (Err(RecvTimeoutError::Timeout), Pulse::Calm) => {
                    let answers = self.answers.clone();
                    self.runtime.spawn(async move { answers.send(Sign::Alive) });
                    Pulse::Awaited
                }
                (Err(RecvTimeoutError::Timeout), _) => {
                    self.frozen();
                    Pulse::Frozen
                }
            };
        }
    }

    /// Waits for the end, for as long as a stop may take.
    fn stop(&self) {
        let deadline = self.clock.monotonic() + self.stop_limit;
        loop {
            let left = deadline.saturating_duration_since(self.clock.monotonic());
            match self.signs.recv_timeout(left) {
                Ok(Sign::Alive | Sign::Stop) => {}
                Ok(Sign::Ended) | Err(RecvTimeoutError::Disconnected) => return self.ended(),
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        if self.health.change(HealthState::Stopped) {
            tracing::warn!(
                "[receiver] the thread did not stop within {:.1?}; it is left behind",
                self.stop_limit
            );
        }
    }

    /// A thread that ends in order says so before; one that does not has panicked outside of its actors.
    fn ended(&self) {
        if self.health.change(HealthState::Down) {
            tracing::error!(
                "[receiver] the thread panicked, so the receiver stays down until the server is started again; please report this"
            );
        }
    }

    // First the health, then the log, which is the host's and may block.

    fn frozen(&self) {
        if self.health.change(HealthState::Frozen) {
            tracing::error!(
                "[receiver] the thread has not responded for {:.0?}; events are answered with 503 meanwhile; a log or a \
                 disk that blocks is a likely cause; if this does not end, restart the server",
                self.patience
            );
        }
    }

    fn thawed(&self) {
        if self.health.change(HealthState::Running) {
            tracing::info!("[receiver] the thread responds again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::{self, JoinHandle};

    use futures_executor::block_on;

    use super::*;

    struct Scene {
        signs: Sender<Sign>,
        health: HealthBoard,
        /// Each time that is sent here freezes the runtime for that long.
        freezes: Sender<Duration>,
        watchdog: JoinHandle<()>,
    }

    /// A runtime that freezes when it is told to, and a watchdog that watches it.
    fn start() -> Scene {
        let (signs, heard) = channel();
        let (freezes, frozen) = channel::<Duration>();
        let (started, start) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                started.send(Handle::current()).unwrap();
                loop {
                    match frozen.try_recv() {
                        Ok(time) => thread::sleep(time),
                        Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
                        Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
            });
        });
        let health = HealthBoard::default();
        let watchdog = Watchdog {
            signs: heard,
            answers: signs.clone(),
            runtime: start.recv().unwrap(),
            health: health.clone(),
            clock: Clock::system(),
            beat: Duration::from_millis(20),
            patience: Duration::from_millis(300),
            stop_limit: Duration::from_millis(300),
        };
        Scene { signs, health, freezes, watchdog: thread::spawn(move || watchdog.watch()) }
    }

    #[test]
    fn a_thread_that_freezes_is_reported_and_so_is_its_thaw() {
        let scene = start();
        scene.freezes.send(Duration::from_secs(2)).unwrap();
        block_on(scene.health.not_running());
        assert_eq!(scene.health.read().state, HealthState::Frozen);
        while scene.health.read().state != HealthState::Running {
            thread::sleep(Duration::from_millis(10));
        }
        scene.health.change(HealthState::Stopped);
        scene.signs.send(Sign::Ended).unwrap();
        scene.watchdog.join().unwrap();
        assert_eq!(scene.health.read().state, HealthState::Stopped);
    }

    #[test]
    fn a_stop_of_a_frozen_thread_is_bounded() {
        let scene = start();
        scene.freezes.send(Duration::from_secs(3600)).unwrap();
        scene.signs.send(Sign::Stop).unwrap();
        scene.watchdog.join().unwrap();
        assert_eq!(scene.health.read().state, HealthState::Stopped);
    }

    #[test]
    fn a_thread_that_ends_without_a_word_is_down() {
        let scene = start();
        scene.signs.send(Sign::Ended).unwrap();
        scene.watchdog.join().unwrap();
        assert_eq!(scene.health.read().state, HealthState::Down);
    }
}
