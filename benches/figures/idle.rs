//! What telemetry costs a host that idles: memory, threads, and how often they wake.
//!
//! Hosts of every kind idle at the same time, beside everything else that is measured here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use test_support::wait_until;

use crate::host::{Kind, RunningHost};
use crate::proc::{self, Memory};
use crate::stopwatch::now;
use crate::subject;
use crate::table::Table;

/// The kinds of host.
const KINDS: [Kind; 5] = [Kind::Bare, Kind::Postgres, Kind::Sqlite, Kind::Https, Kind::Disabled];

/// Number of hosts of each kind: which pages of its program come into the memory of a process depends on where the system puts
/// it.
const HOSTS: usize = 5;

/// 4 MB, in kibibytes.
const MEMORY_LIMIT: i64 = 4_000_000 / 1024;

/// After this, threads of the blocking pool have ended, which wait 10 seconds for more work.
const SETTLING: Duration = Duration::from_secs(12);
const WATCHING: Duration = Duration::from_secs(130);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// What wakes a thread and what follows from it is one moment.
const MOMENT: Duration = Duration::from_secs(1);

/// Once a minute, wherever the watching begins.
const MOST_MOMENTS: u32 = WATCHING.as_secs().div_ceil(60) as u32;

/// Hosts that idle, and the thread that watches them.
pub(crate) struct Watch(JoinHandle<Vec<Observed>>);

/// What was seen of one host.
struct Observed {
    kind: Kind,
    settled: Memory,
    at_the_end: Memory,
    thread_count: usize,
    threads: BTreeMap<u64, Wakes>,
}

/// What was seen of one thread.
struct Wakes {
    name: String,
    sleeps_before: u64,
    sleeps: u64,
    moments: u32,
    last_moment: Option<Instant>,
}

impl Watch {
    /// Starts the hosts.
    pub(crate) fn begin() -> Self {
        eprintln!("idle: hosts are started and watched for {} s", (SETTLING + WATCHING).as_secs());
        // Whoever ran this program before decides how the system keeps its file, and with that the memory of a process.
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let program = folder.path().join("host");
        fs::copy(subject::this_program(), &program).expect("the program can be copied");
        let kinds = KINDS.into_iter().flat_map(|kind| [kind; HOSTS]);
        let hosts: Vec<RunningHost> = kinds.map(|kind| RunningHost::start(kind, &program)).collect();
        for host in hosts.iter().filter(|host| host.sends()) {
            let was_called = || host.destination.connections() > 0;
            wait_until("each host with telemetry calls its destination", subject::PATIENCE, was_called);
        }
        Self(thread::spawn(move || {
            let _program = folder;
            thread::sleep(SETTLING);
            let mut observed: Vec<Observed> = hosts.iter().filter_map(Observed::of).collect();
            let began = now();
            while began.elapsed() < WATCHING {
                thread::sleep(BETWEEN_LOOKS);
                hosts.iter().zip(&mut observed).for_each(|(host, observed)| observed.look(host.process.id()));
            }
            observed
        }))
    }

    /// Waits until enough was seen, and says it.
    pub(crate) fn finish(self, table: &mut Table) {
        let observed = self.0.join().expect("watching does not panic");
        if observed.is_empty() {
            return table.inform("memory, threads and wake-ups of an idle host", "not measured: needs Linux");
        }
        memory(table, &observed);
        wake_ups(table, &observed);
    }
}

impl Observed {
    fn of(host: &RunningHost) -> Option<Self> {
        let settled = proc::memory(host.process.id())?;
        let threads = proc::threads(host.process.id());
        let thread_count = threads.len();
        let mut observed =
            Self { kind: host.kind, settled, at_the_end: settled, thread_count, threads: BTreeMap::new() };
        observed.look(host.process.id());
        Some(observed)
    }

    fn look(&mut self, process: u32) {
        let now = now();
        for thread in proc::threads(process) {
            let wakes = self.threads.entry(thread.id).or_insert_with(|| Wakes {
                name: thread.name,
                sleeps_before: thread.sleeps,
                sleeps: thread.sleeps,
                moments: 0,
                last_moment: None,
            });
            if thread.sleeps > wakes.sleeps {
                wakes.sleeps = thread.sleeps;
                if wakes.last_moment.is_none_or(|last| now.duration_since(last) > MOMENT) {
                    wakes.moments += 1;
                    wakes.last_moment = Some(now);
                }
            }
        }
        if let Some(memory) = proc::memory(process) {
            self.at_the_end = memory;
        }
    }
}

fn memory(table: &mut Table, observed: &[Observed]) {
    let bare = median(observed, Kind::Bare, |host| host.settled);
    let bare_at_the_end = median(observed, Kind::Bare, |host| host.at_the_end);
    let more = |than: Memory, memory: Memory| {
        let megabytes = |kibibytes: i64| kibibytes as f64 * 1024.0 / 1e6;
        format!(
            "{:+.2} MB, of that anonymous {:+.2} MB",
            megabytes(memory.resident - than.resident),
            megabytes(memory.anonymous - than.anonymous)
        )
    };
    let limit = format!("{:.2} MB", MEMORY_LIMIT as f64 * 1024.0 / 1e6);
    let nothing = Memory { resident: 0, anonymous: 0 };
    table.inform("memory of a host without telemetry", more(nothing, bare));
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Bare) {
        let settled = median(observed, kind, |host| host.settled);
        let figure = format!("memory that telemetry adds, {kind:?}");
        if matches!(kind, Kind::Postgres | Kind::Sqlite) {
            let is_met = settled.resident - bare.resident <= MEMORY_LIMIT;
            table.judge(&figure, more(bare, settled), &limit, is_met);
        } else {
            table.inform(&figure, more(bare, settled));
        }
        let at_the_end = median(observed, kind, |host| host.at_the_end);
        table.inform("  after two minutes", more(bare_at_the_end, at_the_end));
    }
}

fn median<T: Ord>(observed: &[Observed], kind: Kind, value: impl Fn(&Observed) -> T) -> T {
    let mut values: Vec<T> = observed.iter().filter(|host| host.kind == kind).map(value).collect();
    values.sort_unstable();
    values.swap_remove(values.len() / 2)
}

/// Telemetry's threads are those that a host without it has no name for.
fn wake_ups(table: &mut Table, observed: &[Observed]) {
    let threads = |kind: Kind| {
        observed.iter().filter(move |host| host.kind == kind).flat_map(|host| host.threads.values())
    };
    let own: BTreeSet<&str> = threads(Kind::Bare).map(|wakes| wakes.name.as_str()).collect();
    let bare = median(observed, Kind::Bare, |host| host.thread_count);
    let seconds = WATCHING.as_secs();
    for kind in KINDS {
        let count = median(observed, kind, |host| host.thread_count);
        table.inform(&format!("threads, {kind:?}"), format!("{count}, added {}", count - bare));
        let mut busiest: BTreeMap<&str, &Wakes> = BTreeMap::new();
        for wakes in threads(kind) {
            let so_far = busiest.entry(&wakes.name).or_insert(wakes);
            if wakes.moments > so_far.moments {
                *so_far = wakes;
            }
        }
        let (of_host, of_telemetry): (Vec<&Wakes>, Vec<&Wakes>) =
            busiest.into_values().partition(|wakes| own.contains(wakes.name.as_str()));
        for wakes in of_telemetry {
            let figure = format!("wake-ups in {seconds} s of {}, {kind:?}", wakes.name);
            table.judge(&figure, wakes, format!("{MOST_MOMENTS} moments"), wakes.moments <= MOST_MOMENTS);
        }
        if let Some(wakes) = of_host.into_iter().max_by_key(|wakes| wakes.moments) {
            table.inform(&format!("  of the host's busiest, {}", wakes.name), wakes);
        }
    }
}

impl std::fmt::Display for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let switches = self.sleeps - self.sleeps_before;
        write!(f, "{} moments, {switches} switches", self.moments)
    }
}
