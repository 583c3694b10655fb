//! A connection to an SQLite file that one caller at a time works with, on tokio's blocking pool.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use tokio::sync::Mutex;

use super::StoreError;

/// How long a call waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// More statements than there are, but for the many ways to filter a page.
const CACHED_STATEMENTS: usize = 64;

/// The write-ahead log is written to the file once it has so many pages of 4 KiB. More than the usual 1,000, because
/// the indexes by id make each batch of events touch pages everywhere, often the same ones.
const WAL_PAGES: i64 = 16_384;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Makes the file where it is missing.
    Write,
    Read,
}

/// Opened at the first call, and again after one that failed.
#[derive(Clone)]
pub(super) struct SharedConnection {
    file: Arc<Path>,
    access: Access,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    connection: Option<Connection>,
    /// Which file it was that was opened.
    identity: Option<Identity>,
    /// Which log it has.
    log: Option<Identity>,
}

/// Device and number of a file: another one of the same name has others.
type Identity = (u64, u64);

impl SharedConnection {
    pub(super) fn new(file: Arc<Path>, access: Access) -> Self {
        Self { file, access, held: Arc::default() }
    }

    /// Does `work` in a transaction: one that writes holds the lock of the file from its beginning.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Whoever gives up waiting has asked nothing yet, and waiting costs no thread.
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
        .map_err(|error| StoreError::Unavailable(format!("SQLite {shown}: {error}")))?
        .map_err(|error| failed(&error, &shown.to_string()))
    }
}

impl Held {
    /// The connection, if it is one to the files that have their names now: what is written to one that was removed is lost.
    fn take(&mut self, file: &Path, access: Access) -> rusqlite::Result<Connection> {
        let (known, now) = (self.identity, identity(file));
        let (known_log, log) = (self.log, identity(&log_of(file)));
        let is_kept = known.is_none() || known == now && (known_log.is_none() || known_log == log);
        if let Some(connection) = self.connection.take() {
            if is_kept {
                // It is made by the first that writes.
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

/// Where SQLite writes before it writes to the file.
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

/// Nobody removes a file that is in use there.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

fn open(file: &Path, access: Access) -> rusqlite::Result<Connection> {
    // Without a mutex of its own: nobody else has the connection. Readers may write to the file's shared memory.
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

/// Makes the file and its folder where they are missing, the file for its owner only: it holds secrets. What goes wrong
/// shows when it is opened.
///
/// A file that is there is not touched: to close it would take away the locks of this process's other connections.
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

/// SQLite does not wait for others when it changes to the log, for fear of a deadlock; who waits here holds no lock.
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

/// What SQLite says of the values will not change; all else may.
fn failed(error: &rusqlite::Error, file: &str) -> StoreError {
    let message = format!("SQLite {file}: {error}");
    match error.sqlite_error_code() {
        None
        | Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange,
        ) => StoreError::Refused(message),
        Some(_) => StoreError::Unavailable(message),
    }
}
