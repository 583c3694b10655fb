//! A program that serves HTTP: run to its end, or started and spoken to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{Spawned, becomes_true, children, environment};

/// More than enough for whatever does not wait on purpose.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A program that is set by variables with this prefix, in `directory`, on a free port, at debug, with nothing inherited
/// that changes what it does.
pub fn program(file: &str, prefix: &str, directory: &Path) -> Command {
    let mut command = Command::new(file);
    environment::clean(&mut command, prefix);
    command.current_dir(directory);
    command.env(format!("{prefix}LISTEN"), "127.0.0.1:0").env(format!("{prefix}LOG_LEVEL"), "DEBUG");
    command
}

/// Runs a program to its end.
///
/// # Panics
/// When it does not start.
pub fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = children::spawn(&mut command).expect("it starts");
    if !becomes_true(LIMIT, || child.try_wait().expect("a child can be waited for").is_some()) {
        child.kill().expect("a child can be killed");
    }
    child.wait_with_output().expect("its output can be read")
}

/// What a program printed.
///
/// # Panics
/// When it is no text.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints text")
}

/// What is in a folder.
///
/// # Panics
/// When it cannot be read.
pub fn files_in(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().expect("a folder can be read");
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// A program that listens.
pub struct Server {
    process: Spawned,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits for the line that names its address, and for one that says that it is ready.
    ///
    /// # Panics
    /// When it does not start within [`LIMIT`].
    pub fn start(command: Command, ready: &str) -> Self {
        let process = Spawned::start(command);
        let line = process.wait_for_line(|line| line.starts_with("INF listening on "), LIMIT);
        let address =
            line.trim_start_matches("INF listening on http://").parse().expect("it names its address");
        process.wait_for_line(|line| line == ready, LIMIT);
        Self { process, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a page.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], "")
    }

    /// Asks for it to do something.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn post(&self, path: &str) -> Response {
        self.request("POST", path, &[], "")
    }

    /// Any request. Its host is the address unless `headers` name another.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
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

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// What follows.
    pub body: String,
}

impl Response {
    /// From all that a connection gave until it was closed.
    ///
    /// # Panics
    /// When it is no answer.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a head has a status");
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
