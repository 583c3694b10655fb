//! Reads a request to the webhook as an event, and checks its headers and its body (receiver §1). Everything here comes
//! from the network.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::strict_json;
use crate::receiver::http::problem::{Cause, Problem};
use crate::receiver::store::{Facts, NewEvent};
use crate::wire::digest::{self, sha256};
use crate::wire::webhook::{self, EventId};

/// Longest body, in bytes.
pub(crate) const LONGEST_BODY: usize = 16 * 1024;

/// Longest `webhook-id`, in characters.
const LONGEST_WEBHOOK_ID: usize = 256;

/// Frequencies that a header may name, in seconds: a second to a month.
const FREQUENCIES: std::ops::RangeInclusive<i32> = 1..=31 * 24 * 60 * 60;

/// The headers of the contract, where they were sent.
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
        let webhook_id = header(headers, webhook::ID)?;
        if webhook_id.is_some_and(|id| id.is_empty() || id.len() > LONGEST_WEBHOOK_ID) {
            return Err(Problem::bad_header(webhook::ID, "1 to 256 visible characters"));
        }
        let timestamp = header(headers, webhook::TIMESTAMP)?
            .map(|text| text.parse().map_err(|_| Problem::bad_header(webhook::TIMESTAMP, "Unix seconds")))
            .transpose()?;
        let frequency = header(headers, webhook::FREQUENCY)?
            .map(|text| {
                text.parse().ok().filter(|frequency| FREQUENCIES.contains(frequency)).ok_or_else(|| {
                    Problem::bad_header(webhook::FREQUENCY, "seconds between two updates, 1 to 2678400")
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
        return Err(Problem::bad_header(name, "one value"));
    }
    first
        .map(|value| value.to_str().map_err(|_| Problem::bad_header(name, "visible ASCII characters")))
        .transpose()
}

/// Reads an event, and refuses what the contract does not allow.
pub(crate) fn read(headers: EventHeaders, body: Vec<u8>, now: Timestamp) -> Result<NewEvent, Problem> {
    let data = String::from_utf8(body).map_err(|_| Problem::malformed("the body is not UTF-8"))?;
    let Content { instance_id, reason, facts } = match Plain::read(&data) {
        Some(content) => content,
        // More or less than a sender of this version writes: a newer one, or something to be refused with a reason.
        None => read_any(&data)?,
    };
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
        new_per_hour: None,
        data,
    })
}

/// The content of a body whose checksum is right.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    instance_id: Uuid,
    reason: String,
    facts: Facts,
}

/// A payload with just the fields of the contract. Nearly every body is one, and reading it without the detour over any
/// JSON value costs a third. The fields are in the order of their names, so that it serializes as RFC 8785 demands,
/// without the checksum.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(borrow)]
    build_arch: Cow<'a, str>,
    #[serde(borrow)]
    build_commit: Cow<'a, str>,
    #[serde(borrow)]
    build_mode: Cow<'a, str>,
    #[serde(borrow)]
    build_os: Cow<'a, str>,
    #[serde(borrow)]
    build_time: Cow<'a, str>,
    #[serde(borrow)]
    build_version: Cow<'a, str>,
    #[serde(borrow, skip_serializing)]
    checksum: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instance_id: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    license_key_hash: Option<Cow<'a, str>>,
    license_valid: bool,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

impl Plain<'_> {
    /// `None` where the body is anything else. That is no verdict; [`read_any`] gives it.
    fn read(data: &str) -> Option<Content> {
        // It would take an array of the fields in their order as well.
        if !data.trim_ascii_start().starts_with('{') {
            return None;
        }
        let plain: Plain<'_> = serde_json::from_str(data).ok()?;
        // An escape may hide U+0000.
        if data.contains("\\u0000") {
            return None;
        }
        let canonical = serde_json::to_vec(&plain).ok()?;
        if digest::checksum(&canonical) != plain.checksum {
            return None;
        }
        let instance_id = instance_id(&plain.instance_id).ok()?;
        check_reason(&plain.reason).ok()?;
        let facts = Facts {
            build_version: plain.build_version.into_owned(),
            build_commit: plain.build_commit.into_owned(),
            build_time: plain.build_time.into_owned(),
            build_mode: plain.build_mode.into_owned(),
            build_os: plain.build_os.into_owned(),
            build_arch: plain.build_arch.into_owned(),
            license_key_hash: plain.license_key_hash.map(Cow::into_owned),
            license_valid: plain.license_valid,
            custom_id: visible(plain.custom_id.map(Cow::into_owned)),
            ..Facts::default()
        };
        Some(Content { instance_id, reason: plain.reason.into_owned(), facts })
    }
}

/// Any body, or what is wrong with it.
fn read_any(data: &str) -> Result<Content, Problem> {
    let mut fields = strict_json::object(data)?;
    let instance_id = instance_id(text(&fields, "instance_id")?)?;
    let reason = text(&fields, "reason")?.to_owned();
    check_reason(&reason)?;
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
            Some(value) => visible(optional_text(value, "custom_id")?),
            None => None,
        },
        ..Facts::default()
    };
    let checksum = text(&fields, "checksum")?.to_owned();
    fields.remove("checksum");
    // It fails on nothing that was parsed from JSON.
    let canonical = serde_json_canonicalizer::to_vec(&Value::Object(fields)).unwrap_or_default();
    if digest::checksum(&canonical) != checksum {
        return Err(Problem::new(
            Cause::Checksum,
            "checksum must be the first 16 hex digits of SHA-256 over the canonical JSON (RFC 8785) of the other fields",
        )
        .field("checksum"));
    }
    Ok(Content { instance_id, reason, facts })
}

/// The name, unless it is blank and so could not be seen.
fn visible(custom_id: Option<String>) -> Option<String> {
    custom_id.filter(|name| !name.trim().is_empty())
}

fn instance_id(text: &str) -> Result<Uuid, Problem> {
    let id = Uuid::try_parse(text).ok().filter(|id| !id.is_nil() && !id.is_max());
    id.ok_or_else(|| wrong("instance_id", "must be a UUID"))
}

fn check_reason(reason: &str) -> Result<(), Problem> {
    match reason.len() {
        1..=64 => Ok(()),
        _ => Err(wrong("reason", "must have 1 to 64 characters")),
    }
}

/// The time as precisely as stores keep it.
fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// The id of an event: the same for the same event of the same instance.
fn event_id(instance_id: Uuid, webhook_id: &str) -> Uuid {
    let hash = sha256([instance_id.as_bytes(), webhook_id.as_bytes()].concat());
    let (id, _) = hash.split_first_chunk().expect("SHA-256 has 32 bytes");
    Uuid::new_v8(*id)
}

/// The run and the number of `<run uuid>.<number>`, as a sender of this crate writes it and in no other spelling.
fn run_and_number(webhook_id: &str) -> Option<(Uuid, i64)> {
    let id: EventId = webhook_id.parse().ok()?;
    Some((id.run, i64::try_from(id.number).ok()?))
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

fn wrong(field: &str, must: &str) -> Problem {
    Problem::new(Cause::Field, format!("{field} {must}")).field(field)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sender::simulation::fakes::ID;
    use crate::wire::build::BuildInfo;
    use crate::wire::license::LicenseState;
    use crate::wire::payload::{Payload, Reason};

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_600_000).unwrap()
    }

    /// Fields with the checksum that is right for them.
    fn sealed(mut fields: Map<String, Value>) -> String {
        fields.remove("checksum");
        let canonical = serde_json_canonicalizer::to_vec(&fields).unwrap();
        let checksum = digest::checksum(&canonical);
        fields.insert("checksum".to_owned(), checksum.into());
        Value::Object(fields).to_string()
    }

    fn fields(custom_id: Option<&str>) -> Map<String, Value> {
        let build = BuildInfo::new("0.1.0")
            .with_commit("4379644")
            .with_time("2024-02-16T23:06:23+02:00")
            .with_mode("licenced");
        let license = LicenseState::default();
        let payload = Payload::new(&build, ID, &license, Reason::Begin, custom_id);
        serde_json::from_slice(&payload.to_json()).unwrap()
    }

    #[test]
    fn a_payload_of_this_version_is_read_the_short_way() {
        for custom_id in [None, Some("mine"), Some("Žluť \"1\"\u{2028}\u{1f600}\n")] {
            let data = sealed(fields(custom_id));
            let content = Plain::read(&data).expect("it is plain");
            assert_eq!(content.facts.custom_id.as_deref(), custom_id);
            assert_eq!(content, read_any(&data).unwrap());
        }
    }

    #[test]
    fn everything_else_takes_the_long_way() {
        let with = |name: &str, value: Value| {
            let mut fields = fields(None);
            fields.insert(name.to_owned(), value);
            sealed(fields)
        };
        let values = serde_json::from_str::<Map<String, Value>>(&sealed(fields(Some("mine")))).unwrap();
        let array = Value::Array(values.into_iter().map(|(_, value)| value).collect()).to_string();
        assert!(read_any(&array).is_err());
        for data in [
            array,
            with("new", json!(1)),
            with("custom_id", json!(7)),
            with("custom_id", json!("\0")),
            with("reason", json!("")),
            with("instance_id", json!("mine")),
            sealed(fields(None)).replace("0.1.0", "0.2.0"),
            sealed(fields(None)).replacen('{', "{\"reason\":\"end\",", 1),
        ] {
            assert!(Plain::read(&data).is_none(), "{data}");
        }
        assert!(read_any(&with("new", json!({"a": [1.5, -0.0, 1e21]}))).is_ok());
    }

    #[test]
    fn a_blank_name_is_none() {
        for blank in ["", " ", "\t\u{a0}"] {
            let data = sealed(fields(Some(blank)));
            assert_eq!(Plain::read(&data).unwrap().facts.custom_id, None);
            assert_eq!(read_any(&data).unwrap().facts.custom_id, None);
        }
    }

    #[test]
    fn the_day_is_the_senders_where_its_clock_is_about_right() {
        let received = "2026-11-25T00:00:01Z".parse::<Timestamp>().unwrap();
        let sent = |seconds: i64| Some(received.as_second() + seconds);
        let the = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(day(sent(-2), received), the("2026-11-24"));
        assert_eq!(day(sent(0), received), the("2026-11-25"));
        assert_eq!(day(sent(-86_400), received), the("2026-11-25"), "too old to be believed");
        assert_eq!(day(sent(86_399), received), the("2026-11-26"));
        for wrong in [None, Some(i64::MAX), Some(i64::MIN), Some(0)] {
            assert_eq!(day(wrong, received), the("2026-11-25"), "{wrong:?}");
        }
    }

    #[test]
    fn only_a_webhook_id_as_a_sender_writes_it_names_a_run() {
        let run = "7229a017-0000-4000-8000-000000000001";
        assert_eq!(run_and_number(&format!("{run}.7")), Some((Uuid::try_parse(run).unwrap(), 7)));
        for other in [
            run.to_owned(),
            format!("{run}."),
            format!("{run}.07"),
            format!("{run}.-1"),
            format!("{run}.+1"),
            format!("{run}.99999999999999999999"),
            format!("{}.1", run.to_uppercase()),
            format!("{}.1", run.replace('-', "")),
            "00000000-0000-0000-0000-000000000000.1".to_owned(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
        ] {
            assert_eq!(run_and_number(&other), None, "{other}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_ways_agree_whatever_the_fields_are(
            name in prop::sample::select(vec![
                "build_version", "build_time", "instance_id", "license_key_hash", "license_valid", "reason",
                "checksum", "custom_id", "unknown",
            ]),
            value in any_json(),
        ) {
            let mut changed = fields(Some("mine"));
            changed.insert(name.to_owned(), value);
            let data = sealed(changed);
            if let Some(content) = Plain::read(&data) {
                prop_assert_eq!(content, read_any(&data).unwrap());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..500) {
            let _ = read(EventHeaders::default(), body.clone(), now());
            let mut data = sealed(fields(None)).into_bytes();
            data.truncate(cut);
            data.extend(body);
            let _ = read(EventHeaders::default(), data, now());
        }
    }
}
