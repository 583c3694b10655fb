//! A request to the webhook as an event: headers and body, checked (receiver §1). Everything here comes from the network.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::problem::Problem;
use super::store::{Facts, NewEvent};
use crate::payload::lower_hex;

/// So long may a body be.
pub(crate) const LONGEST_BODY: usize = 16 * 1024;

/// So long may a `webhook-id` be.
const LONGEST_WEBHOOK_ID: usize = 256;

/// Seconds: a second to a month.
const FREQUENCIES: std::ops::RangeInclusive<i32> = 1..=31 * 24 * 60 * 60;

/// What the headers of the contract say; those that are missing say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventHeaders {
    pub(crate) webhook_id: Option<String>,
    /// Unix seconds by the sender's clock.
    pub(crate) timestamp: Option<i64>,
    /// Seconds between two updates.
    pub(crate) frequency: Option<i32>,
}

impl EventHeaders {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let webhook_id = header(headers, "webhook-id")?;
        if webhook_id.is_some_and(|id| id.is_empty() || id.len() > LONGEST_WEBHOOK_ID) {
            return Err(bad_header("webhook-id", "1 to 256 visible characters"));
        }
        let timestamp = header(headers, "webhook-timestamp")?
            .map(|text| text.parse().map_err(|_| bad_header("webhook-timestamp", "Unix seconds")))
            .transpose()?;
        let frequency = header(headers, "telemetry-frequency")?
            .map(|text| {
                text.parse().ok().filter(|frequency| FREQUENCIES.contains(frequency)).ok_or_else(|| {
                    bad_header("telemetry-frequency", "seconds between two updates, 1 to 2678400")
                })
            })
            .transpose()?;
        Ok(Self { webhook_id: webhook_id.map(str::to_owned), timestamp, frequency })
    }
}

/// One header, which may not be there twice.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(bad_header(name, "one value"));
    }
    first.map(|value| value.to_str().map_err(|_| bad_header(name, "visible ASCII characters"))).transpose()
}

fn bad_header(name: &'static str, accepts: &str) -> Problem {
    let detail = format!("the header {name} accepts {accepts}");
    Problem::new(StatusCode::BAD_REQUEST, "header", "A header cannot be used", detail).field(name)
}

/// Reads an event, and refuses what the contract does not allow.
pub(crate) fn read(headers: EventHeaders, body: &[u8], now: Timestamp) -> Result<NewEvent, Problem> {
    let data = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
    let mut fields = object(data)?;
    let instance_id = {
        let text = text(&fields, "instance_id")?;
        Uuid::try_parse(text).ok().filter(|id| !id.is_nil() && !id.is_max())
    }
    .ok_or_else(|| wrong("instance_id", "must be a UUID"))?;
    let reason = text(&fields, "reason")?.to_owned();
    if reason.is_empty() || reason.len() > 64 {
        return Err(wrong("reason", "must have 1 to 64 characters"));
    }
    let facts = Facts {
        build_version: text(&fields, "build_version")?.to_owned(),
        build_commit: text(&fields, "build_commit")?.to_owned(),
        build_time: text(&fields, "build_time")?.to_owned(),
        build_mode: text(&fields, "build_mode")?.to_owned(),
        build_os: text(&fields, "build_os")?.to_owned(),
        build_arch: text(&fields, "build_arch")?.to_owned(),
        license_key_hash: optional_text(required(&fields, "license_key_hash")?, "license_key_hash")?,
        license_valid: required(&fields, "license_valid")?
            .as_bool()
            .ok_or_else(|| wrong("license_valid", "must be true or false"))?,
        custom_id: match fields.get("custom_id") {
            Some(value) => optional_text(value, "custom_id")?,
            None => None,
        },
    };
    let checksum = text(&fields, "checksum")?.to_owned();
    fields.remove("checksum");
    if !bool::from(checksum_of(fields).as_bytes().ct_eq(checksum.as_bytes())) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "checksum",
            "The checksum is wrong",
            "checksum must be the first 16 hex digits of SHA-256 over the canonical JSON (RFC 8785) of the other fields",
        )
        .field("checksum"));
    }

    let received_at = whole_microseconds(now);
    let number = headers.webhook_id.as_deref().and_then(run_and_number);
    let (run_id, sequence) = number.unwrap_or((Uuid::nil(), received_at.as_microsecond()));
    Ok(NewEvent {
        id: headers.webhook_id.as_deref().map_or_else(Uuid::new_v4, |id| event_id(instance_id, id)),
        instance_id,
        run_id,
        sequence,
        is_numbered: number.is_some(),
        received_at,
        day: day(headers.timestamp, received_at),
        reason,
        frequency: headers.frequency,
        facts,
        data: data.to_owned(),
    })
}

/// A store keeps no more.
fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// The same for the same event of the same instance.
fn event_id(instance_id: Uuid, webhook_id: &str) -> Uuid {
    let hash = digest(&SHA256, &[instance_id.as_bytes(), webhook_id.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Uuid::new_v8(bytes)
}

/// `<run uuid>.<number>`, as a sender of this crate writes it and in no other spelling.
fn run_and_number(webhook_id: &str) -> Option<(Uuid, i64)> {
    let (run, number) = webhook_id.split_once('.')?;
    let (run_id, sequence) = (Uuid::try_parse(run).ok()?, number.parse::<i64>().ok()?);
    let is_canonical = !run_id.is_nil() && sequence >= 0 && format!("{run_id}.{sequence}") == webhook_id;
    is_canonical.then_some((run_id, sequence))
}

/// The day that the sender's clock shows where it is about right, so that the same event falls on the same day; else
/// the receiver's.
fn day(timestamp: Option<i64>, received_at: Timestamp) -> Date {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    timestamp
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .filter(|sent| sent.duration_since(received_at).abs() < SignedDuration::from_hours(24))
        .map_or_else(|| day(received_at), day)
}

fn checksum_of(fields: Map<String, Value>) -> String {
    // It fails on nothing that was parsed from JSON.
    let canonical = serde_json_canonicalizer::to_vec(&Value::Object(fields)).unwrap_or_default();
    lower_hex(&digest(&SHA256, &canonical).as_ref()[..8])
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", "The body cannot be read", detail)
}

fn wrong(field: &str, must: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "field",
        "A field is not what it must be",
        format!("{field} {must}"),
    )
    .field(field)
}

fn required<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Problem> {
    fields.get(name).ok_or_else(|| wrong(name, "is missing"))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    required(fields, name)?.as_str().ok_or_else(|| wrong(name, "must be a string"))
}

fn optional_text(value: &Value, name: &str) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(wrong(name, "must be a string or null")),
    }
}

/// The body as an object, in which no key is there twice and no text has U+0000, which PostgreSQL cannot hold.
fn object(text: &str) -> Result<Map<String, Value>, Problem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| malformed(explained(&error)))?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(malformed("the body must be a JSON object")),
    }
}

/// Without what serde repeats of the body.
fn explained(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    let text = error.to_string();
    if text.starts_with(REPEATED) {
        format!("{REPEATED} at {place}")
    } else if text.starts_with(NUL) {
        format!("{NUL} at {place}")
    } else {
        format!("the body is not JSON, or nested too deep, at {place}")
    }
}

const REPEATED: &str = "a key is there twice in one object";
const NUL: &str = "a text has U+0000 in it";

/// Reads any JSON value, strictly.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn without_nul<E: Error>(text: &str) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(text.to_owned()) }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        without_nul(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            let key = without_nul(&key)?;
            let value = entries.next_value_seed(Strict)?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(REPEATED));
            }
        }
        Ok(Value::Object(map))
    }
}
