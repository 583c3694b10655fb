//! Runs for the tests of the judgement.

use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{Facts, Run};

/// Time that is this many seconds after the beginning of the tests.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_708_117_583 + seconds).unwrap()
}

/// Run that began when it was first seen, with a valid license and `frequency` seconds between two updates.
pub(super) fn run(id: u128, first_seen: i64, last_seen: i64, frequency: i64) -> Run {
    Run {
        run_id: Uuid::from_u128(id),
        first_seen_at: at(first_seen),
        last_seen_at: at(last_seen),
        begun: true,
        ended_at: None,
        last_sequence: 1,
        frequency: Some(frequency as i32),
        updates: 0,
        first_update_at: None,
        last_update_at: None,
        facts: Facts { license_valid: true, ..Facts::default() },
        facts_at: at(last_seen),
        lost_at: None,
        forked_at: None,
    }
}
