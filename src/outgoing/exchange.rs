//! One request on one connection, and the status of its answer (RFC 9112): all that a sender needs
//! of HTTP, which reads no header and no body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::failure::{Cause, Failure};
use super::{Request, explain};

/// The head of an answer must fit, with all interim ones before it.
const LONGEST_HEAD: usize = 64 * 1024;

const VERSION: &[u8] = b"HTTP/1.";

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    Closed,
    NotHttp,
    TooLong,
    Io(io::Error),
}

/// Writes `request` and reads the status of its answer.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request,
) -> Result<u16, Failure> {
    let mut bytes = format!("POST {} HTTP/1.1\r\n", request.endpoint.expose_target());
    for header in &request.headers {
        bytes += &format!("{}: {}\r\n", header.name, header.expose());
    }
    bytes += "\r\n";
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&request.body);
    let written = match stream.write_all(&bytes).await {
        Ok(()) => stream.flush().await,
        Err(error) => Err(error),
    };
    // Also where it could not be written: who refuses a request may answer before it has come.
    let status = read_head(&mut BufReader::new(stream)).await;
    if let (Err(error), Err(_)) = (&written, &status) {
        return Err(explain::io_error(error));
    }
    status.map_err(|why| match why {
        NoHead::Closed => explain::disconnected(),
        NoHead::NotHttp => Failure::new(Cause::InvalidResponse, "the answer is not HTTP"),
        NoHead::TooLong => {
            Failure::new(Cause::InvalidResponse, "the head of the answer is longer than 64 KiB")
        }
        NoHead::Io(error) => explain::io_error(&error),
    })
}

/// The status of the first head that is not an interim one (RFC 9110 §15.2). Reads no byte after
/// it: behind a proxy's head they are the destination's.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, NoHead> {
    let mut head = Vec::new();
    for _ in 0..LONGEST_HEAD {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(NoHead::Closed),
            Err(error) => return Err(NoHead::Io(error)),
        }
        // What speaks another protocol may wait for us for ever.
        if head.len() <= VERSION.len() && !VERSION.starts_with(&head) {
            return Err(NoHead::NotHttp);
        }
        if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
            match status(&head).ok_or(NoHead::NotHttp)? {
                100 | 102..=199 => head.clear(),
                status => return Ok(status),
            }
        }
    }
    Err(NoHead::TooLong)
}

/// The code in the first line of `head`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split_inclusive(|byte| *byte == b'\n').next()?;
    let without_headers = [line, b"\r\n"].concat();
    let mut response = httparse::Response::new(&mut []);
    response.parse(&without_headers).ok()?;
    response.code.filter(|code| *code >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::clock::fake::start_of_tests;
    use crate::sender::config::DestinationName;
    use crate::sender::simulation::fakes;
    use crate::wire::payload::Reason;

    fn read(bytes: &[u8]) -> (Result<u16, NoHead>, &[u8]) {
        let mut stream = bytes;
        let head = futures_executor::block_on(read_head(&mut stream));
        (head, stream)
    }

    #[test]
    fn a_head_gives_its_status_and_what_follows_is_left() {
        for (bytes, status) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nrest"[..], 200),
            (b"HTTP/1.0 204\r\n\r\nrest", 204),
            (b"HTTP/1.1 503 \nno: carriage return\n\nrest", 503),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nlink: y\r\n\r\nHTTP/1.1 201 Created\r\n\r\nrest", 201),
            (b"HTTP/1.1 200 OK\nmixed: ends\n\r\nrest", 200),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\nrest", 101),
            (b"HTTP/1.1 999 x\r\nnot a header\r\n\r\nrest", 999),
        ] {
            let (head, rest) = read(bytes);
            assert_eq!((head.unwrap(), rest), (status, &b"rest"[..]), "{}", bytes.escape_ascii());
        }
    }

    #[actix_rt::test]
    async fn an_answer_counts_also_where_the_request_could_not_be_written() {
        let to = fakes::destination(DestinationName::Custom);
        let event = fakes::event(Reason::Begin, 1);
        let request = fakes::run().compose(&to, &event, start_of_tests());
        let outcome = async |answer: &'static [u8]| {
            let (unwritable, _) = tokio::io::duplex(1);
            exchange(&mut tokio::io::join(answer, unwritable), &request).await
        };
        assert_eq!(outcome(b"HTTP/1.1 503 Busy\r\n\r\n").await, Ok(503));
        assert_eq!(outcome(b"").await.unwrap_err().cause, Cause::Disconnected);
    }

    #[test]
    fn what_is_no_head_is_told_apart() {
        let closed = |bytes: &[u8]| matches!(read(bytes).0, Err(NoHead::Closed));
        let not_http = |bytes: &[u8]| matches!(read(bytes).0, Err(NoHead::NotHttp));
        assert!(closed(b"") && closed(b"HTTP/1.1 200 OK\r\n") && closed(b"HTTP/1.1 100 \r\n\r\n"));
        assert!(not_http(b"SSH-2.0-OpenSSH_9.2\r\n") && not_http(b"\x15\x03\x01") && not_http(b"HTTP/2 200"));
        assert!(not_http(b"HTTP/1.1 099 x\r\n\r\n") && not_http(b"HTTP/1.1 x\r\n\r\n"));
        let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"a: b\r\n".repeat(LONGEST_HEAD)].concat();
        assert!(matches!(read(&endless).0, Err(NoHead::TooLong)));
        let interim = b"HTTP/1.1 100 \r\n\r\n".repeat(LONGEST_HEAD);
        assert!(matches!(read(&interim).0, Err(NoHead::TooLong)));
    }
}
