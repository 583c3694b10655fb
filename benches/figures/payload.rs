//! What a payload costs: its checksum and its JSON.

use std::hint::black_box;
use std::time::Duration;

use deployment_telemetry::{LicenseState, Payload, Reason};
use uuid::Uuid;

use crate::samples::{Samples, short};
use crate::stopwatch::time;
use crate::subject;
use crate::table::Table;

const LIMIT: Duration = Duration::from_micros(5);
const PAYLOADS: usize = 100_000;

/// Measures the payload of a `begin`, with and without what makes it a payload.
pub(crate) fn measure(table: &mut Table) {
    let (build, instance_id) = (subject::build_info(), Uuid::new_v4());
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let license = LicenseState::new(Some(hash.to_owned()), true);
    let payload = || {
        let custom_id = Some("edge-gateway-berlin-2");
        Payload::new(black_box(&build), instance_id, &license, Reason::Begin, custom_id)
    };
    let whole = Samples::take(PAYLOADS, || time(|| drop(black_box(payload().to_json()))));

    let made = payload();
    let json_alone = Samples::take(PAYLOADS, || time(|| drop(black_box(black_box(&made).to_json()))));

    let mut plain: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&made.to_json()).expect("a payload is JSON");
    plain.remove("checksum");
    let baseline =
        Samples::take(PAYLOADS, || time(|| drop(black_box(serde_json::to_vec(black_box(&plain))))));

    let is_met = whole.median() < LIMIT;
    table.judge("payload with checksum and JSON", whole.median_and_p99(), short(LIMIT), is_met);
    table.inform("  its JSON alone, checksum included", json_alone.median_and_p99());
    table.inform("  to compare: serde_json of an equal map", baseline.median_and_p99());
}
