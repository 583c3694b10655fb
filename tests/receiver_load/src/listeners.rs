//! Browsers that look on: connections that are told of changes as they happen.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks at what has come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Open connections, read by one thread.
pub(crate) struct Listeners {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<usize>>,
}

impl Listeners {
    /// Opens so many connections, each of which was answered when this returns.
    pub(crate) fn open(address: SocketAddr, path: &str, count: usize) -> Outcome<Self> {
        let streams: io::Result<Vec<TcpStream>> = (0..count).map(|_| open(address, path)).collect();
        let streams = streams.map_err(|error| format!("{path}: {error}"))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        Ok(Self { is_over, thread: thread::spawn(move || read(streams, &over)) })
    }

    /// Closes the connections. Returns the number of those that were told something.
    pub(crate) fn close(self) -> Outcome<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader does not panic").map_err(|error| error.to_string())
    }
}

fn open(address: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n")?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 200 ") {
        let head = String::from_utf8_lossy(&head);
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Reads what comes, until it is over. A connection that ends before is an error.
fn read(mut streams: Vec<TcpStream>, is_over: &AtomicBool) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let mut heard = vec![false; streams.len()];
    while !is_over.load(Ordering::Relaxed) {
        for (stream, heard) in streams.iter_mut().zip(&mut heard) {
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(length) => *heard |= buffer[..length].windows(5).any(|window| window == b"data:"),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(heard.into_iter().filter(|heard| *heard).count())
}
