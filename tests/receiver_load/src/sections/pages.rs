//! The pages with a large fleet: latency and size on both stores, what a browser paints, and what those who look on cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use pages::browser;
use rusqlite::Connection;
use serde_json::json;
use test_support::TestCluster;

use super::{adoption, queries};
use crate::fleet::Fleet;
use crate::listeners::Listeners;
use crate::procfs::{mib, resident};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Samples, Spread, grouped, millis, rate};
use crate::stored::sqlite_file;
use crate::traffic::{Pace, Stream};
use crate::wire::Wire;
use crate::{Context, Outcome};

const CALLS: usize = 100;

const MOST_P99: Duration = Duration::from_millis(50);

/// Maximum sizes of the first page of the fleet, in bytes.
const MOST_PLAIN: usize = 60_000;
const MOST_COMPRESSED: usize = 15_000;

/// Maximum time until the largest part of that page is painted, in milliseconds, as the median of some visits.
const MOST_PAINT: f64 = 500.0;
const VISITS: usize = 11;

/// Browsers that look on, their maximum memory in KiB, and the maximum of the p99 of ingest as a multiple of that without.
const LISTENERS: usize = 1_000;
const MOST_MEMORY: u64 = 50 * 1024;
const MOST_RATIO: f64 = 1.1;

/// Events per second meanwhile, and the number of turns with and without those who look on: an odd one, for the median counts.
const SCHEDULE: f64 = 500.0;
const TURNS: usize = 5;

/// Number of instances whose history is written at once.
const AT_ONCE: usize = 2_000;

/// Pages, and whether there is a promise about their latency.
const PAGES: [(&str, &str, bool); 6] = [
    ("Fleet", "/", true),
    ("Fleet, those that are down", "/?state=down", false),
    ("Adoption of 90 days", "/adoption", true),
    ("Licenses", "/licenses", false),
    ("Events", "/events", false),
    ("Server", "/server", false),
];

/// Measures the pages on PostgreSQL, with a history that is loaded, and on SQLite, with events that are sent and a history
/// before them.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let (instances, events) = (context.times(100_000, 1_000), context.times(10_000_000, 20_000));
    // Not durable: nothing is measured while the history is written.
    let cluster = TestCluster::start();
    let url = cluster.url("postgres");
    let receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    adoption::wait_for_census(&url).map_err(|error| format!("no census was taken: {error}"))?;
    let loaded = queries::load(&url, instances, events).and_then(|()| adoption::load(&url, instances));
    loaded.map_err(|error| format!("the history cannot be loaded: {error}"))?;
    measure(report, &receiver, "PostgreSQL", instances, events)?;
    receiver.stop()?;
    drop(cluster);

    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut receiver = Receiver::start(&context.program()?, Store::Sqlite(folder.path().to_owned()))?;
    let count = u32::try_from(instances).map_err(|error| error.to_string())?;
    let (fleet, mut sent) = (Fleet::new(count, context.seed, receiver.address(), &receiver.webhook), 0);
    send(&receiver, Stream::begins(&fleet, &mut sent))?;
    let window = context.time(60, 1);
    send(&receiver, Stream::new(&fleet, &mut sent, Pace::Closed, Duration::ZERO, window))?;
    let of_each = events / instances;
    receiver.kill();
    let loaded = load_sqlite(folder.path(), instances, of_each);
    loaded.map_err(|error| format!("the history cannot be loaded: {error}"))?;
    receiver.start_again();
    let stored = usize::try_from(sent).unwrap_or(usize::MAX) + of_each * instances;
    measure(report, &receiver, "SQLite", instances, stored)?;
    look_on(context, report, &receiver, &fleet, sent)?;
    receiver.stop()
}

/// Writes so many events of each instance into the past, those of one instance after the other, as the table is ordered.
/// No receiver runs meanwhile: the log of a database that others use would become larger than the database.
fn load_sqlite(folder: &Path, instances: usize, of_each: usize) -> rusqlite::Result<()> {
    let began = Instant::now();
    let database = Connection::open(sqlite_file(folder))?;
    database.pragma_update(None, "journal_mode", "delete")?;
    database.pragma_update(None, "journal_mode", "off")?;
    database.pragma_update(None, "synchronous", "off")?;
    database.pragma_update(None, "cache_size", -2_000_000)?;
    for first in (0..instances).step_by(AT_ONCE) {
        // Spread over 80 days, which is within the time for which events are kept.
        database.execute(
            "with recursive past (number) as (select 1 union all select number + 1 from past where number < ?1)
             insert into telemetry_event (instance_id, id, ts, reason, run_id, sequence, frequency, data, key_id, product)
             select instance_id, randomblob(16),
                 first_seen_at - number * (80 * 86400000000 / ?1) - abs(random() % 86400000000), 'update', run_id,
                 1000000 + number, 28800, latest.data, key_id, product
             from (select * from telemetry_run order by instance_id limit ?2 offset ?3)
                 cross join past cross join (select data from telemetry_event limit 1) as latest",
            [of_each, AT_ONCE, first].map(|number| number as i64),
        )?;
        if first % (10 * AT_ONCE) == 0 {
            eprintln!("  the history of {first} instances loaded after {} s", began.elapsed().as_secs());
        }
    }
    database.pragma_update(None, "journal_mode", "wal")
}

/// Latency and size of the pages, and when a browser has painted the first.
fn measure(
    report: &mut Report,
    receiver: &Receiver,
    store: &str,
    instances: usize,
    events: usize,
) -> Outcome<()> {
    let title =
        format!("{store}, {} instances, {} events", grouped(instances as u64), grouped(events as u64));
    report.begin(&title, &["page", "first ms", "p50 ms", "p99 ms", "bytes", "bytes as gzip"]);
    for (name, path, is_promised) in PAGES {
        let (first, plain) = get(receiver, path, "identity")?;
        let (_, compressed) = get(receiver, path, "gzip")?;
        let mut took = Samples::default();
        for _ in 0..CALLS {
            took.add(get(receiver, path, "gzip")?.0);
        }
        let spread = took.spread().ok_or("no page was asked for")?;
        report.row(&[
            format!("{name}: `{path}`"),
            millis(first),
            millis(spread.median),
            millis(spread.p99),
            grouped(plain as u64),
            grouped(compressed as u64),
        ]);
        if is_promised {
            let measured = format!("{} ms", millis(spread.p99));
            let limit = format!("under {} ms", millis(MOST_P99));
            report.figure(&format!("{title}, {name}: p99"), limit, measured, spread.p99 < MOST_P99);
        }
        if path == "/" {
            for (what, most, size) in
                [("bytes", MOST_PLAIN, plain), ("bytes as gzip", MOST_COMPRESSED, compressed)]
            {
                let limit = format!("at most {}", grouped(most as u64));
                let measured = grouped(size as u64);
                report.promise(&format!("{title}, {name}: {what}"), limit, measured, size <= most);
            }
        }
    }
    let url = format!("http://{}/", receiver.address());
    let painted = browser::run("measure", json!({ "url": url, "times": VISITS }))?;
    let mut times: Vec<f64> = painted.figures.into_iter().map(|(_, millis)| millis).collect();
    times.sort_unstable_by(f64::total_cmp);
    let median = *times.get(times.len() / 2).ok_or("nothing was painted")?;
    let limit = format!("under {MOST_PAINT} ms");
    let what = format!("{title}, Fleet: largest contentful paint, median of {VISITS}");
    report.figure(&what, limit, format!("{median:.0} ms"), median < MOST_PAINT);
    Ok(())
}

/// Memory and ingest while many browsers are told of changes.
fn look_on(
    context: &Context,
    report: &mut Report,
    receiver: &Receiver,
    fleet: &Fleet,
    mut sent: u64,
) -> Outcome<()> {
    let window = context.time(20, 1);
    let head = ["listeners", "events a second", "p50 ms", "p99 ms", "memory, MiB"];
    report.begin("Those who look on", &head);
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    let mut memory = 0;
    // Not counted: the store writes into its files what was loaded before.
    send(receiver, Stream::new(fleet, &mut sent, Pace::Open(SCHEDULE), Duration::ZERO, window))?;
    for _ in 0..context.times(TURNS, 1) {
        for listeners in [0, LISTENERS] {
            let before = resident(receiver.process_id()).unwrap_or_default();
            let listening = Listeners::open(receiver.address(), "/live", listeners)?;
            let stream = Stream::new(fleet, &mut sent, Pace::Open(SCHEDULE), window / 10, window);
            let spread = send(receiver, stream)?;
            let after = resident(receiver.process_id()).unwrap_or_default();
            let heard = listening.close()?;
            let cells = [listeners.to_string(), rate(SCHEDULE), millis(spread.median), millis(spread.p99)];
            report.row(&[&cells[..], &[mib(after)]].concat());
            if listeners == 0 {
                alone.push(spread.p99);
            } else {
                watched.push(spread.p99);
                memory = memory.max(after.saturating_sub(before));
                report.promise("each listener was told of changes", listeners, heard, heard == listeners);
            }
        }
    }
    let more = format!("{} MiB", mib(memory));
    let limit = format!("at most {} MiB more", mib(MOST_MEMORY));
    report.figure(&format!("{LISTENERS} listeners: memory"), limit, more, memory <= MOST_MEMORY);
    let ratio = median(watched).as_secs_f64() / median(alone).as_secs_f64();
    let limit = format!("at most {MOST_RATIO} times that without");
    let measured = format!("{ratio:.2} times");
    report.figure(&format!("{LISTENERS} listeners: p99 of ingest"), limit, measured, ratio <= MOST_RATIO);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn send(receiver: &Receiver, mut stream: Stream<'_>) -> Outcome<Spread> {
    let wire = Wire { address: receiver.address(), connections: 64, patience: Duration::from_secs(30) };
    wire.run(&mut stream).map_err(|error| error.to_string())?;
    let mut tally = stream.tally;
    if tally.others(&[200]) + tally.unanswered > 0 {
        return Err(format!("answers other than 200: {tally}"));
    }
    tally.took.spread().ok_or_else(|| "nothing was answered".to_owned())
}

/// Asks for a page. Returns the time until all of it was there, and the length of its body as it was sent.
fn get(receiver: &Receiver, path: &str, encoding: &str) -> Outcome<(Duration, usize)> {
    let ask = || -> std::io::Result<(Duration, Vec<u8>)> {
        let mut stream = TcpStream::connect(receiver.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let began = Instant::now();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\naccept-encoding: {encoding}\r\nconnection: close\r\n\r\n",
            receiver.address()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok((began.elapsed(), answer))
    };
    let (took, answer) = ask().map_err(|error| format!("{path}: {error}"))?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4);
    match head.filter(|_| answer.starts_with(b"HTTP/1.1 200 ")) {
        Some(head) => Ok((took, answer.len() - head)),
        None => Err(format!("{path}: {}", String::from_utf8_lossy(&answer[..answer.len().min(300)]))),
    }
}
