//! How much later a host with telemetry answers its first request.

use std::process::Command;
use std::time::Duration;

use test_support::{Behaviour, FakeDestination, TestDatabase};

use crate::samples::{Samples, short};
use crate::stopwatch::now;
use crate::subject::{self, MemoryStore};
use crate::table::Table;
use crate::{HOST, host};

const LIMIT: Duration = Duration::from_millis(5);
const RUNS: usize = 40;

/// Measures from the start of a process until it has answered, with and without telemetry by turns.
pub(crate) fn measure(table: &mut Table) {
    let (database, destination) = (TestDatabase::new(), FakeDestination::start(Behaviour::Ok));
    let run = |with_telemetry: bool| {
        let mut command = Command::new(subject::this_program());
        command.arg(HOST);
        if with_telemetry {
            command.arg(database.url());
        }
        command.env("SIRVEO_TELEMETRY_MODE", "custom").env("SIRVEO_TELEMETRY_URL", destination.url());
        let began = now();
        let process = host::start(command);
        let took = began.elapsed();
        drop(process);
        took
    };
    run(false);
    let (bare, with): (Vec<_>, Vec<_>) = (0..RUNS).map(|_| (run(false), run(true))).unzip();
    let (bare, with) = (Samples::from_iter(bare), Samples::from_iter(with));
    let later = with.median().as_secs_f64() - bare.median().as_secs_f64();
    table.judge(
        "host answers later, difference of medians",
        format!("{:+.1} ms", later * 1e3),
        short(LIMIT),
        later < LIMIT.as_secs_f64(),
    );
    table.inform("  host without telemetry answers after", bare.median_and_max());
    table.inform("  host with telemetry answers after", with.median_and_max());

    let calls = Samples::take(RUNS, || {
        let began = now();
        let telemetry = subject::start_custom(MemoryStore, &destination.url());
        let took = began.elapsed();
        subject::stop(&telemetry);
        took
    });
    table.inform("  start() alone", calls.median_and_max());
}
