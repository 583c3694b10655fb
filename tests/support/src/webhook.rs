//! What a sender of telemetry computes, written a second time so that tests do not check the crate against itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The value of `webhook-signature` (Standard Webhooks, scheme `v1`) under a `whsec_…` secret.
///
/// # Panics
/// When `secret` is not `whsec_` and base64.
pub fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let encoded = secret.strip_prefix("whsec_").expect("a signing secret begins with whsec_");
    let key = STANDARD.decode(encoded).expect("a signing secret is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The checksum of a payload whose RFC 8785 canonical JSON, without the checksum, is `canonical`.
pub fn checksum(canonical: &[u8]) -> String {
    Sha256::digest(canonical)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
