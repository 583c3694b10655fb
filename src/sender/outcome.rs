//! The outcome of an event: a status code, or the reason why there is none (spec §1).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::config::DestinationName;
use crate::outgoing::failure::Failure;
use crate::wire::payload::Reason;
use crate::wire::rfc3339::as_rfc3339;

/// Outcome of one event at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The destination answered with this status code.
    Status(u16),
    /// There was no answer with a status code.
    Failed(Failure),
}

impl Outcome {
    /// Whether the destination accepted the event, which any status from 200 to 299 means.
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

/// Event whose outcome at a destination is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Delivered {
    /// Destination of the event.
    pub destination: DestinationName,
    /// Reason of the event.
    pub reason: Reason,
    /// Time at which the attempt began, or at which the event was given up without an attempt.
    #[serde(serialize_with = "as_rfc3339::serialize")]
    pub at: SystemTime,
    /// Outcome of the event.
    pub outcome: Outcome,
    /// Likely cause of a refusal where the answer reveals more than its status does: a wrong clock of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Duration of the attempt; zero without one. Serialized in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Report of a stop: the outcome of the event `end` at each destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopReport {
    /// Outcomes, one per destination. A destination is missing where `begin` was never sent to it, or where the
    /// subsystem did not answer within the time of the stop.
    pub ends: Vec<Delivered>,
    /// Whether the subsystem was running when it was stopped.
    pub was_running: bool,
    /// Duration of the stop.
    #[serde(skip)]
    pub took: Duration,
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms", self.took.as_millis())?;
        match self.ends.as_slice() {
            [] => f.write_str(", no end to send"),
            ends => ends.iter().try_for_each(|end| write!(f, ", {} {}", end.destination, end.outcome)),
        }
    }
}

/// Error of [`Telemetry::send_now`](crate::Telemetry::send_now): the reason why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendNowError {
    /// There is no active destination.
    #[error("telemetry has no active destination; set its mode to custom, default or both, and restart")]
    Disabled,
    /// `begin` was not sent yet, because the instance id is not known.
    #[error("telemetry has not begun yet, because the instance id could not be read; check the state store")]
    NotBegun,
    /// The subsystem is stopped or down, or 16 calls wait already.
    #[error("telemetry is stopped, down or busy; see its status")]
    NotRunning,
}
