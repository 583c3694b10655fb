//! Events per second, each answered after its commit, compared with what the database and HTTP take alone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use test_support::TestCluster;

use crate::fleet::Fleet;
use crate::procfs::processor_time;
use crate::receiver::{Bare, Receiver, Store};
use crate::report::Report;
use crate::samples::{Spread, millis, rate};
use crate::traffic::{Pace, Stream};
use crate::wire::Wire;
use crate::{Context, Outcome, pgbench};

/// Number of connections that the promises are about.
pub(super) const USUAL: usize = 64;

/// Other numbers of connections, for comparison.
const OTHERS: [usize; 3] = [1, 16, 256];

/// Number of turns that pgbench and the receiver take.
const TURNS: usize = 3;

/// Minimum rate of the receiver, as a multiple of that of pgbench with the same number of clients. One program measured
/// 1.4 to 1.6 on different days, because what pgbench takes depends on the disk and what the receiver takes on the
/// processors. Whether a change made the receiver slower is for [`beside`](super::beside) to say.
const LEAST_RATIO: f64 = 1.25;

const MOST_P99: Duration = Duration::from_millis(30);

/// Minimum rate with SQLite, in events per second.
const LEAST_SQLITE: f64 = 5_000.0;

/// Figures of a closed loop.
pub(crate) struct Found {
    pub(crate) per_second: f64,
    pub(super) spread: Spread,
    /// Number of processors that this program used.
    own: f64,
}

/// Measures the bare handler, PostgreSQL alone, and the receiver on both stores.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let window = context.time(10, 1);
    let head = ["what", "connections", "a second", "p50 ms", "p99 ms", "max ms", "generator, cores"];
    report.begin("Ingest: events a second, each answered after its commit", &head);
    let bare = Bare::start();
    let fleet = Fleet::new(context.instances(), context.seed, bare.address, "/");
    let found = closed_loop(&fleet, &mut 0, bare.address, USUAL, window)?;
    row(report, "actix-web, answers 200", USUAL, &found);
    drop(bare);
    on_postgres(context, report, window)?;
    on_sqlite(context, report, window)
}

fn on_postgres(context: &Context, report: &mut Report, window: Duration) -> Outcome<()> {
    let own = TestCluster::start_durable();
    pgbench::prepare(&own)?;
    let cluster = TestCluster::start_durable();
    let receiver = Receiver::start(&context.program()?, Store::Postgres(cluster.url("postgres")))?;
    let address = receiver.address();
    let (fleet, mut sent) = (Fleet::new(context.instances(), context.seed, address, &receiver.webhook), 0);
    let found = begins(&fleet, &mut sent, address)?;
    row(report, "receiver on PostgreSQL, all instances begin", USUAL, &found);
    pgbench::rest(&cluster)?;
    // In turns, because the speed of the machine changes. Each has its own server, and the other server is idle.
    let (mut by_pgbench, mut by_receiver, mut worst_p99) = (0.0, 0.0, Duration::ZERO);
    for _ in 0..context.times(TURNS, 1) {
        let rate = pgbench::run(&own, USUAL, window)?;
        pgbench_row(report, USUAL, &rate);
        pgbench::rest(&own)?;
        let found = closed_loop(&fleet, &mut sent, address, USUAL, window)?;
        row(report, "receiver on PostgreSQL, they go on", USUAL, &found);
        by_pgbench += rate.per_second;
        by_receiver += found.per_second;
        worst_p99 = worst_p99.max(found.spread.p99);
        pgbench::rest(&cluster)?;
    }
    for clients in [1, 16] {
        pgbench_row(report, clients, &pgbench::run(&own, clients, window)?);
    }
    pgbench::rest(&own)?;
    for connections in OTHERS {
        let found = closed_loop(&fleet, &mut sent, address, connections, window)?;
        row(report, "receiver on PostgreSQL, they go on", connections, &found);
    }
    receiver.stop()?;
    drop((cluster, own));
    let ratio = by_receiver / by_pgbench;
    let of_turns = |sum: f64| rate(sum / context.times(TURNS, 1) as f64);
    let measured =
        format!("{ratio:.2} times: {} and {} a second", of_turns(by_receiver), of_turns(by_pgbench));
    let limit = format!("at least {LEAST_RATIO} times");
    let what = "PostgreSQL, 64 connections, to pgbench at 64 clients";
    report.figure(what, limit, measured, ratio >= LEAST_RATIO);
    let limit = format!("under {} ms", millis(MOST_P99));
    let measured = format!("{} ms", millis(worst_p99));
    report.figure("PostgreSQL, 64 connections, p99", limit, measured, worst_p99 < MOST_P99);
    Ok(())
}

fn on_sqlite(context: &Context, report: &mut Report, window: Duration) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let receiver = Receiver::start(&context.program()?, Store::Sqlite(folder.path().to_owned()))?;
    let address = receiver.address();
    let (fleet, mut sent) = (Fleet::new(context.instances(), context.seed, address, &receiver.webhook), 0);
    let found = begins(&fleet, &mut sent, address)?;
    row(report, "receiver on SQLite, all instances begin", USUAL, &found);
    let found = closed_loop(&fleet, &mut sent, address, USUAL, window)?;
    row(report, "receiver on SQLite, they go on", USUAL, &found);
    receiver.stop()?;
    let is_kept = found.per_second >= LEAST_SQLITE;
    let limit = format!("at least {} a second", rate(LEAST_SQLITE));
    report.figure("SQLite, 64 connections", limit, rate(found.per_second), is_kept);
    Ok(())
}

fn pgbench_row(report: &mut Report, clients: usize, found: &pgbench::Rate) {
    let mean = format!("mean {}", millis(found.mean_latency));
    let cells =
        ["pgbench, one row per commit", &clients.to_string(), &rate(found.per_second), &mean, "", "", ""];
    report.row(&cells.map(str::to_owned));
}

fn row(report: &mut Report, what: &str, connections: usize, found: &Found) {
    report.row(&[
        what.to_owned(),
        connections.to_string(),
        rate(found.per_second),
        millis(found.spread.median),
        millis(found.spread.p99),
        millis(found.spread.max),
        format!("{:.2}", found.own),
    ]);
}

/// Sends as fast as the receiver answers.
pub(super) fn closed_loop(
    fleet: &Fleet,
    sent: &mut u64,
    address: SocketAddr,
    connections: usize,
    window: Duration,
) -> Outcome<Found> {
    measure(Stream::new(fleet, sent, Pace::Closed, window / 5, window), address, connections, Some(window))
}

/// Sends the first event of each instance, as fast as the receiver answers.
pub(super) fn begins(fleet: &Fleet, sent: &mut u64, address: SocketAddr) -> Outcome<Found> {
    measure(Stream::begins(fleet, sent), address, USUAL, None)
}

/// Runs a stream. An answer other than 200 is an error.
fn measure(
    mut stream: Stream,
    address: SocketAddr,
    connections: usize,
    window: Option<Duration>,
) -> Outcome<Found> {
    let (began, own) = (Instant::now(), processor_time(std::process::id()));
    let wire = Wire { address, connections, patience: Duration::from_secs(30) };
    wire.run(&mut stream).map_err(|error| error.to_string())?;
    let took = began.elapsed();
    let own = (processor_time(std::process::id()) - own).as_secs_f64() / took.as_secs_f64();
    let mut tally = stream.tally;
    if tally.others(&[200]) + tally.unanswered > 0 {
        return Err(format!("answers other than 200: {tally}"));
    }
    let per_second = tally.took.count() as f64 / window.unwrap_or(took).as_secs_f64();
    let spread = tally.took.spread().ok_or("nothing was answered")?;
    Ok(Found { per_second, spread, own })
}
