//! SIGINT and SIGTERM. They belong to the program: the receiver never listens to them.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

/// What asks this process to end.
pub(crate) struct Signals {
    #[cfg(unix)]
    sources: (Signal, Signal),
    #[cfg(windows)]
    sources: (CtrlC, CtrlBreak),
}

impl Signals {
    /// From here on a signal no longer ends the process.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let sources = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        #[cfg(windows)]
        let sources = (ctrl_c()?, ctrl_break()?);
        Ok(Self { sources })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.sources.0.recv() => {}
            _ = self.sources.1.recv() => {}
        }
    }

    /// Who asks twice will not wait any longer.
    pub(crate) fn exit_at_the_next(mut self) {
        actix_web::rt::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }
}
