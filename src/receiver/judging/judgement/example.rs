//! Instances and runs for the tests of the judgement.

use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{Facts, Flags, Instance, Losses, Run, State};

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
        imported_until: None,
    }
}

/// The same run with an `end` as its last event.
pub(super) fn ended(run: Run) -> Run {
    Run { ended_at: Some(run.last_seen_at), ..run }
}

/// The same run with another frequency, or with none that is known.
pub(super) fn every(frequency: Option<i32>, run: Run) -> Run {
    Run { frequency, ..run }
}

/// Instance as it was judged at the beginning, when it was up.
pub(super) fn instance() -> Instance {
    Instance {
        instance_id: Uuid::from_u128(7),
        first_seen_at: at(0),
        last_seen_at: at(0),
        state: State::Up,
        state_since: at(0),
        flags: Flags::default(),
        losses: Losses::default(),
        begins_since: None,
        untold: false,
        frequency: 3600,
        facts: Facts { license_valid: true, ..Facts::default() },
        judged_at: Some(at(0)),
    }
}
