//! The log lines about the events of one destination (spec §1, §9).

use super::config::DestinationName;
use super::outcome::{Delivered, Outcome};
use crate::outgoing::endpoint::Endpoint;

/// Log of one destination: a line at `DEBUG` for each event, and a louder one when the destination begins to fail
/// and when it recovers.
pub(super) struct AttemptLog {
    name: DestinationName,
    /// Host and port of the destination, or its file.
    place: String,
    /// Whether the last attempt succeeded; `None` before the first.
    is_healthy: Option<bool>,
}

impl AttemptLog {
    pub(super) fn new(name: DestinationName, endpoint: &Endpoint) -> Self {
        let place = if endpoint.is_file() { endpoint.host() } else { endpoint.authority() };
        Self { name, place, is_healthy: None }
    }

    /// Logs an event that was given up without an attempt.
    pub(super) fn given_up(&self, delivered: &Delivered) {
        self.line(delivered);
    }

    /// Logs an attempt to send an event.
    pub(super) fn attempted(&mut self, delivered: &Delivered) {
        self.line(delivered);
        let is_success = delivered.outcome.is_success();
        let was_healthy = self.is_healthy.replace(is_success);
        match (was_healthy, is_success) {
            (Some(false), true) => {
                tracing::info!("[telemetry:{}] {} accepts events again", self.name, self.place);
            }
            (None | Some(true), false) => self.first_failure(delivered),
            (Some(false), false) | (None | Some(true), true) => {}
        }
    }

    fn line(&self, Delivered { reason, outcome, hint, .. }: &Delivered) {
        let verb = if matches!(outcome, Outcome::Status(_)) { "sent" } else { "failed" };
        let hint = hint.as_ref().map(|hint| format!(" hint={hint:?}")).unwrap_or_default();
        tracing::debug!("[telemetry:{}] {verb} reason={reason} {outcome}{hint}", self.name);
    }

    fn first_failure(&self, delivered: &Delivered) {
        let Self { name, place, .. } = self;
        let Delivered { reason, outcome, hint, .. } = delivered;
        match outcome {
            Outcome::Failed(failure) => tracing::warn!(
                "[telemetry:{name}] event {reason} to {place} failed ({}): {failure}; further failures are logged at debug",
                failure.cause
            ),
            Outcome::Status(code) => tracing::warn!(
                "[telemetry:{name}] {place} refused event {reason}: status {code}, {}; further failures are logged at debug",
                hint.as_deref().unwrap_or(explain_status(*name, *code))
            ),
        }
    }
}

/// Explanation of a status that is not a success, with what can be done. An operator can correct nothing about the
/// vendor's destination, but can stop sending to it.
fn explain_status(name: DestinationName, code: u16) -> &'static str {
    match (name, code) {
        (_, 407) => "the proxy requires authentication; put user:password@ into the proxy's URL",
        (DestinationName::Default, _) => {
            "only the vendor can correct this; set DO_NOT_TRACK=1 and restart to stop sending"
        }
        (_, 300..=399) => "a redirect, which is not followed; configure the URL to which it points",
        (_, 400 | 422) => {
            "the destination rejects the payload; check that the URL is the right one, and the destination's log"
        }
        (_, 401) => "check the settings AUTH and SIGNING_SECRET, and the clock of this machine",
        (_, 403) => {
            "check the setting AUTH; the receiver fleet also answers this if the instance belongs to another webhook key"
        }
        (_, 404) => {
            "check the path of the URL; the receiver fleet also answers this if the webhook key is unknown or revoked"
        }
        (_, 429) => {
            "too many requests; the receiver fleet also answers this if the webhook key reports too many new instances"
        }
        (_, 500..=599) => "an error inside the destination; check its log",
        _ => "the destination does not accept this kind of event; check that the URL is the right one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_correct_what_is_the_vendors() {
        for code in [100, 301, 400, 401, 403, 404, 422, 429, 503] {
            assert!(explain_status(DestinationName::Default, code).starts_with("only the vendor"), "{code}");
            assert!(!explain_status(DestinationName::Custom, code).contains("vendor"), "{code}");
        }
    }
}
