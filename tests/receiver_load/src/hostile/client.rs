//! Sends hostile requests one after another and checks the answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::{Case, Must};

/// Time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, opened again after the server or a case has closed it.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

struct Answer {
    status: u16,
    is_problem: bool,
    closes: bool,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request. An error says how the outcome differs from the required one.
    pub(crate) fn try_case(&mut self, case: &Case) -> Result<(), String> {
        let was_kept = self.stream.is_some() && case.must.leaves_the_connection();
        let mut answer = self.exchange(case);
        // A server may close an idle connection while a request is on its way; it must not have read the request then.
        if was_kept && matches!(answer, Ok(None) | Err(_)) {
            answer = self.exchange(case);
        }
        let answer = answer.map_err(|error| format!("no answer: {error}"));
        match (&case.must, answer?) {
            (Must::ComeToNothing, None) => Ok(()),
            (Must::ComeToNothing, Some(answer)) if answer.status >= 400 => Ok(()),
            (Must::BeStored, Some(answer)) if answer.status == 200 && answer.body.is_empty() => Ok(()),
            (Must::BeRefusedOrCut { .. }, None) => Ok(()),
            (Must::BeRefusedAsHttp { status } | Must::BeRefusedOrCut { status }, Some(answer))
                if answer.status == *status =>
            {
                Ok(())
            }
            (Must::BeRefused { status, field }, Some(answer)) if answer.status == *status => {
                let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let is_right = answer.is_problem
                    && document["status"] == *status
                    && field.is_none_or(|field| document["field"] == field);
                if is_right { Ok(()) } else { Err(describe(&case.must, Some(&answer))) }
            }
            (_, answer) => Err(describe(&case.must, answer.as_ref())),
        }
    }

    /// Sends the request and reads the answer; `None` if the connection ended without one.
    fn exchange(&mut self, case: &Case) -> io::Result<Option<Answer>> {
        let is_kept = case.must.leaves_the_connection();
        if !is_kept {
            self.stream = None;
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream
            }
        };
        // A server may answer and close the connection before the whole request is sent.
        let sent = stream.write_all(&case.bytes);
        if case.must == Must::ComeToNothing {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let answer = read(&mut stream);
        let answer = match (sent, answer) {
            (Err(error), Ok(None) | Err(_)) => Err(error),
            (_, answer) => answer,
        };
        let answer = match case.must {
            // With a close or with a reset.
            Must::ComeToNothing | Must::BeRefusedOrCut { .. } => {
                answer.or_else(|error| match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(None),
                    _ => Err(error),
                })?
            }
            _ => answer?,
        };
        if is_kept && answer.as_ref().is_some_and(|answer| !answer.closes) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

impl Must {
    /// Whether the next request may use the same connection.
    fn leaves_the_connection(&self) -> bool {
        matches!(self, Must::BeStored | Must::BeRefused { status: 400 | 404 | 405 | 415 | 422, .. })
    }
}

fn describe(must: &Must, answer: Option<&Answer>) -> String {
    let came = answer.map_or("the connection ended".to_owned(), |answer| {
        format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
    });
    format!("must {must:?}, but: {came}").chars().take(300).collect()
}

/// The final answer to a request.
fn read(stream: &mut TcpStream) -> io::Result<Option<Answer>> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let status: u16 = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
            if status / 100 == 1 {
                received.drain(..end + 4);
                continue;
            }
            let header = |name: &str| {
                head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
            };
            let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if received.len() >= end + 4 + length {
                return Ok(Some(Answer {
                    status,
                    is_problem: header("content-type") == Some("application/problem+json"),
                    closes: header("connection") == Some("close"),
                    body: received[end + 4..end + 4 + length].to_vec(),
                }));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            read => received.extend_from_slice(&buffer[..read]),
        }
    }
}
