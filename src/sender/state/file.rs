//! The state in a file, for hosts without a database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{StateError, StateStore};

/// Time between two attempts to lock the file.
const PAUSE: Duration = Duration::from_millis(10);

/// Number of attempts to lock the file: 4 seconds, within the 5 that a call may take.
const MOST_ATTEMPTS: usize = 400;

/// Keeps the state in a file: a JSON object, readable by its owner only. It needs no database and no
/// feature.
///
/// A change is written to a new file, flushed to the disk and renamed, so the file is never seen half
/// written. Processes that share the file lock `<file>.lock` beside it. The folder must exist.
///
/// ```
/// let store = deployment_telemetry::FileStateStore::new("/var/lib/sirveo/telemetry.json");
/// ```
#[derive(Clone, Debug)]
pub struct FileStateStore {
    file: PathBuf,
}

/// The file cannot be read or written.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("the state file {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// It may be a file of something else, so it is not overwritten.
    #[error("the state file {} is not a JSON object; remove it or name another file", .0.display())]
    NotAState(PathBuf),
    #[error("the state file {} is locked by another process", .0.display())]
    Locked(PathBuf),
}

impl FileStateStore {
    /// Names the file. Nothing is opened yet.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Runs `work` on a thread on which it may block.
    async fn off_the_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, StateError> {
        let file = self.file.clone();
        Ok(tokio::task::spawn_blocking(move || work(&file)).await??)
    }
}

impl StateStore for FileStateStore {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        let key = key.to_owned();
        let values = self.off_the_thread(load).await?;
        Ok(values.get(&key).map(Value::to_string))
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        let (key, expected) = (key.to_owned(), expected.map(str::to_owned));
        let value: Value = serde_json::from_str(value)?;
        self.off_the_thread(move |file| {
            let _lock = lock(file)?;
            let mut values = load(file)?;
            let is_as_expected = values.get(&key).map(Value::to_string) == expected;
            if is_as_expected {
                values.insert(key, value);
                save(file, values).map_err(|error| FileError::Io(file.to_owned(), error))?;
            }
            Ok(is_as_expected)
        })
        .await
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}

fn load(file: &Path) -> Result<Map<String, Value>, FileError> {
    match fs::read(file) {
        Ok(text) if text.is_empty() => Ok(Map::new()),
        Ok(text) => serde_json::from_slice(&text).map_err(|_| FileError::NotAState(file.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(FileError::Io(file.to_owned(), error)),
    }
}

/// Keeps other processes out until the lock is dropped.
fn lock(file: &Path) -> Result<File, FileError> {
    let path = beside(file, ".lock");
    let fault = |error| FileError::Io(path.clone(), error);
    let lock = owner_only().truncate(false).open(&path).map_err(fault)?;
    for _ in 0..MOST_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
    }
    Err(FileError::Locked(path))
}

/// Called with the lock held, so nobody else writes the new file.
fn save(file: &Path, values: Map<String, Value>) -> io::Result<()> {
    let new_path = beside(file, ".new");
    let mut new_file = owner_only().truncate(true).open(&new_path)?;
    new_file.write_all(Value::Object(values).to_string().as_bytes())?;
    new_file.sync_all()?;
    drop(new_file);
    fs::rename(&new_path, file)?;
    sync_folder(file)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the rename survive a loss of power, where folders can be flushed.
#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn the_file_is_an_object_that_its_owner_alone_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let store = FileStateStore::new(&file);
        assert_eq!(store.read("a").await.unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading creates nothing");
        assert!(store.replace("a", None, "\"x\"").await.unwrap());
        assert!(store.replace("b", None, "[1]").await.unwrap());
        assert!(!store.replace("a", None, "2").await.unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"a":"x","b":[1]}"#);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[actix_rt::test]
    async fn a_file_of_something_else_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        fs::write(&file, "dear diary").unwrap();
        let store = FileStateStore::new(&file);
        for error in [store.read("a").await.unwrap_err(), store.replace("a", None, "1").await.unwrap_err()] {
            assert!(error.to_string().contains("notes.txt is not a JSON object"), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "dear diary");
    }

    #[actix_rt::test]
    async fn a_file_that_a_crash_left_empty_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        fs::write(&file, "").unwrap();
        fs::write(beside(&file, ".new"), "{\"half").unwrap();
        let store = FileStateStore::new(&file);
        assert!(store.replace("a", None, "1").await.unwrap());
        assert_eq!(store.read("a").await.unwrap().as_deref(), Some("1"));
    }

    #[actix_rt::test]
    async fn a_folder_that_is_missing_is_told_with_its_path() {
        let error = FileStateStore::new("/nonexistent/state.json").replace("a", None, "1").await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/state.json"), "{error}");
    }
}
