//! A destination that fails in every way a real one is known to.

mod request;

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::SockRef;

pub use request::ReceivedRequest;

const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// What a destination does with a request.
///
/// All but [`BrokenTls`](Self::BrokenTls) read the whole request first and record it. Those that answer in full keep
/// the connection open for the next request, unless the client asked to close it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers 200, with an empty body.
    Ok,
    /// Answers with this status and an empty body.
    Status(u16),
    /// Resets the connection (RST) in place of an answer.
    Reset,
    /// Answers nothing and keeps the connection open.
    HangBeforeHead,
    /// Sends a head that promises a body, and then nothing.
    HangAfterHead,
    /// Answers 200 with a body that never ends.
    EndlessBody,
    /// Answers 307 with this `Location`.
    Redirect(String),
    /// Answers the first bytes with bytes that are not TLS, and closes.
    BrokenTls,
    /// Answers 200 after this time.
    Slow(Duration),
    /// Sends these bytes and closes.
    Garbage(Vec<u8>),
    /// Closes in good order without an answer.
    EarlyClose,
}

/// A URL on a port of 127.0.0.1 on which nobody listens.
///
/// It is a privileged port: the system never hands one out, so nobody takes it while a test runs.
///
/// # Panics
/// When something listens on every one of them.
pub fn refused_url() -> String {
    let refused = |port: &u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        TcpStream::connect_timeout(&address, CONNECT_LIMIT)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    let port = (1..1024).find(refused).expect("some port is free");
    format!("http://127.0.0.1:{port}/")
}

/// A server on a free port of 127.0.0.1, on threads of its own. Dropping it closes its sockets and ends its threads.
pub struct FakeDestination {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    behaviour: Behaviour,
    requests: Vec<ReceivedRequest>,
    refused: Vec<String>,
    accepted: u64,
    open: HashMap<u64, Arc<TcpStream>>,
    closing: bool,
}

impl FakeDestination {
    /// Starts a destination.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                behaviour,
                requests: Vec::new(),
                refused: Vec::new(),
                accepted: 0,
                open: HashMap::new(),
                closing: false,
            }),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = spawn(move || accepting.accept_all(&listener));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL with the path `/events`: `https` while it is [`Behaviour::BrokenTls`], else `http`.
    pub fn url(&self) -> String {
        let scheme = match self.shared.lock().behaviour {
            Behaviour::BrokenTls => "https",
            _ => "http",
        };
        format!("{scheme}://{}/events", self.address)
    }

    /// What it does with requests that it has not answered yet to begin with.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
    }

    /// The requests so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.clone()
    }

    /// Waits until `count` requests have arrived and returns all there are.
    ///
    /// # Panics
    /// When fewer arrive within that time; the message shows what did.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize, within: Duration) -> Vec<ReceivedRequest> {
        let (state, late) = self.shared.wait_while(within, |state| state.requests.len() < count);
        let requests = state.requests.clone();
        let missing = late.then(|| {
            format!(
                "not {count} requests within {within:?} but {} over {} connections: {requests:#?}\n\
                 not understood: {:?}",
                requests.len(),
                state.accepted,
                state.refused
            )
        });
        drop(state);
        match missing {
            Some(missing) => panic!("{missing}"),
            None => requests,
        }
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().open.len()
    }
}

impl Drop for FakeDestination {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.closing = true;
            for stream in state.open.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // The acceptor looks whether it is to end when somebody connects.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT);
        let ended = self.acceptor.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the destination panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no connection panics")
    }

    fn accept_all(self: Arc<Self>, listener: &TcpListener) {
        let mut connections: Vec<JoinHandle<()>> = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            connections.retain(|connection| !connection.is_finished());
            let stream = Arc::new(stream);
            let mut state = self.lock();
            if state.closing {
                break;
            }
            let number = state.accepted;
            state.accepted += 1;
            state.open.insert(number, Arc::clone(&stream));
            drop(state);
            let shared = Arc::clone(&self);
            connections.push(spawn(move || {
                // An error here is the client's or the drop's end of the connection.
                let _ = shared.serve(number, &stream);
                shared.lock().open.remove(&number);
            }));
        }
        for connection in connections {
            connection.join().expect("no connection panics");
        }
    }

    fn serve(&self, number: u64, stream: &TcpStream) -> io::Result<()> {
        let mut unread = Vec::new();
        loop {
            if self.lock().behaviour == Behaviour::BrokenTls {
                let _ = (&*stream).read(&mut [0; 4096])?;
                return (&*stream).write_all(b"this is not TLS\r\n");
            }
            let request = match request::read(stream, &mut unread, number) {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.lock().refused.push(error.to_string());
                    return Err(error);
                }
            };
            let last = request.asks_to_close();
            let behaviour = {
                let mut state = self.lock();
                state.requests.push(request);
                state.behaviour.clone()
            };
            self.changed.notify_all();
            if !self.answer(stream, behaviour)? || last {
                return Ok(());
            }
        }
    }

    /// Says whether the connection serves another request.
    fn answer(&self, mut stream: &TcpStream, behaviour: Behaviour) -> io::Result<bool> {
        match behaviour {
            Behaviour::Ok => respond(stream, 200, "")?,
            Behaviour::Status(status) => respond(stream, status, "")?,
            Behaviour::Redirect(to) => respond(stream, 307, &format!("Location: {to}\r\n"))?,
            Behaviour::Slow(delay) => {
                self.sleep(delay);
                respond(stream, 200, "")?;
            }
            Behaviour::Reset => {
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                return Ok(false);
            }
            Behaviour::HangBeforeHead => return until_closed(stream),
            Behaviour::HangAfterHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
                return until_closed(stream);
            }
            Behaviour::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 4096])?;
                }
            }
            Behaviour::Garbage(bytes) => {
                stream.write_all(&bytes)?;
                return Ok(false);
            }
            Behaviour::EarlyClose | Behaviour::BrokenTls => return Ok(false),
        }
        Ok(true)
    }

    /// Sleeps for this time, or until the destination is dropped.
    fn sleep(&self, delay: Duration) {
        drop(self.wait_while(delay, |state| !state.closing));
    }

    /// Waits while `condition` holds; says too whether it still did after `within`.
    fn wait_while(
        &self,
        within: Duration,
        condition: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'_, State>, bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), within, |state| condition(state));
        let (state, timeout) = waited.expect("no connection panics");
        (state, timeout.timed_out())
    }
}

fn respond(mut stream: &TcpStream, status: u16, header: &str) -> io::Result<()> {
    let length = match status {
        100..200 | 204 | 304 => "",
        _ => "Content-Length: 0\r\n",
    };
    stream.write_all(format!("HTTP/1.1 {status} Fake\r\n{header}{length}\r\n").as_bytes())
}

fn until_closed(mut stream: &TcpStream) -> io::Result<bool> {
    io::copy(&mut stream, &mut io::sink())?;
    Ok(false)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name("fake-destination".into()).spawn(work).expect("a thread can be started")
}
