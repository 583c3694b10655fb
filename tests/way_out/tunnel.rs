//! What a proxy carries.

use std::net::TcpStream;
use std::thread;

/// Carries the bytes of a connection both ways.
pub(crate) fn carry(client: TcpStream, server: TcpStream) {
    for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}
