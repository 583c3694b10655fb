//! The program `webhook` of Debian's.

use std::{collections::BTreeSet, process::Command};

use deployment_telemetry::Outcome;
use test_support::{programs, wait_until};

use crate::{
    host::SOON,
    recipe::Recipe,
    run::{begin, whole_run},
    running::Running,
};

#[test]
fn webhook_runs_its_command_for_every_event() {
    let webhook = Running::start("webhook");
    let run = whole_run(webhook.recipe.settings());
    run.assert_answered(200);

    // It answers before the command has run, and commands run side by side.
    let seen = webhook.recipe.block("seen");
    wait_until("every command has run", SOON, || {
        webhook.file("telemetry.jsonl").ends_with('\n')
            && webhook.file("telemetry.jsonl").lines().count() == 4
    });
    assert_eq!(sorted(&webhook.file("telemetry.log")), sorted(seen));
    let payloads: Vec<String> = run.payloads.iter().map(ToString::to_string).collect();
    assert_eq!(json(&webhook.file("telemetry.jsonl")), json(&payloads.join("\n")));

    let stranger = webhook.recipe.settings().auth("another-token");
    assert_eq!(begin(stranger), Outcome::Status(401));
}

#[test]
fn the_webhook_that_is_run_is_the_one_in_the_table() {
    let output = Command::new(programs::debian("webhook", "webhook")).arg("-version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let row = Recipe::of("webhook").row();
    assert!(version.contains("version 2.8.") && row.contains("run: 2.8,"), "{version} {row}");
}

fn sorted(lines: &str) -> BTreeSet<&str> {
    lines.lines().collect()
}

/// The payloads without their order.
fn json(lines: &str) -> BTreeSet<String> {
    let payloads = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    payloads.map(|payload| payload.to_string()).collect()
}
