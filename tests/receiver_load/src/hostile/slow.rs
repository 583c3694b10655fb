//! Many connections at once that send one byte per second, or nothing at all.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Maker, Must};

const BETWEEN_BYTES: Duration = Duration::from_secs(1);

/// Name, number of bytes that are sent at once (given the length of the head), and whether the rest follows.
type Way = (&'static str, fn(&[u8], usize) -> usize, bool);

/// The ways to be slow. A first part is sent at once; the rest follows byte by byte, or not at all.
const WAYS: [Way; 5] = [
    ("nothing after connecting", |_, _| 0, false),
    ("a byte of the head a second", |_, _| 0, true),
    ("half a head, then nothing", |_, head| head / 2, false),
    ("a byte of the body a second", |_, head| head, true),
    ("half a body, then nothing", |bytes, head| (head + bytes.len()) / 2, false),
];

/// Slow connections, some of each way.
pub(crate) struct Slow {
    connections: Vec<Connection>,
}

struct Connection {
    way: &'static str,
    stream: TcpStream,
    rest: Vec<u8>,
    received: Vec<u8>,
    ended: Option<Duration>,
}

/// How the connections of one way ended.
pub(crate) struct Ending {
    pub(crate) way: &'static str,
    pub(crate) connections: usize,
    /// Number of answers 408.
    pub(crate) told: usize,
    /// Number of connections that were closed without an answer.
    pub(crate) closed: usize,
    /// Other answers.
    pub(crate) answered: Vec<String>,
    /// Number of connections that are still open.
    pub(crate) open: usize,
    pub(crate) longest: Duration,
}

impl Slow {
    /// Opens `each` connections of each way.
    pub(crate) fn connect(address: SocketAddr, each: usize, maker: &mut Maker) -> io::Result<Self> {
        let mut connections = Vec::new();
        for (way, at_once, goes_on) in WAYS {
            for _ in 0..each {
                let payload = maker.payload();
                let bytes = maker.request(payload).must(Must::ComeToNothing).bytes;
                let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                let (first, rest) = bytes.split_at(at_once(&bytes, head));
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.write_all(first)?;
                stream.set_nonblocking(true)?;
                let rest = if goes_on { rest.to_vec() } else { Vec::new() };
                connections.push(Connection { way, stream, rest, received: Vec::new(), ended: None });
            }
        }
        Ok(Self { connections })
    }

    /// Sends slowly until the server has closed all connections, or the time is over.
    pub(crate) fn run(mut self, limit: Duration) -> Vec<Ending> {
        let began = Instant::now();
        let mut turn = 0;
        while began.elapsed() < limit && self.connections.iter().any(|connection| connection.ended.is_none())
        {
            for connection in &mut self.connections {
                connection.go_on(turn, began.elapsed());
            }
            turn += 1;
            thread::sleep((BETWEEN_BYTES * turn as u32).saturating_sub(began.elapsed()));
        }
        WAYS.map(|(way, ..)| Ending::of(way, &self.connections)).into()
    }
}

impl Connection {
    fn go_on(&mut self, turn: usize, now: Duration) {
        if self.ended.is_some() {
            return;
        }
        let written = match self.rest.get(turn) {
            Some(byte) => self.stream.write_all(&[*byte]),
            None => Ok(()),
        };
        let mut buffer = [0; 1024];
        let is_open = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(_) => break false,
            }
        };
        if !is_open || written.is_err() {
            self.ended = Some(now);
        }
    }
}

impl Ending {
    fn of(way: &'static str, connections: &[Connection]) -> Self {
        let mut ending = Self {
            way,
            connections: 0,
            told: 0,
            closed: 0,
            answered: Vec::new(),
            open: 0,
            longest: Duration::ZERO,
        };
        for connection in connections.iter().filter(|connection| connection.way == way) {
            ending.connections += 1;
            ending.longest = ending.longest.max(connection.ended.unwrap_or_default());
            let line = String::from_utf8_lossy(&connection.received);
            let line = line.lines().next().unwrap_or_default();
            match (connection.ended, line) {
                (_, line) if line.starts_with("HTTP/1.1 408") => ending.told += 1,
                (None, "") => ending.open += 1,
                (Some(_), "") => ending.closed += 1,
                (_, line) => ending.answered.push(line.to_owned()),
            }
        }
        ending
    }
}
