//! The payload: the JSON object that an event is (spec §5). `docs/payload.md` explains every field.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::build_info::BuildInfo;
use crate::license::LicenseState;

/// Why an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Once a run, when the instance id and the license state are known.
    Begin,
    /// Once every frequency of the destination, and by [`send_now`](crate::Telemetry::send_now).
    Update,
    /// The license key or its validity changed.
    LicenseStateChange,
    /// Once a run, at graceful stop.
    End,
}

impl Reason {
    /// Every reason, in the order of a run.
    pub const ALL: [Reason; 4] = [Reason::Begin, Reason::Update, Reason::LicenseStateChange, Reason::End];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Begin => "begin",
            Reason::Update => "update",
            Reason::LicenseStateChange => "license-state-change",
            Reason::End => "end",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of a request: these fields in this order, nothing else, ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payload {
    build_version: String,
    build_commit: String,
    build_time: String,
    build_mode: String,
    build_os: String,
    build_arch: String,
    instance_id: Uuid,
    license_key_hash: Option<String>,
    license_valid: bool,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
}

impl Payload {
    /// The payload of one event, its checksum included. `custom_id` is for the operator's own
    /// destination only.
    pub fn new(
        build: &BuildInfo,
        instance_id: Uuid,
        license: &LicenseState,
        reason: Reason,
        custom_id: Option<&str>,
    ) -> Self {
        let mut payload = Self {
            build_version: build.version().to_owned(),
            build_commit: build.commit().to_owned(),
            build_time: build.time().to_owned(),
            build_mode: build.mode().to_owned(),
            build_os: build.os().to_owned(),
            build_arch: build.arch().to_owned(),
            instance_id,
            license_key_hash: license.key_hash.clone(),
            license_valid: license.valid,
            reason,
            checksum: None,
            custom_id: custom_id.map(str::to_owned),
        };
        payload.checksum = Some(checksum(&payload));
        payload
    }

    /// The first 16 hex digits of SHA-256 over the RFC 8785 canonical JSON of the other fields.
    pub fn checksum(&self) -> &str {
        self.checksum.as_deref().unwrap_or_default()
    }

    /// The bytes of the request's body.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, a bool and a null always serialize")
    }
}

fn checksum(payload_without_checksum: &Payload) -> String {
    let canonical = serde_json_canonicalizer::to_vec(payload_without_checksum)
        .expect("strings, a bool and a null always serialize");
    lower_hex(&Sha256::digest(canonical)[..8])
}

pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
