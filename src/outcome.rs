//! What became of an event: the status code, or why there is none (spec §1).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::config::DestinationName;
use crate::wire::payload::Reason;
use crate::wire::rfc3339::as_rfc3339;

/// What became of one event at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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

/// In characters; more than that nobody reads.
const LONGEST_MESSAGE: usize = 500;

/// Why a request got no status code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of thing went wrong.
    pub cause: Cause,
    /// In words an operator can act on; holds no secret.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // A certificate may name a thousand hosts.
        if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        Self { cause, message }
    }
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The name of the destination (or of the proxy) could not be resolved.
    Dns,
    /// Nobody listens at the address.
    Refused,
    /// The address cannot be reached.
    Unreachable,
    /// No TLS session came about: an unknown CA, a wrong name, an expired certificate and so on.
    Tls,
    /// The proxy did not open a tunnel.
    Proxy,
    /// The 5 seconds were over.
    TimedOut,
    /// The connection ended before a status code came.
    Disconnected,
    /// What came back is not HTTP.
    InvalidResponse,
    /// The subsystem was stopped, or stopped working, before the event was through.
    Abandoned,
    /// Too many events were waiting.
    Dropped,
    /// A fault of this crate: please report it.
    Internal,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Dns => "dns",
            Cause::Refused => "refused",
            Cause::Unreachable => "unreachable",
            Cause::Tls => "tls",
            Cause::Proxy => "proxy",
            Cause::TimedOut => "timed_out",
            Cause::Disconnected => "disconnected",
            Cause::InvalidResponse => "invalid_response",
            Cause::Abandoned => "abandoned",
            Cause::Dropped => "dropped",
            Cause::Internal => "internal",
        })
    }
}

/// One event that a destination is through with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_length() {
        let failure = Failure::new(Cause::Tls, "é".repeat(100_000));
        assert_eq!(failure.message.chars().count(), LONGEST_MESSAGE + 1);
        assert!(failure.message.ends_with("é…"));
    }
}
