//! What the receiver does not do yet. The tests tolerate exactly this: what holds although it stands here fails them too.
//! Empty the lists, and set the constant, when the receiver does all of it.

use crate::scenarios::Scenario;

/// Fields of the API, and changes of transitions, that may be missing.
pub const MISSING: &[&str] = &["cloned", "losses", "run-lost", "version", "key"];

/// Scenarios in which the receiver says something wrong.
pub const KNOWN_TO_FAIL: &[Scenario] = &[
    Scenario::Replicas,
    Scenario::FirstDeployment,
    Scenario::RollingSurge,
    Scenario::Rolling,
    Scenario::BlueGreen,
    Scenario::Autoscaled,
    Scenario::Canary,
    Scenario::SingleCrash,
    Scenario::ReplicaDies,
    Scenario::DeathBehindAnEnd,
    Scenario::AllDie,
    Scenario::AllDieAndReturn,
    Scenario::CrashLoop,
    Scenario::FastCrashLoop,
    Scenario::Snapshot,
    Scenario::HostileKey,
    Scenario::NumberFarAhead,
];

/// Whether the number of new instances of a key is limited.
pub const LIMITS_NEW_INSTANCES: bool = false;
