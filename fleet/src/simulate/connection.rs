//! A connection that is kept alive, for many requests one after another. Written by hand: what a load generator costs should
//! not hide what the receiver does.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::sender::Request;

/// More than the sender waits.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer's head is not longer.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where events are posted to.
#[derive(Clone, Debug)]
pub struct Webhook {
    authority: String,
    host: String,
    port: u16,
    target: String,
}

impl Webhook {
    /// `http://` only: in front of a receiver on another machine is a proxy that speaks TLS.
    pub fn new(url: &Url) -> Result<Self, String> {
        if url.scheme() != "http" {
            return Err("the URL must begin with http://".to_owned());
        }
        let host = url.host_str().ok_or("the URL has no host")?;
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self {
            authority: format!("{host}:{port}"),
            // As a socket address has it, IPv6 is without brackets.
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            target: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        })
    }

    /// Host and port, as a socket connects to them.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, where there is one.
    pub body: Vec<u8>,
}

/// A connection to a server, opened when it is needed and again when it was lost.
pub struct Connection {
    webhook: Webhook,
    stream: Option<TcpStream>,
    written: Vec<u8>,
    read: Vec<u8>,
}

impl Connection {
    /// Opens nothing yet.
    pub fn new(webhook: Webhook) -> Self {
        Self { webhook, stream: None, written: Vec::new(), read: Vec::new() }
    }

    /// Posts to the webhook and reads the answer, once and within 10 seconds.
    pub async fn post(&mut self, request: &Request) -> io::Result<Answer> {
        self.written.clear();
        self.written.extend_from_slice(
            format!(
                "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
                self.webhook.target,
                self.webhook.authority,
                request.body.len()
            )
            .as_bytes(),
        );
        for (name, value) in &request.headers {
            self.written.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        self.written.extend_from_slice(b"\r\n");
        self.written.extend_from_slice(&request.body);
        // Taken out, so that a connection on which something failed is not used again.
        let stream = self.stream.take();
        match timeout(LIMIT, self.exchange(stream)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn exchange(&mut self, stream: Option<TcpStream>) -> io::Result<Answer> {
        let mut stream = match stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.webhook.address()).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&self.written).await?;
        self.read.clear();
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.read.len() > LONGEST_HEAD {
                return Err(io::Error::other("the answer's head has no end"));
            }
            self.read_some(&mut stream).await?;
        };
        let head = String::from_utf8_lossy(&self.read[..head_end]).to_ascii_lowercase();
        let status =
            head.get(9..12).filter(|_| head.starts_with("http/1.1 ")).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP/1.1"))?;
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = header("content-length:").and_then(|length| length.parse::<usize>().ok());
        let is_kept = length.is_some() && header("connection:") != Some("close");
        while self.read.len() < head_end + length.unwrap_or(0) {
            self.read_some(&mut stream).await?;
        }
        if is_kept {
            self.stream = Some(stream);
        }
        Ok(Answer { status, body: self.read[head_end..].to_vec() })
    }

    async fn read_some(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        match stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
