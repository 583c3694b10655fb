//! A line of an event file (`docs/protocol.md`): an event that its sender wrote there in place of sending it. Whoever
//! carried the file may have changed it, so everything here is checked as if it came from the network.

use std::collections::BTreeMap;
use std::fmt;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::receiver::http::problem::Problem;
use crate::receiver::ingest::request::{self, EventHeaders, LONGEST_BODY, Origin, header, product};
use crate::receiver::keys::ring::ActiveKey;
use crate::receiver::store::{NewEvent, TOLERANCE};
use crate::wire::webhook;

/// What an event is checked against.
pub(super) struct Rules {
    /// The key that the event belongs to.
    pub(super) key: ActiveKey,
    /// Events after this time are in the future.
    pub(super) now: Timestamp,
    /// Events before this time would be deleted at once.
    pub(super) oldest: Timestamp,
}

/// A line as a sender writes it. Fields that a later version adds are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    time: Option<String>,
    headers: BTreeMap<String, String>,
    /// Byte for byte: the checksum and the signature are over these bytes.
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Why a line is skipped. Nothing of the line is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) why: String,
    /// The line is no JSON: its machine lost power while it was written, or the file was cut off. It holds no event.
    pub(super) is_torn: bool,
}

impl Skip {
    pub(super) fn refused(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), is_torn: false }
    }
}

impl From<Problem> for Skip {
    fn from(problem: Problem) -> Self {
        Self::refused(problem)
    }
}

/// Reads a line as an event of the time that it names.
pub(super) fn read(line: &[u8], rules: &Rules) -> Result<NewEvent, Skip> {
    let Line { time, headers, body } = parse(line)?;
    let at = time_of(time.as_deref(), rules)?;
    let headers = header_map(&headers)?;
    let (id, body) = (header(&headers, webhook::ID)?, body.get().as_bytes());
    if id.is_none() {
        return Err(Skip::refused(format_args!(
            "it has no {}, by which it would be known again",
            webhook::ID
        )));
    }
    if body.len() > LONGEST_BODY {
        return Err(Skip::refused(format_args!("its body has more than {LONGEST_BODY} bytes")));
    }
    let event_headers = EventHeaders::read(&headers, rules.key.takes_any_frequency)?;
    let signatures = header(&headers, webhook::SIGNATURE)?;
    if !rules.key.accepts_signature(id, event_headers.timestamp, signatures, body, at) {
        return Err(Skip::refused("its signature is missing or wrong, and the key asks for one"));
    }
    let origin = Origin { key_id: rules.key.id, new_per_hour: None, product: product(&headers) };
    let event = request::read(event_headers, origin, body, at)?;
    Ok(NewEvent { is_imported: true, ..event })
}

fn parse(line: &[u8]) -> Result<Line<'_>, Skip> {
    serde_json::from_slice(line).map_err(|error| match error.classify() {
        Category::Data => {
            Skip::refused("it is no line of an event file: that has a time, headers and a body")
        }
        _ => Skip { why: format!("it is cut off, or no JSON (at column {})", error.column()), is_torn: true },
    })
}

fn time_of(time: Option<&str>, rules: &Rules) -> Result<Timestamp, Skip> {
    let time = time.ok_or_else(|| Skip::refused("its sender's clock was set to no time"))?;
    let time: Timestamp =
        time.parse().map_err(|_| Skip::refused("its time is not in RFC 3339 with an offset"))?;
    if time.duration_since(rules.now) > TOLERANCE {
        return Err(Skip::refused(format_args!(
            "its time, {time}, is in the future: its sender's clock was ahead"
        )));
    }
    if time < rules.oldest {
        let oldest = rules.oldest;
        return Err(Skip::refused(format_args!(
            "its time, {time}, is before {oldest}: events are not kept for so long"
        )));
    }
    Ok(time)
}

fn header_map(headers: &BTreeMap<String, String>) -> Result<HeaderMap, Skip> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
        let (name, value) = pair.ok_or_else(|| Skip::refused("one of its headers is none of HTTP"))?;
        map.append(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::receiver::store::StoredKey;
    use crate::sender::simulation::fakes::ID;
    use crate::wire::build::BuildInfo;
    use crate::wire::license::LicenseState;
    use crate::wire::payload::{Payload, Reason};
    use crate::wire::signature::SigningSecret;

    const RUN: &str = "7229a017-0000-4000-8000-000000000001";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rules(secrets: &[&str]) -> Rules {
        let key = StoredKey {
            id: uuid::Uuid::from_u128(5),
            name: "carried".to_owned(),
            hash: [0; 32],
            old_hash: None,
            token_hash: Some([1; 32]),
            secrets: secrets.iter().map(|secret| (*secret).to_owned().into()).collect(),
            rate: Some(1),
            forget_after: None,
            takes_any_frequency: false,
            new_per_hour: Some(0),
            created_at: time("2026-11-01T00:00:00Z"),
            last_used_at: None,
            revoked_at: None,
        };
        let (now, oldest) = (time("2026-11-26T00:00:00Z"), time("2026-08-28T00:00:00Z"));
        Rules { key: ActiveKey::of(&key), now, oldest }
    }

    fn body() -> String {
        let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00");
        let payload = Payload::new(&build, ID, &LicenseState::default(), Reason::Update, None);
        String::from_utf8(payload.to_json()).unwrap()
    }

    /// A line as a sender writes it on 2026-11-20 at noon, with these headers besides.
    fn line(more: Value) -> String {
        let mut headers = json!({
            "content-type": "application/json",
            "telemetry-frequency": "28800",
            "user-agent": "Sirveo/1.0",
            "webhook-id": format!("{RUN}.7"),
            "webhook-timestamp": "1795176000",
        });
        headers.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!(r#"{{"time":"2026-11-20T12:00:00.123Z","headers":{headers},"body":{}}}"#, body())
    }

    fn why(line: &str) -> String {
        let skip = read(line.as_bytes(), &rules(&[])).unwrap_err();
        assert!(!skip.is_torn, "{skip:?}");
        skip.why
    }

    #[test]
    fn a_line_is_an_event_of_the_time_in_it() {
        let event = read(line(json!({})).as_bytes(), &rules(&[])).unwrap();
        assert_eq!(event.received_at, time("2026-11-20T12:00:00.123Z"));
        assert_eq!((event.instance_id, event.run_id.to_string()), (ID, RUN.to_owned()));
        assert_eq!((event.sequence, event.is_numbered, event.is_imported), (7, true, true));
        assert_eq!((event.day.to_string(), event.frequency), ("2026-11-20".to_owned(), Some(28_800)));
        assert_eq!((event.facts.product.as_str(), event.new_per_hour), ("Sirveo", None));
        assert_eq!(event.data, body(), "byte for byte");
        let later = line(json!({})).replacen('{', r#"{"format":2,"#, 1);
        assert_eq!(read(later.as_bytes(), &rules(&[])), Ok(event), "a later version may add a field");
    }

    #[test]
    fn a_line_that_is_cut_anywhere_is_torn() {
        let whole = line(json!({}));
        for length in 1..whole.len() {
            let skip = read(&whole.as_bytes()[..length], &rules(&[])).unwrap_err();
            assert!(
                skip.is_torn && skip.why.starts_with("it is cut off, or no JSON (at column "),
                "{skip:?}"
            );
        }
        for junk in [&b"\0\0\0\0"[..], b"\xff\xfe", b"time,headers,body", b"}"] {
            assert!(read(junk, &rules(&[])).unwrap_err().is_torn);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_words_that_repeat_nothing() {
        for other in ["{}", "[]", "7", r#"{"log":"s3cret"}"#, r#"{"time":1,"headers":{},"body":{}}"#] {
            assert_eq!(why(other), "it is no line of an event file: that has a time, headers and a body");
        }
        let with_time = |text: &str| why(&line(json!({})).replace(r#""2026-11-20T12:00:00.123Z""#, text));
        assert_eq!(with_time("null"), "its sender's clock was set to no time");
        assert_eq!(with_time(r#""yesterday""#), "its time is not in RFC 3339 with an offset");
        assert!(with_time(r#""2026-11-26T00:01:00Z""#).contains("is in the future"));
        assert!(with_time(r#""1970-01-01T00:01:00Z""#).ends_with("events are not kept for so long"));
        assert!(with_time(r#""9999-12-30T00:00:00Z""#).contains("is in the future"));
        let without_id = line(json!({})).replace("webhook-id", "x-id");
        assert_eq!(why(&without_id), "it has no webhook-id, by which it would be known again");
        assert_eq!(why(&line(json!({"a b": "s3cret"}))), "one of its headers is none of HTTP");
        assert_eq!(why(&line(json!({"a": "s3cret\n"}))), "one of its headers is none of HTTP");
        assert_eq!(why(&line(json!({"Webhook-Id": "s3cret"}))), "the header webhook-id accepts one value");
        assert!(
            why(&line(json!({"telemetry-frequency": "1"}))).contains("telemetry-frequency accepts seconds")
        );
        assert!(why(&line(json!({})).replace("0.1.0", "0.2.0")).starts_with("checksum must be"));
        let long = line(json!({})).replace(&body(), &format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST_BODY)));
        assert_eq!(why(&long), "its body has more than 16384 bytes");
    }

    #[test]
    fn a_signed_key_takes_signed_lines_only_however_old_they_are() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let id = format!("{RUN}.7");
        let signature = secret.sign(&id, 1_795_176_000, body().as_bytes());
        let signed = line(json!({"webhook-signature": signature}));
        let rules = rules(&[SECRET]);
        assert!(read(signed.as_bytes(), &rules).is_ok());
        let wrong = signed.replace("T12:00", "T12:10");
        for line in [line(json!({})), wrong, signed.replace("v1,", "v1,AAAA")] {
            let skip = read(line.as_bytes(), &rules).unwrap_err();
            assert_eq!(skip.why, "its signature is missing or wrong, and the key asks for one");
        }
    }
}
