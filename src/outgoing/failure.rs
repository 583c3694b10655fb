//! Why a request got no status code.

use std::fmt;

use serde::Serialize;

/// Length of a message, in characters, beyond which it is cut.
const LONGEST_MESSAGE: usize = 500;

/// Why a request got no status code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
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
    /// The file of a `file:` destination cannot be written.
    File,
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
            Cause::File => "file",
            Cause::Abandoned => "abandoned",
            Cause::Dropped => "dropped",
            Cause::Internal => "internal",
        })
    }
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
