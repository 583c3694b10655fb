//! Thirty days, in the library's own tests: time is simulated there.

use std::env;
use std::process::Command;

use crate::report::{HEAD, Report};
use crate::trial::{Context, Outcome, ensure};

/// What a line with a figure begins with.
const FIGURE: &str = "thirty days: ";

/// Runs the test, which prints its figures.
pub(crate) fn run(context: &Context, report: &mut Report) {
    // The library's own tests run it anyway.
    if context.is_reduced {
        return;
    }
    report.begin("Thirty simulated days with every fault in turn", &HEAD);
    let outcome = month();
    report.row(
        "the actors on simulated time, with fakes around them",
        "30 days",
        "memory and counts stay flat",
        outcome,
    );
}

fn month() -> Outcome {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "test",
            "--release",
            "--package",
            "deployment-telemetry",
            "--lib",
            "--",
            "thirty_days",
            "--nocapture",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| error.to_string())?;
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let figures: Vec<&str> =
        printed.lines().filter_map(|line| line.split_once(FIGURE)).map(|(_, figure)| figure).collect();
    let last: String = printed.lines().rev().take(3).collect::<Vec<_>>().join(" / ");
    ensure(output.status.success() && !figures.is_empty(), || format!("{}: {last}", output.status))?;
    Ok(figures.join("; "))
}
