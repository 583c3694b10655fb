//! Starts the program in a folder and an environment of its own, and speaks HTTP to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use test_support::{Spawned, becomes_true};

/// More than enough for whatever does not wait on purpose.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The program in `directory`, on a free port, at debug, with nothing inherited that changes what it does.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("SIRVEO_") || upper.ends_with("_PROXY") || upper == "DO_NOT_TRACK" {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).env("SIRVEO_LISTEN", "127.0.0.1:0").env("SIRVEO_LOG_LEVEL", "DEBUG");
    command
}

/// Runs it to its end.
pub(crate) fn run(mut command: Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    if !becomes_true(LIMIT, || child.try_wait().expect("a child can be waited for").is_some()) {
        child.kill().expect("a child can be killed");
    }
    child.wait_with_output().expect("its output can be read")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints text")
}

/// What is in a folder.
pub(crate) fn files_in(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().expect("a folder can be read");
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The program as a server that is ready.
pub(crate) struct Server {
    process: Spawned,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(command: Command) -> Self {
        let process = Spawned::start(command);
        let line = process.wait_for_line(|line| line.starts_with("INF listening on "), LIMIT);
        let address =
            line.trim_start_matches("INF listening on http://").parse().expect("it names its address");
        process.wait_for_line(|line| line == "INF ready to flow 🟢", LIMIT);
        Self { process, address }
    }

    /// Until its fleet can be looked at.
    pub(crate) fn wait_for_store(&self) {
        self.wait_for_line(|line| line.starts_with("INF [receiver] ready on "), LIMIT);
    }

    /// With custom telemetry to `url`.
    pub(crate) fn reporting_to(url: &str) -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        let mut command = program(directory.path());
        command.env("SIRVEO_TELEMETRY_MODE", "custom").env("SIRVEO_TELEMETRY_URL", url);
        (Self::start(command), directory)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> Response {
        self.request("POST", path, &[], "")
    }

    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let own_name = format!("Host: {}", self.address);
        let is_named = headers.iter().any(|header| header.starts_with("Host:"));
        let headers: String = (!is_named)
            .then_some(&*own_name)
            .into_iter()
            .chain(headers.iter().copied())
            .fold(String::new(), |all, header| all + header + "\r\n");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        // Where the server closes before it has read everything, the rest of the answer may be lost.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert!(!answer.is_empty(), "{method} {path}: {error}");
        }
        Response::parse(&String::from_utf8(answer).expect("it answers text"))
    }

    /// The status of the first destination.
    #[track_caller]
    pub(crate) fn destination(&self) -> Value {
        self.telemetry()["destinations"][0].clone()
    }

    /// The status of its own telemetry.
    #[track_caller]
    pub(crate) fn telemetry(&self) -> Value {
        self.get("/api/server").json()["telemetry"].clone()
    }

    /// The events it received, newest first.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.get("/api/events").json()["events"].as_array().expect("a list of events").clone()
    }
}

impl Deref for Server {
    type Target = Spawned;

    fn deref(&self) -> &Spawned {
        &self.process
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Spawned {
        &mut self.process
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a head has a status");
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The bodies of requests, as JSON.
pub(crate) fn payloads(requests: &[test_support::ReceivedRequest]) -> Vec<Value> {
    requests.iter().map(|request| serde_json::from_slice(&request.body).expect("a payload is JSON")).collect()
}

/// The reasons of requests.
pub(crate) fn reasons(requests: &[test_support::ReceivedRequest]) -> Vec<String> {
    payloads(requests).iter().map(|payload| payload["reason"].as_str().unwrap().to_owned()).collect()
}
