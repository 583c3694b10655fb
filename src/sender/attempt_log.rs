//! The log lines about the events of one destination (spec §1, §9).

use super::config::DestinationName;
use super::outcome::{Delivered, Outcome};

/// Log of one destination: a line at `DEBUG` for each event, and a louder one when the destination begins to fail
/// and when it recovers.
pub(super) struct AttemptLog {
    name: DestinationName,
    /// Host of the destination.
    host: String,
    /// Whether the last attempt succeeded; `None` before the first.
    is_healthy: Option<bool>,
}

impl AttemptLog {
    pub(super) fn new(name: DestinationName, host: String) -> Self {
        Self { name, host, is_healthy: None }
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
                tracing::info!("[telemetry:{}] {} accepts events again", self.name, self.host);
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
        let Self { name, host, .. } = self;
        match &delivered.outcome {
            Outcome::Failed(failure) => tracing::warn!(
                "[telemetry:{name}] an event did not reach {host} ({}): {failure}; further failures are logged at debug",
                failure.cause
            ),
            Outcome::Status(code) => tracing::warn!(
                "[telemetry:{name}] {host} refused an event: {}; further failures are logged at debug",
                explain_status(*code, delivered.hint.as_deref())
            ),
        }
    }
}

/// Explanation of a status that is not a success, with a hint at what to do.
fn explain_status(code: u16, hint: Option<&str>) -> String {
    let hint = hint.unwrap_or(match code {
        300..=399 => "a redirect, which is not followed; configure the URL to which it points",
        401 | 403 => "check the token of the AUTH setting",
        404 => "check the path of the URL",
        407 => "the proxy requires authentication; put user:password@ into the proxy's URL",
        429 => "too many requests; the next event is sent on schedule",
        500..=599 => "an error inside the destination; check its log",
        _ => "the destination does not accept this kind of event",
    });
    format!("status {code}, {hint}")
}
