//! What stands before a destination: it lets connections through, in plain or out of TLS, refuses them,
//! or swallows their packets, as it is told from moment to moment.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use test_support::programs::Port;

/// On the loopback a connection comes about in microseconds or not at all.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// More than the shortest queue of any system holds.
const MOST_FILLERS: usize = 64;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is passed on as it is.
    Plain,
    /// What is inside its TLS is passed on.
    Tls,
    /// It is refused: nobody listens.
    Refusing,
    /// Nothing comes back, not even a refusal: a listener's queue is full.
    Swallowing,
    /// The gate is gone.
    Gone,
}

/// A port of 127.0.0.1.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    port: Port,
    acceptor: Option<JoinHandle<()>>,
    /// The connections that fill the queue of a gate that swallows.
    fillers: Mutex<Vec<TcpStream>>,
}

struct Shared {
    socket: Socket,
    destination: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    /// The acceptor waits for a mode in which connections are accepted.
    is_parked: bool,
}

impl Gate {
    /// A gate before `destination`, plain, or with TLS where there is a certificate.
    pub(crate) fn before(destination: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let port = Port::reserve();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        socket.set_reuse_address(true).expect("a socket can reuse its address");
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port.number())).into())
            .expect("the port is reserved");
        let mode = if tls.is_some() { Mode::Tls } else { Mode::Plain };
        let state = Mutex::new(State { mode: Mode::Refusing, is_parked: false });
        let shared = Arc::new(Shared { socket, destination, tls, state, changed: Condvar::new() });
        let accepting = shared.clone();
        let acceptor = Some(thread::spawn(move || accepting.accept_all()));
        let gate = Self { shared, port, acceptor, fillers: Mutex::default() };
        gate.set(mode);
        gate
    }

    /// Where it is.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Treats connections so from now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.fillers.lock().expect("nobody panics here").clear();
        let mut state = self.shared.lock();
        // A listener that is shut down listens no more, and its acceptor hears of it. Another socket that is
        // shut down would accept connections that are shut down, too.
        if matches!(state.mode, Mode::Plain | Mode::Tls | Mode::Swallowing) {
            let _ = self.shared.socket.shutdown(Shutdown::Both);
        }
        state.mode = if mode == Mode::Gone { Mode::Gone } else { Mode::Refusing };
        self.shared.changed.notify_all();
        if mode == Mode::Gone {
            return;
        }
        let mut state =
            self.shared.changed.wait_while(state, |state| !state.is_parked).expect("nobody panics here");
        match mode {
            Mode::Plain | Mode::Tls => self.shared.socket.listen(128).expect("a bound socket can listen"),
            Mode::Swallowing => {
                self.shared.socket.listen(0).expect("a bound socket can listen");
                *self.fillers.lock().expect("nobody panics here") = self.fill();
            }
            Mode::Refusing | Mode::Gone => {}
        }
        state.mode = mode;
        self.shared.changed.notify_all();
    }

    fn fill(&self) -> Vec<TcpStream> {
        let mut fillers = Vec::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.number()));
        while fillers.len() < MOST_FILLERS {
            match TcpStream::connect_timeout(&address, ANSWER_LIMIT) {
                Ok(filler) => fillers.push(filler),
                Err(error) if error.kind() == ErrorKind::TimedOut => return fillers,
                Err(error) => panic!("a full queue refuses: {error}"),
            }
        }
        panic!("the queue of a listener takes more than {MOST_FILLERS}");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.set(Mode::Gone);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics here")
    }

    fn accept_all(self: Arc<Self>) {
        loop {
            let mut state = self.lock();
            state.is_parked = matches!(state.mode, Mode::Refusing | Mode::Swallowing);
            if state.is_parked {
                self.changed.notify_all();
            }
            let is_parked = |state: &mut State| matches!(state.mode, Mode::Refusing | Mode::Swallowing);
            let mut state = self.changed.wait_while(state, is_parked).expect("nobody panics here");
            state.is_parked = false;
            let mode = state.mode;
            drop(state);
            if mode == Mode::Gone {
                return;
            }
            if let Ok((stream, _)) = self.socket.accept() {
                let shared = self.clone();
                // An error here is either side's end of the connection.
                thread::spawn(move || _ = shared.pass_on(stream.into(), mode));
            }
        }
    }

    fn pass_on(&self, client: TcpStream, mode: Mode) -> io::Result<()> {
        let destination = TcpStream::connect(self.destination)?;
        match &self.tls {
            Some(tls) if mode == Mode::Tls => pass_on_tls(tls.clone(), client, destination),
            _ => pass_on_plain(&client, &destination),
        }
    }
}

fn pass_on_plain(mut client: &TcpStream, mut destination: &TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_destination) = (client.try_clone()?, destination.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_destination);
        let _ = to_destination.shutdown(Shutdown::Write);
    });
    io::copy(&mut destination, &mut client)?;
    client.shutdown(Shutdown::Write)
}

/// One request, whose body is a JSON object, and its answer.
fn pass_on_tls(tls: Arc<ServerConfig>, client: TcpStream, mut destination: TcpStream) -> io::Result<()> {
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    let mut last = 0;
    let mut buffer = [0; 4096];
    while last != b'}' {
        match client.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                destination.write_all(&buffer[..read])?;
                last = buffer[read - 1];
            }
        }
    }
    io::copy(&mut destination, &mut client)?;
    client.conn.send_close_notify();
    client.flush()
}
