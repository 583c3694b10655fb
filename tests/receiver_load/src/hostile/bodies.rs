//! Requests with hostile bodies.

use serde_json::{Value, json};

use super::{Case, Fields, Kind, Maker, Must};
use crate::payload;

/// Maximum length of a body.
const LONGEST_BODY: usize = 16 * 1024;

/// Fields that are required.
const REQUIRED: [&str; 10] = [
    "build_version",
    "build_commit",
    "build_time",
    "build_mode",
    "build_os",
    "build_arch",
    "instance_id",
    "license_key_hash",
    "license_valid",
    "reason",
];

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "an event as it should be", make: |maker| maker.payload_as_it_should_be() },
    Kind { name: "unknown fields, kept", make: unknown_fields },
    Kind { name: "an unknown reason, kept", make: unknown_reason },
    Kind { name: "fields that may be null", make: nulls },
    Kind { name: "a text at its longest", make: longest_text },
    Kind { name: "a text too long by one, or by much", make: too_long_text },
    Kind { name: "a license key hash that is none", make: no_hash },
    Kind { name: "exactly 16 KiB", make: |maker| of_length(maker, LONGEST_BODY, Must::BeStored) },
    Kind {
        name: "a byte more than 16 KiB",
        make: |maker| of_length(maker, LONGEST_BODY + 1, Must::BeRefused { status: 413, field: None }),
    },
    Kind { name: "much more than 16 KiB", make: much_more },
    Kind { name: "random bytes", make: random_bytes },
    Kind { name: "no object", make: no_object },
    Kind { name: "truncated", make: truncated },
    Kind { name: "a byte changed to nonsense", make: nonsense },
    Kind { name: "broken UTF-8", make: broken_utf8 },
    Kind { name: "hundreds to thousands of levels deep", make: deep },
    Kind { name: "huge numbers", make: huge_numbers },
    Kind { name: "a field of the wrong type", make: wrong_type },
    Kind { name: "a field missing", make: missing },
    Kind { name: "a key twice", make: twice },
    Kind { name: "a key twice, nested", make: twice_nested },
    Kind { name: "U+0000", make: nul },
    Kind { name: "lone surrogates", make: lone_surrogates },
    Kind { name: "wrong checksum", make: wrong_checksum },
    Kind { name: "changed after the checksum", make: changed },
    Kind { name: "no UUID for an instance", make: no_uuid },
    Kind { name: "an empty or endless reason", make: bad_reason },
];

impl Maker {
    fn payload_as_it_should_be(&mut self) -> Case {
        let payload = self.payload();
        self.stored(payload)
    }

    /// Payload with an unknown last field that has the value `raw`.
    fn payload_with_raw(&mut self, raw: &str) -> String {
        let payload = self.payload();
        format!("{},\"extra\":{raw}}}", &payload[..payload.len() - 1])
    }
}

fn unknown_fields(maker: &mut Maker) -> Case {
    let mut fields = maker.fields();
    let value = maker.pick(&[
        "{\"a\":[1,2.5,-3,1e20,1e-7],\"b\":{\"\":null}}",
        "\"\\u20ac \\ud83d\\ude00 \\\\ \\\" \\/ \\u001f\"",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        "9007199254740991",
        "\"'; drop table telemetry_event; --\"",
        "\"<script>alert(1)</script>\"",
    ]);
    fields.push(("extra", serde_json::from_str(value).expect("it is JSON")));
    maker.stored(payload::text(&fields))
}

fn unknown_reason(maker: &mut Maker) -> Case {
    let reason = maker.pick(&["migrated", "UPDATE", "…", "x"]);
    let fields = with(maker.fields(), "reason", reason);
    maker.stored(payload::text(&fields))
}

fn nulls(maker: &mut Maker) -> Case {
    let field = maker.pick(&["license_key_hash", "custom_id"]);
    let fields = with(maker.fields(), field, Value::Null);
    maker.stored(payload::text(&fields))
}

/// Texts, and how many characters each may have.
const TEXTS: [(&str, usize); 7] = [
    ("build_version", 128),
    ("build_commit", 128),
    ("build_time", 128),
    ("build_mode", 128),
    ("build_os", 128),
    ("build_arch", 128),
    ("custom_id", 256),
];

fn with_text(maker: &mut Maker, field: &'static str, text: String) -> String {
    let mut fields = maker.fields();
    fields.retain(|(name, _)| *name != field);
    fields.push((field, text.into()));
    payload::text(&fields)
}

fn longest_text(maker: &mut Maker) -> Case {
    let (field, longest) = maker.pick(&TEXTS);
    let letter = maker.pick(&["x", "ž", "🦀"]);
    let body = with_text(maker, field, letter.repeat(longest));
    maker.stored(body)
}

fn too_long_text(maker: &mut Maker) -> Case {
    let (field, longest) = maker.pick(&TEXTS);
    let letter = maker.pick(&["x", "ž"]);
    let more = maker.pick(&[1, 2, 100, 5_000]);
    let body = with_text(maker, field, letter.repeat(longest + more));
    maker.refused_for(400, field, body)
}

fn no_hash(maker: &mut Maker) -> Case {
    let hash = maker.pick(&["", "abc", "g"]);
    let hash = match hash {
        "g" => "g".repeat(64),
        "abc" => "0F".repeat(32),
        _ => "0".repeat(maker.pick(&[0, 63, 65, 4_000])),
    };
    let body = with_text(maker, "license_key_hash", hash);
    maker.refused_for(400, "license_key_hash", body)
}

fn of_length(maker: &mut Maker, length: usize, must: Must) -> Case {
    let mut fields = maker.fields();
    fields.push(("extra", json!("")));
    let short = length - payload::text(&fields).len();
    fields = with(fields, "extra", "y".repeat(short));
    maker.request(payload::text(&fields)).must(must)
}

fn much_more(maker: &mut Maker) -> Case {
    let length = maker.random.usize(LONGEST_BODY + 2..256 * 1024);
    of_length(maker, length, Must::BeRefused { status: 413, field: None })
}

fn random_bytes(maker: &mut Maker) -> Case {
    let mut body = vec![0; maker.random.usize(..2_000)];
    maker.random.fill(&mut body);
    maker.refused(400, body)
}

fn no_object(maker: &mut Maker) -> Case {
    let payload = maker.payload();
    let array = format!("[{payload}]");
    let (double, trailing) = (format!("{payload}{payload}"), format!("{payload}x"));
    let body = maker
        .pick(&["", " ", "null", "7", "true", "\"text\"", "[]", "{", "'{}'", &array, &double, &trailing])
        .to_owned();
    maker.refused(400, body)
}

fn truncated(maker: &mut Maker) -> Case {
    let mut payload = maker.payload();
    payload.truncate(maker.random.usize(..payload.len()));
    maker.refused(400, payload)
}

fn nonsense(maker: &mut Maker) -> Case {
    let mut body = maker.payload().into_bytes();
    let structure: Vec<usize> = (0..body.len()).filter(|index| b"{}:".contains(&body[*index])).collect();
    // Only colons outside of texts may change; those have a quote before or after them.
    let index = structure
        .into_iter()
        .filter(|index| body[*index] != b':' || body[*index - 1] == b'"')
        .nth(maker.random.usize(..3))
        .expect("there are more than three");
    body[index] = maker.pick(b"@#;x\x01");
    maker.refused(400, body)
}

fn broken_utf8(maker: &mut Maker) -> Case {
    let bad: &[u8] = maker.pick(&[
        b"\xff".as_slice(),
        b"\xc0\xaf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\x80",
    ]);
    let mut body = maker.payload_with_raw("\"@\"").into_bytes();
    let index = body.len() - 3;
    body.splice(index..=index, bad.iter().copied());
    maker.refused(400, body)
}

fn deep(maker: &mut Maker) -> Case {
    let depth = maker.random.usize(200..7_000);
    let (open, close) = maker.pick(&[("[", "]"), ("{\"a\":", "}")]);
    let depth = depth / open.len();
    if depth < 200 {
        return deep(maker);
    }
    let inner = if open == "[" { "" } else { "1" };
    let body = match maker.random.u32(..3) {
        0 => "[".repeat(10_000),
        1 => format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)),
        _ => maker.payload_with_raw(&format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))),
    };
    maker.refused(400, body)
}

fn huge_numbers(maker: &mut Maker) -> Case {
    let digits = "9".repeat(400);
    let negative = format!("-{digits}");
    let raw =
        maker.pick(&["1e999", "-1e999", "1E+400", &digits, &negative, "1e99999999999999999999"]).to_owned();
    let body = maker.payload_with_raw(&raw);
    maker.refused(400, body)
}

fn wrong_type(maker: &mut Maker) -> Case {
    let field = maker.pick(&[REQUIRED.as_slice(), &["custom_id"]].concat());
    let text = json!("text");
    let values = [
        json!(7),
        json!([]),
        json!({"a": 1}),
        json!(-1.5),
        if field == "license_valid" { text } else { json!(true) },
    ];
    let value = values[maker.random.usize(..values.len())].clone();
    let body = payload::text(&with(maker.fields(), field, value));
    maker.refused_for(400, field, body)
}

fn missing(maker: &mut Maker) -> Case {
    let field = maker.pick(&[REQUIRED.as_slice(), &["checksum"]].concat());
    let mut fields = maker.fields();
    if field == "checksum" {
        let text = payload::text(&fields);
        let end = text.rfind(",\"checksum\"").expect("it has one");
        return maker.refused_for(400, field, format!("{}}}", &text[..end]));
    }
    fields.retain(|(name, _)| *name != field);
    maker.refused_for(400, field, payload::text(&fields))
}

fn twice(maker: &mut Maker) -> Case {
    let field = maker.pick(&[REQUIRED.as_slice(), &["checksum"]].concat());
    let payload = maker.payload();
    let body = match maker.random.bool() {
        true => format!("{},\"{field}\":\"x\"}}", &payload[..payload.len() - 1]),
        false => format!("{{\"{field}\":true,{}", &payload[1..]),
    };
    maker.refused(400, body)
}

fn twice_nested(maker: &mut Maker) -> Case {
    let raw = maker.pick(&[
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "[{\"b\":{\"\":1,\"\":1}}]",
        "{\"a\":{\"c\":[{\"d\":1,\"e\":2,\"d\":3}]}}",
    ]);
    let body = maker.payload_with_raw(raw);
    maker.refused(400, body)
}

fn nul(maker: &mut Maker) -> Case {
    let raw = maker.pick(&["\"\\u0000\"", "{\"\\u0000\":1}", "[\"a\\u0000b\"]", "\"\0\"", "\0"]);
    let body = match maker.random.bool() {
        true => maker.payload_with_raw(raw),
        false => payload::text(&with(maker.fields(), "build_version", "1\0")),
    };
    maker.refused(400, body)
}

fn lone_surrogates(maker: &mut Maker) -> Case {
    let raw = maker.pick(&[
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\ud83d\"",
        "{\"\\udfff\":1}",
        "\"\\ud83d\\n\"",
    ]);
    let body = maker.payload_with_raw(raw);
    maker.refused(400, body)
}

fn wrong_checksum(maker: &mut Maker) -> Case {
    let fields = maker.fields();
    let right = payload::checksum(&fields);
    let first = if right.starts_with('0') { "1" } else { "0" };
    let wrong = match maker.random.u32(..4) {
        0 => String::new(),
        1 => format!("{right}00"),
        2 => right[1..].to_owned(),
        _ => format!("{first}{}", &right[1..]),
    };
    maker.refused_for(422, "checksum", payload::text_with(&fields, &wrong))
}

fn changed(maker: &mut Maker) -> Case {
    let fields = maker.fields();
    let right = payload::checksum(&fields);
    let fields = match maker.random.u32(..3) {
        0 => with(fields, "license_valid", false),
        1 => with(fields, "build_version", "9.9.9"),
        _ => with(fields, "extra", 1),
    };
    maker.refused_for(422, "checksum", payload::text_with(&fields, &right))
}

fn no_uuid(maker: &mut Maker) -> Case {
    let id = maker.pick(&[
        "",
        "abc",
        "00000000-0000-0000-0000-000000000000",
        "4915a241-ba4e-4d2c-8f6e-0123456789a",
        "4915a241-ba4e-4d2c-8f6e-0123456789ag",
        "4915a241-ba4e-4d2c-8f6e-0123456789ab ",
    ]);
    let body = payload::text(&with(maker.fields(), "instance_id", id));
    maker.refused_for(400, "instance_id", body)
}

fn bad_reason(maker: &mut Maker) -> Case {
    let length = maker.pick(&[0, 65, 1_000, 10_000]);
    let body = payload::text(&with(maker.fields(), "reason", "r".repeat(length)));
    maker.refused_for(400, "reason", body)
}

/// The fields with another value for a field, which is added at the end if there is none.
fn with(mut fields: Fields, name: &'static str, value: impl Into<Value>) -> Fields {
    let value = value.into();
    match fields.iter_mut().find(|(other, _)| *other == name) {
        Some((_, old)) => *old = value,
        None => fields.push((name, value)),
    }
    fields
}
