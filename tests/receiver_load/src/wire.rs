//! Sends requests over many kept-alive connections from one thread. It is written for low cost, because it shares the
//! processors with what it measures.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Interval at which all connections are checked for requests that take too long, and connected again if necessary.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Precision of a schedule; shorter waits would cost more than they gain.
const SHORTEST_WAIT: Duration = Duration::from_micros(200);

/// Maximum length of one wait.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Source of requests, which is told what became of each.
pub(crate) trait Traffic {
    /// Identity of a request.
    type Event: Copy;

    /// Writes the next request, for a connection that is free now, into `out`.
    fn next(&mut self, now: Instant, out: &mut Vec<u8>) -> Turn<Self::Event>;

    /// An answer came.
    fn answered(&mut self, event: Self::Event, answer: Answer, took: Duration);

    /// The connection broke, or no answer came in time.
    fn unanswered(&mut self, event: Self::Event);
}

/// What a free connection has to do.
pub(crate) enum Turn<E> {
    /// Send what was written. Its latency counts from the instant.
    Send(E, Instant),
    /// Wait until then.
    Wait(Instant),
    /// Stop; there is nothing left to send.
    Over,
}

/// The parts of an answer that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
}

/// Connections to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Time that an answer may take.
    pub(crate) patience: Duration,
}

impl Wire {
    /// Sends until there is nothing left to send, and every request is answered or has taken too long.
    pub(crate) fn run<T: Traffic>(self, traffic: &mut T) -> io::Result<()> {
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(1024);
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let timer_descriptor = timer.as_fd().as_raw_fd();
        let timer_token = Token(self.connections);
        poll.registry().register(&mut SourceFd(&timer_descriptor), timer_token, Interest::READABLE)?;
        let mut connections: Vec<Connection<T::Event>> =
            (0..self.connections).map(|_| Connection::new()).collect();
        let mut free: VecDeque<usize> = VecDeque::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut next_look = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_look {
                next_look = now + LOOK_EVERY;
                for (index, connection) in connections.iter_mut().enumerate() {
                    connection.look(now, self, traffic);
                    if connection.stream.is_none() {
                        connection.connect(self.address, poll.registry(), Token(index))?;
                    }
                }
            }
            let is_over = match send_due(&mut connections, &mut free, now, traffic) {
                Some(Turn::Wait(until)) => {
                    let wait = until.saturating_duration_since(now).max(SHORTEST_WAIT);
                    let wait = Expiration::OneShot(TimeSpec::from_duration(wait));
                    timer.set(wait, TimerSetTimeFlags::empty())?;
                    false
                }
                Some(_) => true,
                None => false,
            };
            if is_over && connections.iter().all(|connection| connection.job.is_none()) {
                return Ok(());
            }
            if let Err(error) = poll.poll(&mut events, Some(LONGEST_WAIT))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            for event in &events {
                // The timer has no connection; its purpose is to end the wait.
                let Some(connection) = connections.get_mut(event.token().0) else { continue };
                if connection.progress(event.is_readable() || event.is_error(), &mut buffer, traffic) {
                    free.push_back(event.token().0);
                }
            }
        }
    }
}

/// Sends on free connections what is due. The turn is why it stopped while connections are still free.
fn send_due<T: Traffic>(
    connections: &mut [Connection<T::Event>],
    free: &mut VecDeque<usize>,
    now: Instant,
    traffic: &mut T,
) -> Option<Turn<T::Event>> {
    while let Some(index) = free.pop_front() {
        let connection = &mut connections[index];
        if !connection.is_free() {
            continue;
        }
        connection.out.clear();
        match traffic.next(now, &mut connection.out) {
            Turn::Send(event, since) => connection.send(event, since, now, traffic),
            turn => {
                free.push_front(index);
                return Some(turn);
            }
        }
    }
    None
}

struct Connection<E> {
    /// `None` until it is connected again.
    stream: Option<TcpStream>,
    is_connected: bool,
    out: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    job: Option<Job<E>>,
}

#[derive(Clone, Copy)]
struct Job<E> {
    event: E,
    /// Moment that its latency counts from, and moment at which it was sent.
    since: Instant,
    began: Instant,
}

impl<E: Copy> Connection<E> {
    fn new() -> Self {
        Self { stream: None, is_connected: false, out: Vec::new(), sent: 0, received: Vec::new(), job: None }
    }

    fn connect(&mut self, address: SocketAddr, registry: &mio::Registry, token: Token) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        (self.stream, self.is_connected) = (Some(stream), false);
        self.received.clear();
        Ok(())
    }

    fn is_free(&self) -> bool {
        self.is_connected && self.job.is_none()
    }

    /// Gives up a request that takes too long.
    fn look<T: Traffic<Event = E>>(&mut self, now: Instant, wire: Wire, traffic: &mut T) {
        if self.job.is_some_and(|job| now.saturating_duration_since(job.began) > wire.patience) {
            self.close(traffic);
        }
    }

    fn close<T: Traffic<Event = E>>(&mut self, traffic: &mut T) {
        (self.stream, self.is_connected) = (None, false);
        if let Some(job) = self.job.take() {
            traffic.unanswered(job.event);
        }
    }

    fn send<T: Traffic<Event = E>>(&mut self, event: E, since: Instant, now: Instant, traffic: &mut T) {
        self.job = Some(Job { event, since, began: now });
        self.sent = 0;
        if self.write().is_err() {
            self.close(traffic);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.sent < self.out.len() {
            match stream.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on after something happened on the connection. Returns whether it has become free.
    fn progress<T: Traffic<Event = E>>(
        &mut self,
        is_readable: bool,
        buffer: &mut [u8],
        traffic: &mut T,
    ) -> bool {
        let has_become_free = self.try_progress(is_readable, buffer, traffic);
        has_become_free.unwrap_or_else(|_| {
            self.close(traffic);
            false
        })
    }

    fn try_progress<T: Traffic<Event = E>>(
        &mut self,
        is_readable: bool,
        buffer: &mut [u8],
        traffic: &mut T,
    ) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let mut has_become_free = false;
        if !self.is_connected {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            if stream.peer_addr().is_err() {
                return Ok(false);
            }
            stream.set_nodelay(true)?;
            self.is_connected = true;
            has_become_free = true;
        }
        if self.job.is_some() && self.sent < self.out.len() {
            self.write()?;
        }
        while is_readable && let Some(stream) = &mut self.stream {
            match stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.received.extend_from_slice(&buffer[..read]);
                    has_become_free |= self.take_answer(traffic)?;
                    // A short read means that there is no more to read.
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(has_become_free && self.is_free())
    }

    fn take_answer<T: Traffic<Event = E>>(&mut self, traffic: &mut T) -> io::Result<bool> {
        let Some(head) = Head::parse(&self.received)? else { return Ok(false) };
        if self.received.len() < head.whole_length {
            return Ok(false);
        }
        self.received.clear();
        let job = self.job.take().ok_or(io::ErrorKind::InvalidData)?;
        traffic.answered(job.event, head.answer, job.since.elapsed());
        if head.closes {
            (self.stream, self.is_connected) = (None, false);
        }
        Ok(true)
    }
}

/// The head of an answer.
struct Head {
    answer: Answer,
    /// Length of head and body together.
    whole_length: usize,
    closes: bool,
}

impl Head {
    fn parse(received: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let head = std::str::from_utf8(&received[..end]).map_err(|_| invalid())?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
        let (mut length, mut has_retry_after, mut closes) = (0, false, false);
        for line in head.split("\r\n").skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| invalid())?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                has_retry_after = value.trim().parse::<u32>().is_ok();
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.trim().eq_ignore_ascii_case("close");
            }
        }
        Ok(Some(Self { answer: Answer { status, has_retry_after }, whole_length: end + 4 + length, closes }))
    }
}
