//! How long a host takes from SIGTERM to its end: with a network that is well, and with one that swallows everything.

use std::thread;
use std::time::Duration;

use test_support::{Behaviour, FakeDestination, wait_until};

use crate::black_hole::BlackHole;
use crate::host::{Each, Host};
use crate::proc;
use crate::running::{Running, State, Target};
use crate::table::{Table, milliseconds};
use crate::values::Values;

const ROUNDS_WELL: usize = 10;
const ROUNDS_DEAD: usize = 5;

/// Longer than most wait before they kill: Docker 10 seconds, Kubernetes 30.
const LIMIT: Duration = Duration::from_secs(60);

/// Far more than anything here takes that works at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Since when the network is dead.
#[derive(Clone, Copy)]
enum Since {
    Begin,
    TheStart,
}

pub(crate) fn measure(state: &State, table: &mut Table) {
    eprintln!("stop: {ROUNDS_WELL} stops of each with a network that is well");
    let mut took = Each::<Values>::default();
    for round in 0..ROUNDS_WELL {
        for host in Host::by_turns(round) {
            took[host as usize].add(well(host, state));
        }
    }
    let figure = format!("SIGTERM until the end, network well, median of {ROUNDS_WELL}");
    table.compare(&figure, took.each_ref().map(Values::median), milliseconds);
    table.middle_half(&took, milliseconds);

    eprintln!(
        "stop: {ROUNDS_DEAD} stops of each with a network that is dead, twice, up to {} s",
        LIMIT.as_secs()
    );
    for (since, words) in [(Since::Begin, "dead since begin"), (Since::TheStart, "dead from the start")] {
        let took = dead(since, state);
        let figure = format!("SIGTERM until the end, network {words}, median of {ROUNDS_DEAD}");
        table.compare(&figure, took.map(|values| values.median()), |seconds| match seconds {
            f64::INFINITY => format!("over {} s", LIMIT.as_secs()),
            seconds => format!("{seconds:.2} s"),
        });
    }
}

fn well(host: Host, state: &State) -> f64 {
    let destination = FakeDestination::start(Behaviour::Ok);
    let (running, _) = Running::start(host, state, Target { scheme: "http", address: destination.address() });
    if host.reports() {
        destination.wait_for_requests(1, PATIENCE);
    }
    let took = running.stop(LIMIT).expect("a host stops in time where the network is well");
    let events = if host.reports() { 2 } else { 0 };
    assert_eq!(destination.requests().len(), events, "{host:?} has told its begin and its end");
    took.as_secs_f64()
}

/// All at once: they only wait.
fn dead(since: Since, state: &State) -> Each<Values> {
    let mut took = Each::<Values>::default();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..ROUNDS_DEAD)
            .flat_map(Host::by_turns)
            .map(|host| (host, scope.spawn(move || stop_dead(host, since, state))))
            .collect();
        for (host, run) in runs {
            took[host as usize].add(run.join().expect("no run panics"));
        }
    });
    took
}

fn stop_dead(host: Host, since: Since, state: &State) -> f64 {
    let mut network = BlackHole::new();
    let to = Target { scheme: "http", address: network.address() };
    let running = match since {
        Since::Begin => {
            let (running, _) = Running::start(host, state, to);
            if host.reports() {
                network.answer_one();
            }
            network.swallow();
            running
        }
        Since::TheStart => {
            network.swallow();
            let (running, _) = Running::start(host, state, to);
            let knocks = || proc::knocks_at(running.id(), to.address.port());
            if host.reports() {
                wait_until("begin is under way", PATIENCE, knocks);
            }
            running
        }
    };
    running.stop(LIMIT).map_or(f64::INFINITY, |took| took.as_secs_f64())
}
