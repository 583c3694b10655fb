//! A request as it arrived, byte for byte.

use std::{
    io::{self, Read},
    net::TcpStream,
    time::Instant,
};

const LARGEST: usize = 1024 * 1024;

/// One request that a [`FakeDestination`](super::FakeDestination) has read.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The request line and the headers as they came, without the empty line.
    pub head: String,
    /// Names as they were spelt, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body, out of its chunks where it came in some.
    pub body: Vec<u8>,
    /// All its bytes.
    pub raw: Vec<u8>,
    /// When its last byte had been read.
    pub received_at: Instant,
    /// The number of its connection, from 0.
    pub connection: u64,
}

impl ReceivedRequest {
    /// The method, path and version.
    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The first header of this name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn asks_to_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads one request; `None` where the connection ends before it begins. `unread` keeps what came after it.
pub(super) fn read(
    mut stream: &TcpStream,
    unread: &mut Vec<u8>,
    connection: u64,
) -> io::Result<Option<ReceivedRequest>> {
    loop {
        if let Some((mut request, length)) = parse(unread, connection)? {
            let rest = unread.split_off(length);
            request.raw = std::mem::replace(unread, rest);
            return Ok(Some(request));
        }
        if unread.len() > LARGEST {
            return Err(invalid(format!("a request of more than {LARGEST} bytes")));
        }
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer)? {
            0 if unread.is_empty() => return Ok(None),
            0 => {
                let seen = String::from_utf8_lossy(unread);
                return Err(invalid(format!("an end within a request: {seen:?}")));
            }
            count => unread.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The request at the start of `bytes` and its length there; `None` where it is not complete.
fn parse(bytes: &[u8], connection: u64) -> io::Result<Option<(ReceivedRequest, usize)>> {
    let Some(head_length) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..head_length]).into_owned();
    let headers = head
        .lines()
        .skip(1)
        .map(|line| {
            line.split_once(':')
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .ok_or_else(|| invalid(format!("a header without a colon: {line:?}")))
        })
        .collect::<io::Result<_>>()?;
    let mut request = ReceivedRequest {
        head,
        headers,
        body: Vec::new(),
        raw: Vec::new(),
        received_at: Instant::now(),
        connection,
    };
    let start = head_length + 4;
    let chunked =
        request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        unchunk(&bytes[start..])?
    } else {
        let length = match request.header("content-length") {
            Some(value) => value.parse().map_err(|_| invalid(format!("a length of {value:?}")))?,
            None => 0,
        };
        bytes[start..].get(..length).map(|body| (body.to_vec(), length))
    };
    Ok(body.map(|(body, length)| {
        request.body = body;
        (request, start + length)
    }))
}

/// The body out of its chunks and the length they had; `None` where one is missing. Trailers are not understood.
fn unchunk(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    let mut position = 0;
    loop {
        let Some(line) = find(&bytes[position..], b"\r\n") else {
            return Ok(None);
        };
        let size = String::from_utf8_lossy(&bytes[position..position + line]);
        let size = usize::from_str_radix(&size, 16)
            .ok()
            .filter(|size| *size <= LARGEST)
            .ok_or_else(|| invalid(format!("a chunk of size {size:?}")))?;
        let start = position + line + 2;
        let Some(chunk) = bytes.get(start..start + size + 2) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[..size]);
        position = start + size + 2;
        if size == 0 {
            return Ok(Some((body, position)));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_request_ends_where_its_length_says() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST";
        let (request, length) = parse(bytes, 0).unwrap().unwrap();
        assert_eq!(request.body, b"{}");
        assert_eq!(&bytes[length..], b"POST");
        assert_eq!(request.header("content-LENGTH"), Some("2"));
    }

    #[test]
    fn a_request_ends_with_its_last_chunk() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut bytes = [&head[..], b"1\r\n{\r\n1\r\n}\r\n0\r\n"].concat();
        assert!(parse(&bytes, 0).unwrap().is_none());
        bytes.extend_from_slice(b"\r\n");
        let (request, length) = parse(&bytes, 0).unwrap().unwrap();
        assert_eq!((request.body.as_slice(), length), (&b"{}"[..], bytes.len()));
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for bytes in [
            &b"POST / HTTP/1.1\r\nno colon\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(parse(bytes, 0).is_err());
        }
    }
}
