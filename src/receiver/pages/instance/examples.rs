//! What the tests of a server's page are about.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::receiver::api::history::{RunRow, TransitionRow};
use crate::receiver::api::moment::Moment;

pub(super) fn now() -> Timestamp {
    "2026-11-26T03:14:00Z".parse().unwrap()
}

/// The time that is this many hours after now.
pub(super) fn at(hours: f64) -> Timestamp {
    now() + SignedDuration::from_secs((hours * 3_600.0).round() as i64)
}

pub(super) fn run_id(number: u16) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// A run that was first and last seen this many hours after now, with the release 2.3.1.
pub(super) fn run(number: u16, first: f64, last: f64) -> RunRow {
    RunRow {
        run_id: run_id(number),
        first_seen_at: Moment(at(first)),
        last_seen_at: Moment(at(last)),
        begun: true,
        ended_at: None,
        lost_at: None,
        forked_at: None,
        updates: 3,
        build_version: "2.3.1".to_owned(),
        license_valid: true,
    }
}

pub(super) fn change(hours: f64, change: &'static str, from: Option<&str>, to: &str) -> TransitionRow {
    TransitionRow { at: Moment(at(hours)), change, from: from.map(str::to_owned), to: to.to_owned() }
}
