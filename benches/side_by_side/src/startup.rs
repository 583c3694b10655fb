//! How long a host takes from the start of its process until it has answered its first request.

use test_support::{Behaviour, FakeDestination};

use crate::host::{Each, Host};
use crate::running::{Running, State, Target};
use crate::table::{Table, milliseconds};
use crate::values::Values;

const ROUNDS: usize = 60;

/// Starts all by turns.
pub(crate) fn measure(state: &State, table: &mut Table) {
    eprintln!("start-up: {ROUNDS} starts of each");
    let destination = FakeDestination::start(Behaviour::Ok);
    let to = Target { scheme: "http", address: destination.address() };
    // The first makes the instance id; the second begins with a file cache like that of all others.
    for host in Host::ALL.into_iter().chain(Host::ALL) {
        Running::start(host, state, to);
    }
    let mut took = Each::<Values>::default();
    for round in 0..ROUNDS {
        for host in Host::by_turns(round) {
            let (running, seconds) = Running::start(host, state, to);
            drop(running);
            took[host as usize].add(seconds.as_secs_f64());
        }
    }
    let figure = format!("start until /healthz answers, median of {ROUNDS}");
    table.compare(&figure, took.each_ref().map(Values::median), milliseconds);
    table.middle_half(&took, milliseconds);
}
