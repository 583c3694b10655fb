//! The head of an answer (RFC 9112), as far as its status. A proxy's answer to `CONNECT` is read by
//! this alone; a destination's goes on to awc.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Length that an answer's head may have, with all interim ones before it.
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

/// The status line of a final head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) status: u16,
    /// As it came, with its end.
    pub(super) bytes: Vec<u8>,
}

/// Reads the first head that is not an interim one (RFC 9110 §15.2), and no byte after it: behind a
/// proxy's head they are the destination's.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<StatusLine, NoHead> {
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
            match status_line(&head).ok_or(NoHead::NotHttp)? {
                StatusLine { status: 100 | 102..=199, .. } => head.clear(),
                line => return Ok(line),
            }
        }
    }
    Err(NoHead::TooLong)
}

/// The first line of `head`.
fn status_line(head: &[u8]) -> Option<StatusLine> {
    let bytes = head.split_inclusive(|byte| *byte == b'\n').next()?.to_vec();
    let without_headers = [&bytes, &b"\r\n"[..]].concat();
    let mut response = httparse::Response::new(&mut []);
    response.parse(&without_headers).ok()?;
    let status = response.code.filter(|code| *code >= 100)?;
    Some(StatusLine { status, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Result<u16, NoHead>, &[u8]) {
        let mut stream = bytes;
        let head = futures_executor::block_on(read_head(&mut stream));
        (head.map(|line| line.status), stream)
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
