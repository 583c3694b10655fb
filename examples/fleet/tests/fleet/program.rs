//! Starts the program in a folder and an environment of its own, and speaks HTTP to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fleet::simulate::{Fleet, Sender};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use test_support::{Spawned, becomes_true};

/// More than enough for whatever does not wait on purpose.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The program in `directory`, on a free port, at debug, with nothing inherited that changes what it does.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("FLEET_") || upper.ends_with("_PROXY") || upper == "DO_NOT_TRACK" {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).env("FLEET_LISTEN", "127.0.0.1:0").env("FLEET_LOG_LEVEL", "DEBUG");
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
        process.wait_for_line(|line| line == "INF ready", LIMIT);
        process.wait_for_line(|line| line.starts_with("INF [receiver] ready on "), LIMIT);
        Self { process, address }
    }

    /// On SQLite in a folder of its own.
    pub(crate) fn alone() -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        (Self::start(program(directory.path())), directory)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "")
    }

    /// The status that the first event of a simulated instance is answered with.
    #[track_caller]
    pub(crate) fn post_event(&self, path: &str, sender: &Sender) -> u16 {
        let delivery = Fleet { seed: 1, instances: 1, outage: None }.plan().next().unwrap();
        let request = sender.request(&delivery, Timestamp::now());
        let headers: Vec<_> =
            request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        self.request("POST", path, &headers, str::from_utf8(&request.body).unwrap()).status
    }

    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.address,
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

/// As senders are without a secret and a token.
pub(crate) fn plain() -> Sender {
    Sender { speed: 1.0, token: None, secret: None }
}
