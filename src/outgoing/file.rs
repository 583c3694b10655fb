//! The [`Transport`] to a file, for machines without a network (spec §4): each request is appended as one line of
//! JSON, durably and readable by its owner only. `docs/protocol.md` describes the line.
//!
//! The file has a bounded size: a full one is renamed to `<name>.1`, in place of the one before.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::oneshot;

use super::failure::{Cause, Failure};
use super::request::Request;
use super::{Answer, Answering, Transport};
use crate::wire::rfc3339::as_rfc3339;

/// Size up to which a file grows.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Number of times that a file is opened which other processes rename or replace in the meantime.
const MOST_RACES: usize = 10;

/// Status of an event that was appended.
const APPENDED: Answer = Answer { status: 200, date: None };

/// Transport that appends requests to a file.
pub(super) struct FileTransport {
    path: PathBuf,
    largest: u64,
    /// Whether a thread still writes. There is at most one, also where the disk does not respond.
    is_writing: Arc<AtomicBool>,
}

impl FileTransport {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, largest: LARGEST_FILE, is_writing: Arc::default() }
    }
}

/// Sign of a thread that writes. Dropping it, also in a panic, takes it down.
struct Writing(Arc<AtomicBool>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Transport for FileTransport {
    /// Writes on a thread of its own: a disk may not respond, and a stuck call on the blocking pool would hold up the
    /// end of the runtime.
    fn send(&self, request: Request, limit: Duration) -> Answering {
        let (path, largest) = (self.path.clone(), self.largest);
        if self.is_writing.swap(true, Ordering::Acquire) {
            let message =
                format!("an earlier event is still being written to {path:?}; does its disk respond?");
            return Box::pin(std::future::ready(Err(Failure::new(Cause::TimedOut, message))));
        }
        let writing = Writing(self.is_writing.clone());
        let (answer, answered) = oneshot::channel();
        let write = {
            let path = path.clone();
            move || {
                let appended = append(&path, &line(&request), largest);
                drop(writing);
                let _ = answer.send(appended);
            }
        };
        let thread = std::thread::Builder::new().name("telemetry-file".to_owned()).spawn(write);
        Box::pin(async move {
            thread.map_err(|error| failed(&path, &format!("no thread can be started ({error})")))?;
            match tokio::time::timeout(limit, answered).await {
                Ok(Ok(appended)) => appended.map(|()| APPENDED),
                Ok(Err(_)) => Err(Failure::new(
                    Cause::Internal,
                    "writing the file failed inside telemetry; please report it",
                )),
                Err(_) => Err(Failure::new(
                    Cause::TimedOut,
                    format!(
                        "{path:?} was not written within {:.1} s; does its disk respond?",
                        limit.as_secs_f64()
                    ),
                )),
            }
        })
    }
}

/// The line of a request: its time, its headers, and its body with the very bytes that are signed.
pub(crate) fn line(request: &Request) -> Vec<u8> {
    #[derive(Serialize)]
    struct Head<'a> {
        #[serde(serialize_with = "as_rfc3339::serialize")]
        time: SystemTime,
        headers: BTreeMap<&'static str, &'a str>,
    }
    let headers = request.headers.iter().map(|header| (header.name, header.expose())).collect();
    let mut line =
        serde_json::to_vec(&Head { time: request.at, headers }).expect("text and a time are valid JSON");
    line.pop();
    line.extend_from_slice(b",\"body\":");
    line.extend_from_slice(&request.body);
    line.extend_from_slice(b"}\n");
    line
}

fn failed(path: &Path, why: &str) -> Failure {
    Failure::new(Cause::File, format!("the event cannot be appended to {path:?}: {why}"))
}

/// Appends a line, and returns once it is on the disk.
pub(crate) fn append(path: &Path, line: &[u8], largest: u64) -> Result<(), Failure> {
    let explained = |error: io::Error| failed(path, &explain(path, &error));
    for _ in 0..MOST_RACES {
        let Some(mut file) = open(path)? else { continue };
        // Other processes may append to the same file.
        lock(&file).map_err(explained)?;
        if !is_at(path, &file) {
            continue;
        }
        let length = file.metadata().map_err(explained)?.len();
        if length == 0 || length + line.len() as u64 <= largest {
            return write(&mut file, length, line).map_err(explained);
        }
        fs::rename(path, rotated(path)).and_then(|()| sync_directory(path)).map_err(explained)?;
    }
    Err(failed(path, "other processes keep replacing the file"))
}

/// Opens the file, or creates it; `None` if it came or went in the meantime.
fn open(path: &Path) -> Result<Option<File>, Failure> {
    let explained = |error: io::Error| failed(path, &explain(path, &error));
    let mut options = OpenOptions::new();
    options.append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            return Err(failed(path, "it is a symbolic link, which is not followed; name the file itself"));
        }
        Ok(found) if found.is_dir() => return Err(failed(path, "it is a directory")),
        // Opening a pipe would wait for its reader.
        Ok(found) if !found.is_file() => return Err(failed(path, "it is a pipe or a device, and no file")),
        Ok(_) => options.open(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            options.create_new(true).open(path).and_then(|file| sync_directory(path).map(|()| file))
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok(file) => restrict(&file).map(|()| Some(file)).map_err(explained),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        // The directory may be missing too: then the next attempt reports it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(path).is_dir() => Ok(None),
        Err(error) => Err(explained(error)),
    }
}

/// Makes a file readable by its owner only.
fn restrict(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return file.set_permissions(fs::Permissions::from_mode(0o600));
        }
    }
    let _ = file;
    Ok(())
}

/// Locks a file, where its file system can.
fn lock(file: &File) -> io::Result<()> {
    file.lock().or_else(|error| if error.kind() == io::ErrorKind::Unsupported { Ok(()) } else { Err(error) })
}

/// Whether `file` is the one at `path`, and not one that another process renamed.
fn is_at(path: &Path, file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (fs::symlink_metadata(path), file.metadata()) {
            (Ok(there), Ok(here)) => identity(there) == identity(here),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (path, file);
        true
    }
}

/// Writes a line at the end of a file of `length` bytes. After a failure, the file is as it was.
fn write(file: &mut File, length: u64, line: &[u8]) -> io::Result<()> {
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    // A machine that lost power may have left a part of a line.
    let end_of_torn_line: &[u8] = if last == *b"\n" { b"" } else { b"\n" };
    let written = file.write_all(&[end_of_torn_line, line].concat()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = file.set_len(length);
    }
    written
}

/// Path of the file before.
fn rotated(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".1");
    path.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Makes a new name durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(parent(path))?.sync_all()?;
    let _ = path;
    Ok(())
}

fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "its disk is full; free some space".to_owned(),
        io::ErrorKind::QuotaExceeded => {
            "the quota of its owner is used up; raise it or remove files".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => "its file system is mounted read-only".to_owned(),
        io::ErrorKind::NotFound => format!("the directory {:?} does not exist; create it", parent(path)),
        io::ErrorKind::PermissionDenied => {
            format!("{error}; the user of this process needs write access to the file and its directory")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::running::clock::fake::start_of_tests;
    use crate::sender::config::DestinationName;
    use crate::sender::simulation::fakes;
    use crate::wire::payload::Reason;

    fn request(sequence: u64) -> Request {
        let to = fakes::destination(DestinationName::Custom);
        fakes::run().compose(&to, &fakes::event(Reason::Update, sequence), start_of_tests())
    }

    async fn send(transport: &FileTransport, sequence: u64) -> Result<Answer, Failure> {
        transport.send(request(sequence), Duration::from_secs(5)).await
    }

    fn in_new_directory() -> (tempfile::TempDir, FileTransport) {
        let directory = tempfile::tempdir().unwrap();
        let transport = FileTransport::new(directory.path().join("events"));
        (directory, transport)
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[actix_rt::test]
    async fn each_event_is_one_line_with_time_headers_and_body_for_its_owner_only() {
        let (_directory, transport) = in_new_directory();
        for sequence in 1..=3 {
            assert_eq!(send(&transport, sequence).await, Ok(APPENDED));
        }
        let lines = lines(&transport.path);
        assert_eq!(lines.len(), 3);
        let line: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
        assert_eq!(line["time"], "2024-02-16T21:06:23.000Z");
        assert!(line["headers"][crate::wire::webhook::ID].as_str().unwrap().ends_with(".3"));
        let body = std::str::from_utf8(&request(3).body).unwrap().to_owned();
        assert!(lines[2].ends_with(&format!(",\"body\":{body}}}")), "the body has its very bytes");
        let mode = fs::metadata(&transport.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[actix_rt::test]
    async fn a_full_file_is_kept_as_the_one_before_and_a_wider_mode_is_corrected() {
        let (_directory, mut transport) = in_new_directory();
        transport.largest = 2 * line(&request(1)).len() as u64;
        for sequence in 1..=7 {
            send(&transport, sequence).await.unwrap();
            fs::set_permissions(&transport.path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert_eq!(lines(&transport.path), [String::from_utf8(line(&request(7))).unwrap().trim_end()]);
        assert_eq!(lines(&rotated(&transport.path)).len(), 2);
        send(&transport, 8).await.unwrap();
        assert_eq!(fs::metadata(&transport.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[actix_rt::test]
    async fn a_file_that_is_removed_is_created_again_and_a_torn_line_is_ended() {
        let (_directory, transport) = in_new_directory();
        send(&transport, 1).await.unwrap();
        fs::remove_file(&transport.path).unwrap();
        send(&transport, 2).await.unwrap();
        assert_eq!(lines(&transport.path).len(), 1);
        fs::write(&transport.path, "{\"time\":\"2024").unwrap();
        send(&transport, 3).await.unwrap();
        let lines = lines(&transport.path);
        assert_eq!((lines.len(), lines[0].as_str()), (2, "{\"time\":\"2024"));
    }

    #[actix_rt::test]
    async fn what_is_no_file_is_refused_with_its_cause() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("target"), "").unwrap();
        std::os::unix::fs::symlink(path("target"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        for (name, why) in [
            ("link", "it is a symbolic link, which is not followed; name the file itself"),
            ("dangling", "it is a symbolic link, which is not followed; name the file itself"),
            ("directory", "it is a directory"),
            ("pipe", "it is a pipe or a device, and no file"),
            ("missing/events", "does not exist; create it"),
            ("target/events", "Not a directory (os error 20)"),
        ] {
            let failure = send(&FileTransport::new(path(name)), 1).await.unwrap_err();
            assert_eq!(failure.cause, Cause::File, "{name}");
            assert!(failure.message.ends_with(why), "{name}: {failure}");
        }
        assert_eq!(fs::read(path("target")).unwrap(), b"", "nothing was written through the link");
    }

    #[actix_rt::test]
    async fn a_write_that_does_not_end_fails_the_next_events_and_keeps_one_thread() {
        let (_directory, transport) = in_new_directory();
        send(&transport, 1).await.unwrap();
        let held = File::open(&transport.path).unwrap();
        held.lock().unwrap();
        let failure = transport.send(request(2), Duration::from_millis(50)).await.unwrap_err();
        assert!(
            failure.message.ends_with("was not written within 0.1 s; does its disk respond?"),
            "{failure}"
        );
        let failure = send(&transport, 3).await.unwrap_err();
        assert_eq!(failure.cause, Cause::TimedOut);
        assert!(failure.message.starts_with("an earlier event is still being written"), "{failure}");
        drop(held);
        while transport.is_writing.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        send(&transport, 4).await.unwrap();
        assert_eq!(lines(&transport.path).len(), 3, "the event that was late is in the file");
    }
}
