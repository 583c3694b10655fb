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

/// The status and the body of the answer to a POST.
pub(crate) fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, String)],
    body: &[u8],
    limit: Duration,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: host\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status.ok_or_else(|| io::Error::other(format!("POST {path}: {answer}")))?, body))
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
