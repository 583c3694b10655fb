//! A connection to an SQLite file that one caller at a time uses, on tokio's blocking pool.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use tokio::sync::Mutex;

use crate::receiver::store::{Fault, StoreError};

/// Time for which a call waits while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Number of prepared statements that are kept: more than there are, not counting the many ways to filter a
/// page.
const CACHED_STATEMENTS: usize = 64;

/// Number of pages of 4 KiB after which the write-ahead log is written to the file. More than SQLite's 1,000,
/// because each batch of events touches pages all over the indexes by id, often the same ones.
const WAL_PAGES: i64 = 32_768;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads and writes; creates the file if it is missing.
    Write,
    Read,
}

/// A connection that is opened at the first call, and again after a call that failed.
#[derive(Clone)]
pub(super) struct SharedConnection {
    file: Arc<Path>,
    access: Access,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    connection: Option<Connection>,
    /// The file that was opened.
    identity: Option<Identity>,
    /// The write-ahead log of that file.
    log: Option<Identity>,
}

/// Device and inode of a file, which differ from those of another file of the same name.
type Identity = (u64, u64);

impl SharedConnection {
    pub(super) fn new(file: Arc<Path>, access: Access) -> Self {
        Self { file, access, held: Arc::default() }
    }

    /// Does `work` in a transaction. A transaction that writes holds the lock of the file from its beginning.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        // A caller that gives up here has not begun anything, and waiting occupies no thread.
        let mut held = self.held.clone().lock_owned().await;
        let (file, access) = (self.file.clone(), self.access);
        let shown = self.file.display();
        tokio::task::spawn_blocking(move || {
            let mut connection = held.take(&file, access)?;
            let behavior = match access {
                Access::Write => TransactionBehavior::Immediate,
                Access::Read => TransactionBehavior::Deferred,
            };
            let transaction = connection.transaction_with_behavior(behavior)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            held.connection = Some(connection);
            Ok(done)
        })
        .await
        .map_err(|error| StoreError::Unavailable(Fault::new(format!("SQLite {shown}"), error)))?
        .map_err(|error| failed(error, &shown.to_string()))
    }
}

impl Held {
    /// The connection, unless its file or log was removed or replaced: what is written to a removed file is
    /// lost.
    fn take(&mut self, file: &Path, access: Access) -> rusqlite::Result<Connection> {
        let (known, now) = (self.identity, identity(file));
        let (known_log, log) = (self.log, identity(&log_of(file)));
        let is_kept = known.is_none() || known == now && (known_log.is_none() || known_log == log);
        if let Some(connection) = self.connection.take() {
            if is_kept {
                // The first transaction that writes creates the log.
                self.log = log;
                return Ok(connection);
            }
            drop(connection);
            self.log = None;
            return Err(removed("the file or its -wal was removed or replaced while it was in use"));
        }
        if known.is_some() && now.is_none() {
            return Err(removed("the file was removed; put it back, or restart to begin a new one"));
        }
        if access == Access::Write && known.is_none() {
            create(file);
        }
        let connection = open(file, access)?;
        (self.identity, self.log) = (identity(file), None);
        Ok(connection)
    }
}

fn removed(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(what.to_owned()))
}

/// The write-ahead log of a file.
fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(unix)]
fn identity(file: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Other systems do not remove a file that is in use.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

fn open(file: &Path, access: Access) -> rusqlite::Result<Connection> {
    // The connection needs no mutex, as it has one user at a time. Readers write to the file's shared memory,
    // too.
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    match access {
        Access::Write => {
            use_wal(&connection)?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", WAL_PAGES * 4_096)?;
        }
        Access::Read => connection.pragma_update(None, "query_only", true)?,
    }
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

/// Creates the file and its folder if they are missing. The file is readable for its owner only, as it holds
/// secrets. A failure shows when the file is opened.
///
/// An existing file is not opened here: closing it would release the locks of this process's other
/// connections.
fn create(file: &Path) {
    if let Some(folder) = file.parent() {
        let _ = fs::create_dir(folder);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Err(error) = options.open(file)
        && error.kind() != ErrorKind::AlreadyExists
    {
        tracing::debug!("[receiver] {}: {error}", file.display());
    }
}

/// Turns the write-ahead log on. SQLite does not wait for other processes here, because that could be a
/// deadlock; this caller holds no lock, so that it can wait.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..200 {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(BUSY_TIMEOUT / 200);
            }
            done => return done,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

/// Sorts errors: SQLite refuses some values for good, and everything else may succeed later.
fn failed(error: rusqlite::Error, file: &str) -> StoreError {
    let code = error.sqlite_error_code();
    let fault = Fault::new(format!("SQLite {file}"), error);
    match code {
        None
        | Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange,
        ) => StoreError::Refused(fault),
        Some(_) => StoreError::Unavailable(fault),
    }
}
