//! The documents for authors of other senders: test vectors and JSON Schema in `docs/`.

use std::path::Path;

use serde_json::{Value, json};

use super::digest;
use super::license::{LicenseKey, LicenseState};
use super::payload::{Payload, Reason};
use super::signature::SigningSecret;
use super::webhook::EventId;
use crate::sender::simulation::fakes;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TIMESTAMP: u64 = 1_708_117_583;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One event with everything that a sender computes for it.
fn vector(number: u64, reason: Reason, license_key: Option<&str>, custom_id: Option<&str>) -> Value {
    let run = fakes::run();
    let build = (*run.build).clone().on("linux", "amd64");
    let hash = license_key.map(|key| LicenseKey::new(key).hash());
    let license = LicenseState { key_hash: hash.clone(), valid: license_key.is_some(), valid_until: None };
    let body = Payload::new(&build, fakes::ID, &license, reason, custom_id).to_json();
    let id = EventId { run: run.id, number }.to_string();
    let mut rest: Value = serde_json::from_slice(&body).unwrap();
    let checksum = rest.as_object_mut().unwrap().remove("checksum").unwrap();
    let canonical = String::from_utf8(serde_json_canonicalizer::to_vec(&rest).unwrap()).unwrap();
    assert_eq!(checksum, digest::checksum(canonical.as_bytes()));
    json!({
        "license_key": license_key,
        "license_key_hash": hash,
        "canonical": canonical,
        "checksum": checksum,
        "webhook-id": id,
        "webhook-timestamp": TIMESTAMP,
        "secret": SECRET,
        "webhook-signature": SigningSecret::parse(SECRET).unwrap().sign(&id, TIMESTAMP, &body),
        "body": String::from_utf8(body).unwrap(),
    })
}

fn vectors() -> Value {
    let odd = "Žluť \"quoted\" \\ / \u{7f} \u{2028} \u{1f600} <&>";
    json!([
        vector(1, Reason::Begin, Some("abc"), Some("eu-west 3")),
        vector(2, Reason::LicenseStateChange, None, None),
        vector(3, Reason::Update, Some("Ž\u{1f600}"), Some(odd)),
        vector(18_446_744_073_709_551_615, Reason::End, Some(""), None),
    ])
}

/// To write the file anew: `UPDATE_VECTORS=1 cargo test --lib vectors`.
#[test]
fn the_vectors_are_those_of_this_sender() {
    let text = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/vectors.json");
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(document("vectors.json"), text);
}

#[test]
fn the_schema_has_the_fields_of_the_payload() {
    let schema: Value = serde_json::from_str(&document("payload.schema.json")).unwrap();
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let mut required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    required.sort();
    for vector in vectors().as_array().unwrap() {
        let body: Value = serde_json::from_str(vector["body"].as_str().unwrap()).unwrap();
        match body.get("custom_id") {
            Some(_) => assert_eq!(keys(&body), keys(&schema["properties"])),
            None => assert_eq!(keys(&body), required),
        }
    }
    let reasons: Vec<Value> = Reason::ALL.iter().map(|reason| json!(reason)).collect();
    assert_eq!(schema["properties"]["reason"]["enum"], Value::Array(reasons));
    assert_eq!(schema["additionalProperties"], false);
}
