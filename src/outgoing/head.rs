//! The head of an answer (RFC 9112), as far as its status and its date. A proxy's answer to `CONNECT` is read by
//! this alone; a destination's goes on to awc.

use std::io;
use std::time::SystemTime;

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
    /// Time in the header `Date`; `None` where the head has none that can be read.
    pub(super) date: Option<SystemTime>,
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
    Some(StatusLine { status, bytes, date: date(head) })
}

/// Time in the first header `Date` of a head.
fn date(head: &[u8]) -> Option<SystemTime> {
    let value = head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (name, value) = line.split_at_checked(b"date:".len())?;
        name.eq_ignore_ascii_case(b"date:").then_some(value)
    })?;
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?.trim()).ok()
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
    fn the_date_of_a_head_is_read_where_there_is_one() {
        let date = |head: &[u8]| {
            let mut stream = head;
            futures_executor::block_on(read_head(&mut stream)).unwrap().date
        };
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(
            date(b"HTTP/1.1 401 x\r\nA: b\r\nDATE:  Sun, 06 Nov 1994 08:49:37 GMT \r\n\r\n"),
            Some(time)
        );
        assert_eq!(date(b"HTTP/1.1 401 x\nDate:Sun, 06 Nov 1994 08:49:37 GMT\n\n"), Some(time));
        for head in ["", "Update: x\r\n", "Date: yesterday\r\n", "Date\r\n", "Date: \u{fe}\r\n"] {
            assert_eq!(date(format!("HTTP/1.1 401 x\r\n{head}\r\n").as_bytes()), None, "{head}");
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
