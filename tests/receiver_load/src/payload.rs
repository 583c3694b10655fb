//! Payloads as instances send them. The checksums are computed here, independently of the library.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Length of the payload of an update, in bytes. It has a long name, which makes it harder to process.
pub(crate) const BODY: usize = 700;

/// Fields of a payload in their order, without the checksum.
pub(crate) fn fields(instance: Uuid, reason: &str) -> Vec<(&'static str, Value)> {
    let hash = hex(&Sha256::digest(instance.as_bytes()));
    let mut fields: Vec<(&'static str, Value)> = vec![
        ("build_version", format!("2.{}.0", instance.as_bytes()[0] % 8).into()),
        ("build_commit", "4379644c1f0ab5d2".into()),
        ("build_time", "2026-02-16T23:06:23+02:00".into()),
        ("build_mode", "licenced".into()),
        ("build_os", "linux".into()),
        ("build_arch", "amd64".into()),
        ("instance_id", instance.to_string().into()),
        ("license_key_hash", hash.into()),
        ("license_valid", true.into()),
        ("reason", reason.into()),
        ("custom_id", format!("site-{}", &instance.to_string()[24..]).into()),
    ];
    // An instance has the same texts in every payload. None is longer than a receiver takes.
    let mut short = BODY + reason.len() - "update".len() - text(&fields).len();
    for (name, longest) in [("custom_id", 256), ("build_commit", 128), ("build_mode", 128)] {
        if let Some((_, Value::String(text))) = fields.iter_mut().find(|(field, _)| *field == name) {
            let more = short.min(longest - text.len());
            text.extend(std::iter::repeat_n('x', more));
            short -= more;
        }
    }
    assert_eq!(short, 0, "a payload of {BODY} bytes needs longer texts");
    fields
}

/// Payload with its checksum.
pub(crate) fn text(fields: &[(&str, Value)]) -> String {
    text_with(fields, &checksum(fields))
}

/// Payload with a given checksum.
pub(crate) fn text_with(fields: &[(&str, Value)], checksum: &str) -> String {
    let mut all: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
    all.push(format!("\"checksum\":\"{checksum}\""));
    format!("{{{}}}", all.join(","))
}

/// The first 16 hex digits of SHA-256 over the canonical JSON (RFC 8785).
pub(crate) fn checksum(fields: &[(&str, Value)]) -> String {
    let object: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let canonical = serde_json_canonicalizer::to_vec(&object).expect("these values are canonical JSON");
    hex(&Sha256::digest(canonical)[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn the_checksum_is_that_of_the_senders_own_tests() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../golden/payload-custom.json")).unwrap();
        let mut fields: Vec<(&str, serde_json::Value)> = Vec::new();
        for (name, value) in golden.as_object().unwrap() {
            if name != "checksum" {
                fields.push((name, value.clone()));
            }
        }
        assert_eq!(json!(super::checksum(&fields)), golden["checksum"]);
    }

    #[test]
    fn a_payload_has_the_length_it_is_to_have() {
        assert_eq!(super::text(&super::fields(Uuid::from_u128(7), "update")).len(), super::BODY);
    }
}
