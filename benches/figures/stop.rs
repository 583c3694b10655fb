//! How long `stop` takes, with a network that is well and with one that swallows everything.

use std::thread;
use std::time::Duration;

use deployment_telemetry::Telemetry;
use test_support::{Behaviour, FakeDestination, wait_until};

use crate::black_hole::BlackHole;
use crate::samples::{Samples, short};
use crate::stopwatch::time;
use crate::subject;
use crate::table::Table;

const WELL_LIMIT: Duration = Duration::from_millis(50);
const SWALLOWED_LIMIT: Duration = Duration::from_millis(5_200);
const WELL_RUNS: usize = 20;
const SWALLOWED_RUNS: usize = 3;

/// A figure, and one run of it.
type Way = (&'static str, fn() -> Duration);

/// Measures stops with two destinations, `custom` and `default`.
pub(crate) fn measure(table: &mut Table) {
    let well = Samples::take(WELL_RUNS, well);
    let is_met = well.max() < WELL_LIMIT;
    table.judge("stop, both destinations well", well.median_and_max(), short(WELL_LIMIT), is_met);

    let ways: [Way; 4] = [
        ("stop, packets swallowed from the start", black_hole_from_the_start),
        ("stop, packets swallowed since begin", black_hole_since_begin),
        ("stop, no answer from the start", silent_from_the_start),
        ("stop, no answer since begin", silent_since_begin),
    ];
    // All at once: they only wait.
    let running = ways.map(|(figure, run)| (figure, [run; SWALLOWED_RUNS].map(thread::spawn)));
    for (figure, runs) in running {
        let runs: Samples = runs.into_iter().map(|run| run.join().expect("no run panics")).collect();
        let is_met = runs.max() < SWALLOWED_LIMIT;
        table.judge(figure, runs.median_and_max(), short(SWALLOWED_LIMIT), is_met);
    }
}

fn well() -> Duration {
    let [custom, vendor] = [Behaviour::Ok, Behaviour::Ok].map(FakeDestination::start);
    let telemetry = subject::start_both(&custom.url(), &vendor.url());
    subject::wait_for_begin(&telemetry);
    let took = stop(&telemetry);
    assert_eq!([&custom, &vendor].map(|to| to.requests().len()), [2, 2], "begin and end have arrived");
    took
}

fn silent_from_the_start() -> Duration {
    let destinations = [Behaviour::HangBeforeHead, Behaviour::HangBeforeHead].map(FakeDestination::start);
    let telemetry = subject::start_both(&destinations[0].url(), &destinations[1].url());
    for destination in &destinations {
        destination.wait_for_requests(1, subject::PATIENCE);
    }
    stop(&telemetry)
}

fn silent_since_begin() -> Duration {
    let destinations = [Behaviour::Ok, Behaviour::Ok].map(FakeDestination::start);
    let telemetry = subject::start_both(&destinations[0].url(), &destinations[1].url());
    subject::wait_for_begin(&telemetry);
    for destination in &destinations {
        destination.set_behaviour(Behaviour::HangBeforeHead);
    }
    stop(&telemetry)
}

fn black_hole_from_the_start() -> Duration {
    let mut holes = [BlackHole::new(), BlackHole::new()];
    holes.iter_mut().for_each(BlackHole::swallow);
    let telemetry = subject::start_both(&holes[0].url(), &holes[1].url());
    wait_until("the id is known, so that begin is under way", subject::PATIENCE, || {
        telemetry.status().instance_id.is_some()
    });
    stop(&telemetry)
}

fn black_hole_since_begin() -> Duration {
    let mut holes = [BlackHole::new(), BlackHole::new()];
    let telemetry = subject::start_both(&holes[0].url(), &holes[1].url());
    holes.iter().for_each(BlackHole::answer_one);
    subject::wait_for_begin(&telemetry);
    holes.iter_mut().for_each(BlackHole::swallow);
    stop(&telemetry)
}

fn stop(telemetry: &Telemetry) -> Duration {
    time(|| drop(subject::stop(telemetry)))
}
