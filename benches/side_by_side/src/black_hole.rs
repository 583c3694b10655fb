//! A network that swallows packets: an address from which nothing comes back, not even a refusal.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// On the loopback a connection comes about in microseconds or not at all.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// More than the shortest queue of any system holds.
const MOST_FILLERS: usize = 64;

/// A listener whose queue is full, so that the system drops whatever else knocks.
pub(crate) struct BlackHole {
    listener: Socket,
    address: SocketAddr,
    fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens, and takes connections until it is told to [`swallow`](Self::swallow).
    pub(crate) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("some port is free");
        listener.listen(0).expect("a bound socket can listen");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket());
        let address = address.expect("a listener has an address");
        Self { listener, address, fillers: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes one request, answers 200 and closes.
    pub(crate) fn answer_one(&self) {
        let (stream, _) = self.listener.accept().expect("a listener accepts");
        let mut stream = BufReader::new(TcpStream::from(stream));
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("the head comes whole");
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().expect("the length is a number");
                }
                Some(_) => {}
                None if line.starts_with("POST ") => {}
                None => break,
            }
        }
        stream.read_exact(&mut vec![0; length]).expect("the body comes whole");
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).expect("the sender listens");
    }

    /// From now on nothing comes back.
    pub(crate) fn swallow(&mut self) {
        for _ in 0..MOST_FILLERS {
            match TcpStream::connect_timeout(&self.address, ANSWER_LIMIT) {
                Ok(filler) => self.fillers.push(filler),
                Err(error) if error.kind() == ErrorKind::TimedOut => return,
                Err(error) => panic!("a full queue refuses: {error}"),
            }
        }
        panic!("the queue of a listener takes more than {MOST_FILLERS}");
    }
}
