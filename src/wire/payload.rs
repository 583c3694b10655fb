//! The payload: the JSON body of an event (spec §5). `docs/payload.md` explains every field.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use super::build::BuildInfo;
use super::digest;
use super::license::LicenseState;

/// Reason for which an event is sent.
///
/// ```
/// use deployment_telemetry::Reason;
///
/// let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
/// assert_eq!(words, ["begin", "update", "license-state-change", "end"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Start of a run; sent once, when the instance id and the license state are known.
    Begin,
    /// Heartbeat; sent once per frequency of the destination, and by
    /// [`send_now`](crate::Telemetry::send_now).
    Update,
    /// Change of the license key or of its validity.
    LicenseStateChange,
    /// End of a run; sent once, when the host stops the subsystem.
    End,
}

impl Reason {
    /// All reasons, in the order in which a run sends them.
    pub const ALL: &'static [Reason] = &Self::EVERY;

    /// [`ALL`](Self::ALL) as an array.
    pub(crate) const EVERY: [Reason; 4] =
        [Reason::Begin, Reason::Update, Reason::LicenseStateChange, Reason::End];

    /// Word on the wire, such as `license-state-change`.
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

/// Body of a request: exactly these fields in this order (spec §5).
///
/// ```
/// use deployment_telemetry::{BuildInfo, LicenseState, Payload, Reason, Uuid};
///
/// let build = BuildInfo::new("1.2.0").with_time("2024-02-16T23:06:23+02:00");
/// let license = LicenseState::new(None, false);
/// let payload = Payload::new(&build, Uuid::from_u128(7), &license, Reason::Begin, Some("berlin"));
/// assert_eq!(payload.checksum().len(), 16);
/// let body = String::from_utf8(payload.to_json())?;
/// assert!(body.starts_with(r#"{"build_version":"1.2.0","#) && body.ends_with(r#","custom_id":"berlin"}"#));
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payload {
    build_version: Cow<'static, str>,
    build_commit: Cow<'static, str>,
    build_time: Cow<'static, str>,
    build_mode: Cow<'static, str>,
    build_os: Cow<'static, str>,
    build_arch: Cow<'static, str>,
    instance_id: Uuid,
    license_key_hash: Option<String>,
    license_valid: bool,
    reason: Reason,
    checksum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<String>,
}

impl Payload {
    /// Creates the payload of one event and computes its checksum. `custom_id` is the operator's name for the
    /// server; it is sent to the operator's own destination only.
    pub fn new(
        build: &BuildInfo,
        instance_id: Uuid,
        license: &LicenseState,
        reason: Reason,
        custom_id: Option<&str>,
    ) -> Self {
        let mut payload = Self {
            build_version: build.version.clone(),
            build_commit: build.commit.clone(),
            build_time: build.time.clone(),
            build_mode: build.mode.clone(),
            build_os: build.os.clone(),
            build_arch: build.arch.clone(),
            instance_id,
            license_key_hash: license.key_hash.clone(),
            license_valid: license.valid,
            reason,
            checksum: String::new(),
            custom_id: custom_id.map(str::to_owned),
        };
        payload.checksum = checksum(&payload);
        payload
    }

    /// Checksum: the first 16 hexadecimal digits of the SHA-256 of the other fields as canonical JSON
    /// (RFC 8785).
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Reason for which the event is sent.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Bytes of the request's body.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

/// Payload without its checksum as canonical JSON (RFC 8785). Texts, a bool and a null already serialize to
/// canonical JSON, so only the keys have to be in order.
#[derive(Serialize)]
struct Canonical<'a> {
    build_arch: &'a str,
    build_commit: &'a str,
    build_mode: &'a str,
    build_os: &'a str,
    build_time: &'a str,
    build_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<&'a str>,
    instance_id: Uuid,
    license_key_hash: Option<&'a str>,
    license_valid: bool,
    reason: Reason,
}

fn checksum(payload: &Payload) -> String {
    let canonical = Canonical {
        build_arch: &payload.build_arch,
        build_commit: &payload.build_commit,
        build_mode: &payload.build_mode,
        build_os: &payload.build_os,
        build_time: &payload.build_time,
        build_version: &payload.build_version,
        custom_id: payload.custom_id.as_deref(),
        instance_id: payload.instance_id,
        license_key_hash: payload.license_key_hash.as_deref(),
        license_valid: payload.license_valid,
        reason: payload.reason,
    };
    digest::checksum(&to_json(&canonical))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(USUAL_LENGTH);
    serde_json::to_writer(&mut json, value).expect("strings, a bool and a null always serialize");
    json
}

/// Bytes that a payload usually fits into, so that its text is not moved while it grows.
const USUAL_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::simulation::fakes::ID;

    /// The golden files are the contract: a change of the bytes on the wire fails here.
    #[test]
    fn the_payload_has_the_bytes_of_the_golden_files() {
        let build = BuildInfo::new("0.1.0")
            .with_commit("4379644")
            .with_time("2024-02-16T23:06:23+02:00")
            .with_mode("licenced")
            .on("windows", "amd64");
        let license = LicenseState {
            key_hash: Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into()),
            valid: true,
            valid_until: None,
        };
        for (name, license, reason, custom_id, golden) in [
            (
                "custom",
                &license,
                Reason::Begin,
                Some("Žluť \"1\"\u{2028}\u{1f600}"),
                include_str!("../../tests/golden/payload-custom.json"),
            ),
            (
                "default",
                &LicenseState::default(),
                Reason::LicenseStateChange,
                None,
                include_str!("../../tests/golden/payload-default.json"),
            ),
        ] {
            let payload = Payload::new(&build, ID, license, reason, custom_id);
            assert_eq!(String::from_utf8(payload.to_json()).unwrap(), golden.trim_end(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_checksum_covers_canonical_json_for_all_values(texts in proptest::collection::vec(".*", 6), valid: bool) {
            let [version, commit, mode, time, id, hash] = texts.try_into().unwrap();
            let build = BuildInfo::new(version).with_commit(commit).with_time(time).with_mode(mode);
            let license = LicenseState { key_hash: Some(hash), valid, valid_until: None };
            let payload = Payload::new(&build, ID, &license, Reason::Update, Some(&id));
            let mut rest = serde_json::to_value(&payload).unwrap();
            let checksum = rest.as_object_mut().unwrap().remove("checksum").unwrap();
            let canonical = serde_json_canonicalizer::to_vec(&rest).unwrap();
            proptest::prop_assert_eq!(checksum, digest::checksum(&canonical));
        }
    }

    #[test]
    fn the_payload_has_the_documented_keys_in_order_and_no_others() {
        let build = BuildInfo::new("1").with_time("2024-02-16T23:06:23Z");
        let keys = |custom_id| {
            let payload = Payload::new(&build, ID, &LicenseState::default(), Reason::End, custom_id);
            let json = String::from_utf8(payload.to_json()).unwrap();
            json.split(['{', ','])
                .filter_map(|part| Some(part.split_once(':')?.0.trim_matches('"').to_owned()))
                .collect::<Vec<_>>()
        };
        let documented = [
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
            "checksum",
            "custom_id",
        ];
        assert_eq!(keys(Some("x")), documented);
        assert_eq!(keys(None), documented[..11]);
    }

    #[test]
    fn the_checksum_covers_every_other_field() {
        let build = BuildInfo::new("1").with_time("2024-02-16T23:06:23Z");
        let sum = |id, valid, reason, custom_id| {
            let license = LicenseState { valid, ..LicenseState::default() };
            Payload::new(&build, id, &license, reason, custom_id).checksum().to_owned()
        };
        let mut sums = vec![
            sum(ID, true, Reason::Begin, None),
            sum(ID, false, Reason::Begin, None),
            sum(ID, true, Reason::End, None),
            sum(ID, true, Reason::Begin, Some("x")),
            sum(Uuid::nil(), true, Reason::Begin, None),
        ];
        assert!(sums.iter().all(|sum| sum.len() == 16 && sum.bytes().all(|b| b.is_ascii_hexdigit())));
        sums.sort();
        sums.dedup();
        assert_eq!(sums.len(), 5);
    }
}
