//! What became of an event: the status code, or why there is none (spec §1).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::config::DestinationName;
use crate::outgoing::failure::Failure;
use crate::wire::payload::Reason;
use crate::wire::rfc3339::as_rfc3339;

/// What became of one event at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The destination answered with this status code.
    Status(u16),
    /// It did not.
    Failed(Failure),
}

impl Outcome {
    /// Whether the destination took the event: any status from 200 to 299.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Status(200..=299))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Status(code) => write!(f, "status={code}"),
            Outcome::Failed(failure) => write!(f, "cause={} error={:?}", failure.cause, failure.message),
        }
    }
}

/// One event that a destination is through with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Delivered {
    /// Where it went.
    pub destination: DestinationName,
    /// Why it was sent.
    pub reason: Reason,
    /// When the attempt began, or when it was given up without one.
    #[serde(serialize_with = "as_rfc3339::serialize")]
    pub at: SystemTime,
    /// What became of it.
    pub outcome: Outcome,
    /// How long the attempt took.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// What became of the `end` of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopReport {
    /// One for each destination that was to be told. A destination is missing where `begin` was never
    /// sent to it, or where the subsystem did not answer.
    pub ends: Vec<Delivered>,
    /// The subsystem was alive when it was stopped.
    pub was_running: bool,
    /// How long the stop took.
    #[serde(skip)]
    pub took: Duration,
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms", self.took.as_millis())?;
        match self.ends.as_slice() {
            [] => f.write_str(", nothing to tell"),
            ends => ends.iter().try_for_each(|end| write!(f, ", {} {}", end.destination, end.outcome)),
        }
    }
}
