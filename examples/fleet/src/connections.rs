//! How many connections there may be: those of a fleet that starts at once, and no more than the machine allows.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// For each worker. Beyond it connections wait unaccepted, which costs no memory here; below it a thousand slow clients
/// keep nobody out.
const MOST: usize = 8192;

/// Connections that wait unaccepted. The machine may allow less.
const MOST_UNACCEPTED: i32 = 4096;

/// Open files besides connections of senders: the store's, the log's, and those of the runtime.
const OTHER_FILES: usize = 100;

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the process before this one may still be about to end.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(MOST_UNACCEPTED)?;
    Ok(socket.into())
}

/// For each worker: as many as are worth it, or as the machine lets a process have open files, whose limit is raised as far
/// as it may be.
pub(crate) fn most(workers: usize) -> usize {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(
                "the limit on open files is not known, and may be below {}: {error}",
                MOST * workers
            );
            return MOST;
        }
    };
    let allowed = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES) / workers;
    let most = allowed.clamp(1, MOST);
    if most < MOST {
        tracing::info!(
            "{} connections at a time instead of {}, for the machine allows {files} open files",
            most * workers,
            MOST * workers
        );
    }
    most
}
