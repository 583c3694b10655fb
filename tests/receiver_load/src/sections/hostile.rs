//! Hostile requests, fast and slow ones at the same time: each must get its answer, memory must stay bounded, and nothing
//! may be stored that must not be.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client as Database, NoTls};
use test_support::{TestCluster, becomes_true};

use crate::hostile::{Client, Ending, Kind, Maker, Must, Slow, kinds};
use crate::procfs::{Memory, MemoryWatch, mib};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{grouped, millis};
use crate::{Context, Outcome};

/// Number of clients at the same time.
const CLIENTS: usize = 8;

/// Growth of memory that is allowed at its bound, in KiB, since an allocator is not exact.
const MOST_GROWTH: u64 = 16 * 1024;

/// Time after which every slow connection must be closed.
const SLOWEST: Duration = Duration::from_secs(60);

/// Number of additional files and sockets that may be open afterwards, such as connections to the database.
const MORE_OPEN: usize = 8;

/// Outcomes of the requests of one kind.
#[derive(Default)]
struct Tally {
    sent: u64,
    right: u64,
    stored: u64,
    slowest: Duration,
    wrong: Vec<String>,
}

/// Sends all kinds of requests.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let cluster = TestCluster::start_durable();
    let url = cluster.url("postgres");
    let mut receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    // Memory grows during the first requests in any case.
    send(&receiver, 100, !context.seed);
    let stored_before = stored(&url)?;
    let open_before = open_files(receiver.process_id());

    let watch = MemoryWatch::start(receiver.process_id());
    let requests = context.times(100_000, 2_000);
    let began = Instant::now();
    let mut maker = Maker::new(context.seed ^ 0x510, &receiver.webhook);
    let slow = Slow::connect(receiver.address(), context.times(60, 5), &mut maker);
    let slow = slow.map_err(|error| error.to_string())?;
    let (tallies, endings) = thread::scope(|scope| {
        let slow = scope.spawn(|| slow.run(SLOWEST));
        (send(&receiver, requests / CLIENTS, context.seed), slow.join().expect("it does not panic"))
    });
    let took = began.elapsed();
    let memory = watch.stop();

    tables(report, &tallies, &endings);
    judge_answers(report, &tallies, took);
    judge_slow(report, &endings);
    let expected: u64 = tallies.values().map(|tally| tally.stored).sum();
    let found = stored(&url)? - stored_before;
    let is_kept = found == expected as i64;
    report.promise("hostile requests: events stored", grouped(expected), found, is_kept);
    judge_process(report, &mut receiver, &memory, open_before);
    receiver.stop()
}

/// Adds the tables of fast and of slow requests.
fn tables(report: &mut Report, tallies: &BTreeMap<&'static str, Tally>, endings: &[Ending]) {
    let head = ["kind", "sent", "right answers", "wrong", "stored", "slowest ms"];
    report.begin("Hostile requests", &head);
    for (kind, tally) in tallies {
        report.row(&[
            (*kind).to_owned(),
            grouped(tally.sent),
            grouped(tally.right),
            tally.wrong.len().to_string(),
            grouped(tally.stored),
            millis(tally.slowest),
        ]);
    }
    let head = [
        "slow, all at once",
        "connections",
        "answered 408",
        "closed",
        "other answers",
        "still open",
        "longest s",
    ];
    report.begin("Slow connections, at the same time", &head);
    for ending in endings {
        report.row(&[
            ending.way.to_owned(),
            ending.connections.to_string(),
            ending.told.to_string(),
            ending.closed.to_string(),
            ending.answered.len().to_string(),
            ending.open.to_string(),
            ending.longest.as_secs().to_string(),
        ]);
    }
}

/// Judges memory, open files and the life of the receiver.
fn judge_process(report: &mut Report, receiver: &mut Receiver, memory: &Memory, open_before: usize) {
    let (first, last) = memory.first_and_last();
    let limit = format!("grows by less than {} MiB from the first third to the last", MOST_GROWTH / 1024);
    let measured = format!("{} MiB, then {} MiB, peak {} MiB", mib(first), mib(last), mib(memory.peak()));
    report.figure("hostile requests: memory", limit, measured, last < first + MOST_GROWTH);
    let process = receiver.process_id();
    let mut open = 0;
    let closed = becomes_true(Duration::from_secs(30), || {
        open = open_files(process);
        open <= open_before + MORE_OPEN
    });
    let limit = format!("no more than {open_before} and {MORE_OPEN}");
    report.promise("hostile requests: sockets and files open afterwards", limit, open, closed);
    let is_alive = receiver.is_alive();
    let measured = if is_alive { "it does" } else { "it died" };
    report.promise("hostile requests: the receiver lives", "all the time", measured, is_alive);
}

fn send(receiver: &Receiver, each: usize, seed: u64) -> BTreeMap<&'static str, Tally> {
    let kinds = kinds();
    let mut all: BTreeMap<&'static str, Tally> = BTreeMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|number| {
                let kinds = &kinds;
                scope.spawn(move || {
                    client(receiver, kinds, each, seed.wrapping_add(number << 32), number == 0)
                })
            })
            .collect();
        for client in clients {
            for (name, tally) in client.join().expect("no client panics") {
                let sum = all.entry(name).or_default();
                sum.sent += tally.sent;
                sum.right += tally.right;
                sum.stored += tally.stored;
                sum.slowest = sum.slowest.max(tally.slowest);
                sum.wrong.extend(tally.wrong);
            }
        }
    });
    all
}

fn client(
    receiver: &Receiver,
    kinds: &[Kind],
    requests: usize,
    seed: u64,
    tells: bool,
) -> BTreeMap<&'static str, Tally> {
    let mut maker = Maker::new(seed, &receiver.webhook);
    let mut client = Client::new(receiver.address());
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    for turn in 1..=requests {
        let kind = kinds[maker.random.usize(..kinds.len())];
        let case = kind.make(&mut maker);
        let began = Instant::now();
        let outcome = client.try_case(&case);
        let tally = tallies.entry(kind.name).or_default();
        tally.sent += 1;
        tally.slowest = tally.slowest.max(began.elapsed());
        match outcome {
            Ok(()) => {
                tally.right += 1;
                tally.stored += u64::from(case.must == Must::BeStored);
            }
            Err(wrong) => tally.wrong.push(wrong),
        }
        if tells && turn.is_multiple_of(2_000) {
            eprintln!("  {turn} of {requests}, by one of {CLIENTS}");
        }
    }
    tallies
}

fn judge_answers(report: &mut Report, tallies: &BTreeMap<&'static str, Tally>, took: Duration) {
    let sent: u64 = tallies.values().map(|tally| tally.sent).sum();
    let wrong: usize = tallies.values().map(|tally| tally.wrong.len()).sum();
    let mut measured = format!("{wrong} of {} in {} s", grouped(sent), took.as_secs());
    for (kind, tally) in tallies {
        for example in tally.wrong.iter().take(2) {
            eprintln!("  {kind}: {example}");
        }
        if let Some(example) = tally.wrong.first() {
            measured += &format!("; {kind}: {example}").replace('|', "/");
        }
    }
    report.promise("hostile requests: wrong answers", 0, measured, wrong == 0);
}

fn judge_slow(report: &mut Report, endings: &[Ending]) {
    let all: usize = endings.iter().map(|ending| ending.connections).sum();
    let bad: usize = endings.iter().map(|ending| ending.open + ending.answered.len()).sum();
    let mut measured = format!("{} of {all}", all - bad);
    if let Some(example) = endings.iter().find_map(|ending| ending.answered.first()) {
        measured += &format!(", others were answered {example}");
    }
    let limit = format!("all are told 408 or closed within {} s", SLOWEST.as_secs());
    report.promise("slow connections", limit, measured, bad == 0);
}

fn stored(url: &str) -> Outcome<i64> {
    let mut database = Database::connect(url, NoTls).map_err(|error| error.to_string())?;
    let row = database.query_one("select count(*) from telemetry_event", &[]);
    row.map(|row| row.get(0)).map_err(|error| error.to_string())
}

fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}
