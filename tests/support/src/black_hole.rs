//! An address that swallows packets.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A listener whose queue is full: the kernel drops what else arrives, as a firewall does.
pub struct BlackHole {
    /// Its address on the loopback.
    pub address: SocketAddr,
    _listener: Socket,
    _filling: Vec<Socket>,
}

impl BlackHole {
    /// Starts to swallow, until it is dropped.
    ///
    /// # Panics
    /// When no socket can be made.
    #[expect(clippy::new_without_default, reason = "it opens sockets")]
    pub fn new() -> Self {
        let new_socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = new_socket();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let fill = || {
            let socket = new_socket();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        };
        let filling = (0..4).map(|_| fill()).collect();
        Self { address: address.as_socket().unwrap(), _listener: listener, _filling: filling }
    }
}
