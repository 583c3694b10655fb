//! Requests with hostile heads, or with an unusual transfer of the body.

use super::{Case, Kind, Maker, Must};

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "no or another content type", make: content_type },
    Kind { name: "JSON with a character set", make: character_set },
    Kind { name: "another method", make: method },
    Kind { name: "an unknown key", make: unknown_key },
    Kind { name: "a path that is none", make: no_path },
    Kind { name: "bad webhook-id", make: webhook_id },
    Kind { name: "bad webhook-timestamp", make: webhook_timestamp },
    Kind { name: "bad telemetry-frequency", make: telemetry_frequency },
    Kind { name: "telemetry-frequency and webhook-timestamp at their ends", make: ends_of_numbers },
    Kind { name: "a header twice", make: header_twice },
    Kind { name: "no headers of ours", make: no_headers },
    Kind { name: "10 GB declared", make: declared },
    Kind { name: "chunked, as it should be", make: chunked },
    Kind { name: "chunked without end", make: chunked_without_end },
    Kind { name: "chunked, sizes that are none", make: chunked_nonsense },
    Kind { name: "no HTTP", make: no_http },
    Kind { name: "two lengths, or length and chunks", make: ambiguous_length },
    Kind { name: "a length that is none", make: bad_length },
    Kind { name: "a head without end", make: huge_head },
    Kind { name: "asks before it sends", make: expects },
    Kind { name: "gone within the head", make: gone_within_head },
    Kind { name: "gone within the body", make: gone_within_body },
    Kind { name: "gone within a chunk", make: gone_within_chunk },
];

fn content_type(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let other = maker.pick(&[
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "json",
        "*/*",
        "application/jsonx",
    ]);
    let request = maker.request(payload).without("content-type");
    let request = if other.is_empty() { request } else { request.more("content-type", other) };
    request.must(Must::BeRefused { status: 415, field: None })
}

fn character_set(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let kind = maker.pick(&[
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ]);
    maker.request(payload).header("content-type", kind).must(Must::BeStored)
}

fn method(maker: &mut Maker) -> Case {
    let method = maker.pick(&["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]);
    let line = format!("{method} {} HTTP/1.1", maker.webhook);
    let body = if method == "GET" || maker.random.bool() { String::new() } else { maker.payload() };
    maker.request(body).line(line).must(Must::BeRefused { status: 405, field: None })
}

fn unknown_key(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let mut key: Vec<u8> = maker.webhook.bytes().collect();
    match maker.random.u32(..3) {
        0 => key.push(b'A'),
        1 => drop(key.pop()),
        _ => {
            let last = key.len() - 1 - maker.random.usize(..20);
            key[last] = if key[last] == b'B' { b'C' } else { b'B' };
        }
    }
    let path = String::from_utf8(key).expect("it is ASCII");
    let line = format!("POST {path} HTTP/1.1");
    maker.request(payload).line(line).must(Must::BeRefused { status: 404, field: None })
}

fn no_path(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let path = maker.pick(&[
        "/webhooks/",
        "/webhooks",
        "/webhooks/a/b",
        "/webhooks/../../etc/passwd",
        "//",
        "/webhooks/%00/",
    ]);
    let line = format!("POST {path} HTTP/1.1");
    maker.request(payload).line(line).must(Must::BeRefusedAsHttp { status: 404 })
}

fn bad_header(maker: &mut Maker, name: &'static str, value: &str) -> Case {
    let payload = maker.payload();
    maker.request(payload).header(name, value).must(Must::BeRefused { status: 400, field: Some(name) })
}

fn webhook_id(maker: &mut Maker) -> Case {
    let long = "i".repeat(10 * 1024);
    let value = maker.pick(&["", &long, &long[..257], "caf\u{e9}"]).to_owned();
    bad_header(maker, "webhook-id", &value)
}

fn webhook_timestamp(maker: &mut Maker) -> Case {
    let value = maker.pick(&["", "abc", "1e9", "-", "99999999999999999999", "2026-01-01T00:00:00Z", "1.5"]);
    bad_header(maker, "webhook-timestamp", value)
}

fn telemetry_frequency(maker: &mut Maker) -> Case {
    let value = maker.pick(&[
        "",
        "0",
        "-1",
        "abc",
        "1e9",
        "1",
        "3599",
        "172801",
        "2678400",
        "99999999999",
        "28800.0",
        "8h",
    ]);
    bad_header(maker, "telemetry-frequency", value)
}

fn ends_of_numbers(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let frequency = maker.pick(&["3600", "172800"]);
    // A clock in 1970, in 2038, in 9999, and no clock at all.
    let timestamp =
        maker.pick(&["0", "-1", "2147483648", "253402300799", "9223372036854775807", "-9223372036854775808"]);
    let request = maker.request(payload).header("telemetry-frequency", frequency);
    request.more("webhook-timestamp", timestamp).must(Must::BeStored)
}

fn header_twice(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let (name, value) = maker.pick(&[("webhook-id", "a.1"), ("telemetry-frequency", "3600")]);
    maker.request(payload).more(name, value).must(Must::BeRefused { status: 400, field: Some(name) })
}

fn no_headers(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    maker.request(payload).without("webhook-id").without("telemetry-frequency").must(Must::BeStored)
}

fn declared(maker: &mut Maker) -> Case {
    let length = maker.pick(&["10737418240", "16385", "18446744073709551615"]);
    let sent = vec![b' '; maker.pick(&[0, 1, 1_000])];
    let request = maker.request(sent).without_length().more("content-length", length);
    request.must(Must::BeRefused { status: 413, field: None })
}

fn in_chunks(maker: &mut Maker, body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at(maker.random.usize(1..=rest.len().min(2_000)));
        chunks.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
        rest = others;
    }
    chunks
}

fn chunked(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let mut body = in_chunks(maker, payload.as_bytes());
    body.extend(b"0\r\n\r\n");
    maker.request(body).without_length().more("transfer-encoding", "chunked").must(Must::BeStored)
}

fn chunked_without_end(maker: &mut Maker) -> Case {
    let body = in_chunks(maker, &vec![b' '; 20 * 1024]);
    let request = maker.request(body).without_length().more("transfer-encoding", "chunked");
    request.must(Must::BeRefused { status: 413, field: None })
}

fn chunked_nonsense(maker: &mut Maker) -> Case {
    let body = maker.pick(&["zz\r\nabc\r\n0\r\n\r\n", "-1\r\n\r\n", "ffffffffffffffffff\r\n", "\r\n\r\n"]);
    let request = maker.request(body).without_length().more("transfer-encoding", "chunked");
    request.must(Must::BeRefusedOrCut { status: 400 })
}

fn no_http(maker: &mut Maker) -> Case {
    let bytes = match maker.random.u32(..4) {
        0 => {
            let mut bytes = vec![0; maker.random.usize(16..1_000)];
            maker.random.fill(&mut bytes);
            // None begins like a method, and each is long enough for the server to refuse it.
            bytes[0] = 0x16;
            bytes.extend(b"\r\n\r\n");
            bytes
        }
        1 => format!("POST {} HTTP/9.9\r\n\r\n", maker.webhook).into_bytes(),
        2 => format!("POST {} HTTP/1.1\r\nno colon\r\n\r\n", maker.webhook).into_bytes(),
        _ => b"PRI * HTTP/2.0 but not quite\r\n\r\nSM\r\n\r\n".to_vec(),
    };
    Case { bytes, must: Must::BeRefusedAsHttp { status: 400 } }
}

fn ambiguous_length(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let request = maker.request(payload);
    let request = match maker.random.bool() {
        true => request.more("content-length", "3"),
        false => request.more("transfer-encoding", "chunked"),
    };
    request.must(Must::BeRefusedAsHttp { status: 400 })
}

fn bad_length(maker: &mut Maker) -> Case {
    let length = maker.pick(&["-1", "abc", "1e3", "99999999999999999999999", "+7", "7 7"]);
    let request = maker.request("").without_length().more("content-length", length);
    request.must(Must::BeRefusedAsHttp { status: 400 })
}

fn huge_head(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let request = maker.request(payload);
    let request = match maker.random.bool() {
        true => request.more("x-long", "x".repeat(200 * 1024)),
        false => (0..200).fold(request, |request, number| request.more(&format!("x-{number}"), "x")),
    };
    request.must(Must::BeRefusedAsHttp { status: 431 })
}

fn expects(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    maker.request(payload).more("expect", "100-continue").must(Must::BeStored)
}

fn gone_within_head(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let mut bytes = maker.request(payload).bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("it has a head");
    bytes.truncate(maker.random.usize(..head));
    Case { bytes, must: Must::ComeToNothing }
}

fn gone_within_body(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let mut bytes = maker.request(payload).bytes();
    let shorter = maker.random.usize(1..300);
    bytes.truncate(bytes.len() - shorter);
    Case { bytes, must: Must::ComeToNothing }
}

fn gone_within_chunk(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let body = in_chunks(maker, payload.as_bytes());
    let request = maker.request(body).without_length().more("transfer-encoding", "chunked");
    Case { bytes: request.bytes(), must: Must::ComeToNothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_cut_is_not_whole() {
        let mut maker = Maker::new(2, "/webhooks/key");
        for _ in 0..10_000 {
            let bytes = gone_within_body(&mut maker).bytes;
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.ends_with('}'), "{text}");
        }
    }
}
