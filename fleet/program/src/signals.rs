//! SIGINT and SIGTERM. They belong to the program: the library never listens to them.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

/// The signals that ask this process to end.
pub struct Signals {
    #[cfg(unix)]
    sources: (Signal, Signal),
    #[cfg(windows)]
    sources: (CtrlC, CtrlBreak),
}

impl Signals {
    /// Listens. From here on a signal no longer ends the process by itself.
    ///
    /// # Errors
    /// The system does not deliver signals to this process.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let sources = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        #[cfg(windows)]
        let sources = (ctrl_c()?, ctrl_break()?);
        Ok(Self { sources })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.sources.0.recv() => {}
            _ = self.sources.1.recv() => {}
        }
    }

    /// Ends the process with exit code 130 at the next signal: an operator who asks twice does not want to wait.
    pub fn exit_at_the_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }
}
