//! The little HTTP that it takes to speak to a host.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The body of the answer; an error where its status is not 200.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, limit: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: host\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{method} {path}: {answer}"))),
    }
}

/// One request and its answer, without a body in either, over a connection that is kept.
pub(crate) fn ask_again(stream: &mut TcpStream, path: &str, answer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: host\r\n\r\n").as_bytes())?;
    answer.clear();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"\r\n\r\nwell") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other("not 200")) }
}
