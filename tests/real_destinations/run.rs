//! A whole run of a host, and what it must have told.

use deployment_telemetry::{Config, License, Outcome, Reason, Telemetry};
use serde_json::Value;

use crate::host::{MemoryStore, block_on, on, wait_for_attempts};

/// Begin, update, license state change and end at one destination.
pub(crate) struct Run {
    /// The payloads, as the library itself previews them.
    pub(crate) payloads: Vec<Value>,
    /// What became of each.
    pub(crate) outcomes: Vec<Outcome>,
}

pub(crate) fn whole_run(config: Config) -> Run {
    let telemetry = start(config);
    wait_for_attempts(&telemetry, 1);
    let mut payloads = vec![previewed(&telemetry, Reason::Begin), previewed(&telemetry, Reason::Update)];
    block_on(telemetry.send_now()).expect("it has begun");
    telemetry.license_changed(License::none());
    wait_for_attempts(&telemetry, 3);
    payloads.push(previewed(&telemetry, Reason::LicenseStateChange));
    payloads.push(previewed(&telemetry, Reason::End));
    block_on(telemetry.stop());

    let attempts = wait_for_attempts(&telemetry, 4).attempts;
    let reasons: Vec<Reason> = attempts.iter().rev().map(|attempt| attempt.reason).collect();
    assert_eq!(reasons, Reason::ALL);
    Run { payloads, outcomes: attempts.into_iter().rev().map(|attempt| attempt.outcome).collect() }
}

/// What becomes of `begin`.
pub(crate) fn begin(config: Config) -> Outcome {
    let telemetry = start(config);
    let outcome = wait_for_attempts(&telemetry, 1).attempts[0].outcome.clone();
    block_on(telemetry.stop());
    outcome
}

pub(crate) fn start(config: Config) -> Telemetry {
    let licensed = License::valid("abc");
    on(MemoryStore::new()).config(config).license(licensed).start().expect("the settings can be used")
}

fn previewed(telemetry: &Telemetry, reason: Reason) -> Value {
    let previews = telemetry.preview();
    let payloads = previews.iter().map(|request| serde_json::to_value(&request.body).expect("it is JSON"));
    payloads.into_iter().find(|payload| payload["reason"] == reason.as_str()).expect("one for each reason")
}

impl Run {
    /// Every event was answered with this status.
    #[track_caller]
    pub(crate) fn assert_answered(&self, status: u16) {
        assert_eq!(self.outcomes, vec![Outcome::Status(status); 4]);
    }

    /// These lines are the payloads, in this order, and nothing else.
    #[track_caller]
    pub(crate) fn assert_arrived(&self, lines: &str) {
        let arrived: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(arrived, self.payloads);
    }
}
