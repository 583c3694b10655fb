//! Latency below the limit of the receiver: on a fixed schedule, and of single events.

use std::time::Duration;

use test_support::TestCluster;

use crate::fleet::Fleet;
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Samples, Spread, millis, rate};
use crate::traffic::{Pace, Stream};
use crate::wire::Wire;
use crate::{Context, Outcome, pgbench};

const INSTANCES: u32 = 10_000;

/// Events per second of the usual schedule, and of one so slow that each event is alone.
const SCHEDULE: f64 = 500.0;
const ALONE: f64 = 20.0;

const MOST_P99: Duration = Duration::from_millis(4);

/// Maximum time that a single event takes in addition to its commit. A receiver that waits for a batch to fill takes longer.
const MOST_BESIDE_THE_COMMIT: Duration = Duration::from_millis(2);

/// Measures both schedules on both stores.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let head = ["what", "a second", "p50 ms", "p99 ms", "max ms", "events"];
    report.begin("Latency, from when an event was due", &head);
    let cluster = TestCluster::start_durable();
    pgbench::prepare(&cluster)?;
    // A busy disk answers sooner than an idle one, so the comparison needs the same rate.
    let usual = baseline(context, report, &cluster, SCHEDULE)?;
    let commit = baseline(context, report, &cluster, ALONE)?;

    let receiver = Receiver::start(&context.program()?, Store::Postgres(cluster.url("postgres")))?;
    let scheduled = schedule(context, report, "PostgreSQL", &receiver, SCHEDULE)?;
    let alone = schedule(context, report, "PostgreSQL, one at a time", &receiver, ALONE)?;
    receiver.stop()?;
    let limit = format!("under {} ms", millis(MOST_P99));
    let measured = format!("{} ms; pgbench {} ms", millis(scheduled.p99), millis(usual.p99));
    report.figure("PostgreSQL, 500 a second, p99", limit, measured, scheduled.p99 < MOST_P99);
    let most = commit.median + MOST_BESIDE_THE_COMMIT;
    let limit = format!(
        "under {} ms, which are pgbench's median and {}",
        millis(most),
        millis(MOST_BESIDE_THE_COMMIT)
    );
    let measured = format!("{} ms", millis(alone.median));
    report.figure("PostgreSQL, one event alone, median", limit, measured, alone.median < most);

    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let receiver = Receiver::start(&context.program()?, Store::Sqlite(folder.path().to_owned()))?;
    schedule(context, report, "SQLite", &receiver, SCHEDULE)?;
    schedule(context, report, "SQLite, one at a time", &receiver, ALONE)?;
    receiver.stop()
}

fn baseline(
    context: &Context,
    report: &mut Report,
    cluster: &TestCluster,
    per_second: f64,
) -> Outcome<Spread> {
    let (connections, window) = extent(context, per_second);
    let took = pgbench::scheduled(cluster, connections, per_second, window)?;
    row(report, "pgbench, one row per commit", per_second, took)
}

/// Measures events at a rate.
fn extent(context: &Context, per_second: f64) -> (usize, Duration) {
    if per_second == SCHEDULE { (64, context.time(20, 2)) } else { (1, context.time(10, 2)) }
}

fn row(report: &mut Report, what: &str, per_second: f64, mut took: Samples) -> Outcome<Spread> {
    let spread = took.spread().ok_or("nothing was answered")?;
    report.row(&[
        what.to_owned(),
        rate(per_second),
        millis(spread.median),
        millis(spread.p99),
        millis(spread.max),
        took.count().to_string(),
    ]);
    Ok(spread)
}

fn schedule(
    context: &Context,
    report: &mut Report,
    what: &str,
    receiver: &Receiver,
    per_second: f64,
) -> Outcome<Spread> {
    let fleet = Fleet::new(INSTANCES, per_second as u64, receiver.address(), &receiver.webhook);
    let (connections, window) = extent(context, per_second);
    let mut sent = 0;
    let mut stream = Stream::new(&fleet, &mut sent, Pace::Open(per_second), window / 10, window);
    let wire = Wire { address: receiver.address(), connections, patience: Duration::from_secs(30) };
    wire.run(&mut stream).map_err(|error| error.to_string())?;
    let tally = stream.tally;
    // On a machine that is busy with other things an event that is due may find its connection waiting: a matter of time.
    let is_late = !context.is_reduced && tally.unsent * 100 > tally.took.count() as u64;
    if tally.by_status.keys().any(|status| *status != 200) || tally.unanswered > 0 || is_late {
        return Err(format!("{what}: not every event was sent when it was due and answered 200: {tally}"));
    }
    row(report, what, per_second, tally.took)
}
