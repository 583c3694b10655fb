//! What a host costs while it idles: memory, threads, how often they wake, and their time on a core.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use test_support::{Behaviour, FakeDestination, wait_until};

use crate::host::{Each, Host};
use crate::proc::{self, Thread, Usage};
use crate::running::{Running, State, Target};
use crate::table::{Table, count, megabytes, microseconds};
use crate::values::Values;

/// How many of each report by plain HTTP, and how many by TLS.
const PLAIN: usize = 5;
const BY_TLS: usize = 3;

/// After this, threads of tokio's blocking pool have ended, which wait 10 seconds for more work.
const SETTLING: Duration = Duration::from_secs(12);
const WATCHING: Duration = Duration::from_secs(120);

const PATIENCE: Duration = Duration::from_secs(20);

struct Idling {
    host: Host,
    running: Running,
    destination: FakeDestination,
}

/// All idle at the same time.
pub(crate) fn measure(state: &State, table: &mut Table) {
    eprintln!("idle: {} hosts are watched for {} s", hosts(), (SETTLING + WATCHING).as_secs());
    let plain = start(state, PLAIN, "http", Behaviour::Ok);
    let by_tls = start(state, BY_TLS, "https", Behaviour::BrokenTls);
    for idling in plain.iter().chain(&by_tls).filter(|idling| idling.host.reports()) {
        let was_called = || idling.destination.connections() > 0;
        wait_until("each host that reports calls its destination", PATIENCE, was_called);
    }
    thread::sleep(SETTLING);
    let settled = usages(&plain);
    memory(table, "", &settled);
    memory(table, ", https destination", &usages(&by_tls));
    let threads = medians(&settled, |usage| usage.threads.len() as f64);
    table.compare("threads", threads, count);

    thread::sleep(WATCHING);
    let watched = usages(&plain);
    let own = threads_of_its_own(&settled);
    let mut a_minute = |figure: &str, value: fn(&Thread) -> f64, show: fn(f64) -> String| {
        let more = |counts: &dyn Fn(&Thread) -> bool| {
            let sum =
                |usage: &Usage| usage.threads.iter().filter(|thread| counts(thread)).map(value).sum::<f64>();
            let pairs = settled.iter().zip(&watched);
            let seen: Vec<(Host, f64)> =
                pairs.map(|((host, before), (_, after))| (*host, sum(after) - sum(before))).collect();
            medians(&seen, |more| more * 60.0 / WATCHING.as_secs_f64())
        };
        table.compare(&format!("{figure} a minute"), more(&|_| true), show);
        let of_own = more(&|thread| own.contains(&thread.name));
        table.inform("  of the additional threads", of_own, show);
    };
    a_minute("wake-ups", |thread| thread.sleeps as f64, count);
    a_minute("time on a core", |thread| thread.cpu.as_secs_f64(), microseconds);
}

/// Names of the threads that a host without telemetry has not. A loop in the host's own threads has none, and drowns in
/// what these do anyway.
fn threads_of_its_own(settled: &[(Host, Usage)]) -> BTreeSet<String> {
    let names = |reports: bool| {
        let hosts = settled.iter().filter(move |(host, _)| host.reports() == reports);
        hosts.flat_map(|(_, usage)| &usage.threads).map(|thread| thread.name.clone()).collect::<BTreeSet<_>>()
    };
    &names(true) - &names(false)
}

const fn hosts() -> usize {
    (PLAIN + BY_TLS) * Host::ALL.len()
}

fn start(state: &State, of_each: usize, scheme: &'static str, behaviour: Behaviour) -> Vec<Idling> {
    let hosts = (0..of_each).flat_map(Host::by_turns);
    let start = |host| {
        let destination = FakeDestination::start(behaviour.clone());
        let (running, _) = Running::start(host, state, Target { scheme, address: destination.address() });
        Idling { host, running, destination }
    };
    hosts.map(start).collect()
}

fn usages(hosts: &[Idling]) -> Vec<(Host, Usage)> {
    hosts.iter().map(|idling| (idling.host, proc::usage(idling.running.id()))).collect()
}

fn memory(table: &mut Table, condition: &str, settled: &[(Host, Usage)]) {
    let resident = medians(settled, |usage| usage.resident as f64);
    table.compare(&format!("resident memory{condition}"), resident, megabytes);
    let anonymous = medians(settled, |usage| usage.anonymous as f64);
    table.compare(&format!("of which anonymous{condition}"), anonymous, megabytes);
}

fn medians<T>(seen: &[(Host, T)], value: impl Fn(&T) -> f64) -> Each<f64> {
    let mut values = Each::<Values>::default();
    for (host, seen) in seen {
        values[*host as usize].add(value(seen));
    }
    values.map(|values| values.median())
}
