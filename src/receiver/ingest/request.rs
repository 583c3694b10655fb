//! Reads a request to the webhook as an event, and checks its headers and its body (receiver §1). Everything here comes
//! from the network.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use actix_web::http::header::{HeaderMap, USER_AGENT};
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

/// Longest `custom_id`, and longest of the other texts, in characters: those of a sender.
const LONGEST_CUSTOM_ID: usize = 256;
const LONGEST_TEXT: usize = 128;

/// Longest name of a product that is kept, in characters.
const LONGEST_PRODUCT: usize = 64;

/// Frequencies that a header may name, in seconds: those of a sender, an hour to two days.
const FREQUENCIES: RangeInclusive<i32> = 60 * 60..=48 * 60 * 60;

/// Frequencies with a key that allows any: a second to a month.
const ANY_FREQUENCIES: RangeInclusive<i32> = 1..=31 * 24 * 60 * 60;

/// The headers of the contract, where they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventHeaders {
    pub(crate) webhook_id: Option<String>,
    /// Unix seconds by the sender's clock.
    pub(crate) timestamp: Option<i64>,
    /// Seconds between two updates.
    pub(crate) frequency: Option<i32>,
}

/// What an event has from its key and its request besides the contract's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) key_id: Uuid,
    /// Number of instances that the key may report for the first time within an hour.
    pub(crate) new_per_hour: Option<i32>,
    /// See [`product`].
    pub(crate) product: String,
}

impl EventHeaders {
    /// Reads the headers. `takes_any_frequency` is a setting of the key.
    ///
    /// # Errors
    /// A header has a value that the contract does not allow.
    pub(crate) fn read(headers: &HeaderMap, takes_any_frequency: bool) -> Result<Self, Problem> {
        let webhook_id = header(headers, webhook::ID)?;
        if webhook_id.is_some_and(|id| id.is_empty() || id.len() > LONGEST_WEBHOOK_ID) {
            return Err(Problem::bad_header(webhook::ID, "1 to 256 visible characters"));
        }
        let timestamp = header(headers, webhook::TIMESTAMP)?
            .map(|text| text.parse().map_err(|_| Problem::bad_header(webhook::TIMESTAMP, "Unix seconds")))
            .transpose()?;
        let allowed = if takes_any_frequency { ANY_FREQUENCIES } else { FREQUENCIES };
        let frequency = header(headers, webhook::FREQUENCY)?
            .map(|text| {
                text.parse().ok().filter(|frequency| allowed.contains(frequency)).ok_or_else(|| {
                    let (least, most) = (allowed.start(), allowed.end());
                    let accepts = format!("seconds between two updates, {least} to {most}");
                    Problem::bad_header(webhook::FREQUENCY, &accepts)
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

/// The product that a `User-Agent` names: its first token (RFC 9110 §10.1.5), without the version. Empty where there is
/// none, or none that can be shown.
pub(crate) fn product(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let token = agent.trim_start().split(|c: char| c == '/' || c.is_whitespace()).next();
    token.unwrap_or_default().chars().take(LONGEST_PRODUCT).collect()
}

/// Reads an event, and refuses what the contract does not allow.
pub(crate) fn read(
    headers: EventHeaders,
    origin: Origin,
    body: &[u8],
    now: Timestamp,
) -> Result<NewEvent, Problem> {
    let data = str::from_utf8(body).map_err(|_| Problem::malformed("the body is not UTF-8"))?;
    let Content { instance_id, reason, mut facts } = match Plain::read(data) {
        Some(content) => content,
        // More or less than a sender of this version writes: a newer one, or something to be refused with a reason.
        None => read_any(data)?,
    };
    check_lengths(&facts)?;
    (facts.key_id, facts.product) = (origin.key_id, origin.product);
    let received_at = whole_microseconds(now);
    let number = headers.webhook_id.as_deref().and_then(run_and_number);
    let (run_id, sequence) = number.unwrap_or((Uuid::nil(), received_at.as_microsecond()));
    Ok(NewEvent {
        id: event_id(instance_id, &headers, data),
        instance_id,
        run_id,
        sequence,
        is_numbered: number.is_some(),
        received_at,
        is_imported: false,
        day: day(headers.timestamp, received_at),
        reason,
        frequency: headers.frequency,
        facts,
        new_per_hour: origin.new_per_hour,
        data: data.to_owned(),
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

/// The id of an event: see [`NewEvent::id`].
fn event_id(instance_id: Uuid, headers: &EventHeaders, data: &str) -> Uuid {
    let Some(webhook_id) = headers.webhook_id.as_deref() else { return Uuid::new_v4() };
    let number = sha256([instance_id.as_bytes(), webhook_id.as_bytes()].concat());
    let time = headers.timestamp.map(i64::to_be_bytes);
    let content = sha256([time.as_ref().map_or(&[][..], |time| &time[..]), &[0], data.as_bytes()].concat());
    let halves = [&number[..8], &content[..8]].concat();
    Uuid::new_v8(halves.try_into().expect("two halves of 8 bytes are 16"))
}

/// Refuses texts that are longer than those of a sender.
fn check_lengths(facts: &Facts) -> Result<(), Problem> {
    for (field, text, longest) in [
        ("build_version", Some(&facts.build_version), LONGEST_TEXT),
        ("build_commit", Some(&facts.build_commit), LONGEST_TEXT),
        ("build_time", Some(&facts.build_time), LONGEST_TEXT),
        ("build_mode", Some(&facts.build_mode), LONGEST_TEXT),
        ("build_os", Some(&facts.build_os), LONGEST_TEXT),
        ("build_arch", Some(&facts.build_arch), LONGEST_TEXT),
        ("custom_id", facts.custom_id.as_ref(), LONGEST_CUSTOM_ID),
    ] {
        if text.is_some_and(|text| text.len() > longest && text.chars().count() > longest) {
            return Err(wrong(field, &format!("must not have more than {longest} characters")));
        }
    }
    let is_hash =
        |hash: &String| hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match &facts.license_key_hash {
        Some(hash) if !is_hash(hash) => {
            Err(wrong("license_key_hash", "must be 64 lower-case hexadecimal digits or null"))
        }
        _ => Ok(()),
    }
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

    fn origin() -> Origin {
        Origin { key_id: Uuid::from_u128(9), new_per_hour: None, product: "example-server".to_owned() }
    }

    fn read_with(name: &str, value: &str) -> Result<NewEvent, Problem> {
        let mut fields = fields(Some("mine"));
        fields.insert(name.to_owned(), value.into());
        read(EventHeaders::default(), origin(), sealed(fields).as_bytes(), now())
    }

    #[test]
    fn every_text_has_a_length_up_to_which_it_is_taken() {
        for (field, longest) in [
            ("build_version", 128),
            ("build_commit", 128),
            ("build_time", 128),
            ("build_mode", 128),
            ("build_os", 128),
            ("build_arch", 128),
            ("custom_id", 256),
            ("reason", 64),
        ] {
            // Characters, not bytes.
            let letter = if field == "reason" { "a" } else { "ž" };
            assert!(read_with(field, &letter.repeat(longest)).is_ok(), "{field}");
            for length in [longest + 1, 4_000] {
                let problem = read_with(field, &letter.repeat(length)).unwrap_err();
                assert!(problem.to_string().starts_with(field), "{problem}");
            }
        }
        assert!(read_with("license_key_hash", &"0f".repeat(32)).is_ok());
        for hash in ["0f".repeat(31), "0f".repeat(33), "0F".repeat(32), "0g".repeat(32), String::new()] {
            let problem = read_with("license_key_hash", &hash).unwrap_err();
            assert!(problem.to_string().starts_with("license_key_hash"), "{problem}");
        }
    }

    #[test]
    fn a_frequency_is_that_of_a_sender_unless_the_key_takes_any() {
        let given = |text: &str, takes_any| {
            let mut headers = HeaderMap::new();
            let name = actix_web::http::header::HeaderName::from_static(webhook::FREQUENCY);
            headers.insert(name, text.parse().unwrap());
            EventHeaders::read(&headers, takes_any).ok().and_then(|headers| headers.frequency)
        };
        for (text, sender, any) in [
            ("0", None, None),
            ("1", None, Some(1)),
            ("3599", None, Some(3_599)),
            ("3600", Some(3_600), Some(3_600)),
            ("172800", Some(172_800), Some(172_800)),
            ("172801", None, Some(172_801)),
            ("2678400", None, Some(2_678_400)),
            ("2678401", None, None),
            ("-1", None, None),
            ("99999999999999999999", None, None),
            ("1e4", None, None),
        ] {
            assert_eq!((given(text, false), given(text, true)), (sender, any), "{text}");
        }
    }

    #[test]
    fn a_product_is_the_first_token_of_the_user_agent() {
        let of = |agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().unwrap());
            product(&headers)
        };
        assert_eq!(of("example-server/0.1.0 deployment-telemetry/0.1.0"), "example-server");
        assert_eq!(of(" other (x)"), "other");
        assert_eq!(of("a".repeat(100).as_str()), "a".repeat(64));
        assert_eq!(product(&HeaderMap::new()), "");
    }

    #[test]
    fn only_the_same_request_again_is_a_repetition() {
        let id = |webhook_id: &str, timestamp: Option<i64>, data: &str| {
            let headers = EventHeaders {
                webhook_id: Some(webhook_id.to_owned()),
                timestamp,
                ..EventHeaders::default()
            };
            event_id(ID, &headers, data)
        };
        let first = id("a.1", Some(1), "{}");
        assert_eq!(first, id("a.1", Some(1), "{}"));
        let number = |id: Uuid| id.as_u64_pair().0;
        for other in [id("a.1", Some(2), "{}"), id("a.1", None, "{}"), id("a.1", Some(1), "{ }")] {
            assert!(other != first && number(other) == number(first));
        }
        assert_ne!(number(id("a.2", Some(1), "{}")), number(first));
        assert_ne!(
            event_id(ID, &EventHeaders::default(), "{}"),
            event_id(ID, &EventHeaders::default(), "{}")
        );
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
            let _ = read(EventHeaders::default(), origin(), &body, now());
            let mut data = sealed(fields(None)).into_bytes();
            data.truncate(cut);
            data.extend(body);
            let _ = read(EventHeaders::default(), origin(), &data, now());
        }
    }
}
