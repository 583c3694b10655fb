//! Ingest on a database that is distributed beside ingest on one PostgreSQL, in the same run.

use test_support::TestCluster;

use super::ingest::{Found, begins, closed_loop};
use crate::fleet::Fleet;
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{millis, rate};
use crate::{Context, Outcome, pgbench};

/// Numbers of connections.
const CONNECTIONS: [usize; 2] = [64, 256];

/// Number of turns that both take.
const TURNS: usize = 3;

/// Minimum rate on the distributed database with the most connections, as a part of that on one PostgreSQL: the nodes
/// share one machine here.
const LEAST_RATIO: f64 = 1.0 / 3.0;

/// Measures both by turns. Does nothing where no database is named, but for a reduced run, which takes another
/// PostgreSQL for it.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let stand_in = (context.database.is_none() && context.is_reduced).then(TestCluster::start_durable);
    let url = context.database.clone().or(stand_in.as_ref().map(|cluster| cluster.url("postgres")));
    let Some(url) = url else { return Ok(()) };
    let cluster = TestCluster::start_durable();
    let program = context.program()?;
    let stores = [("one PostgreSQL", cluster.url("postgres")), ("distributed", url)];
    let head = ["database", "what", "connections", "a second", "p50 ms", "p99 ms"];
    report.begin("Ingest on a distributed PostgreSQL, by turns", &head);
    let mut running = Vec::new();
    for (name, url) in stores {
        let receiver = Receiver::start(&program, Store::Postgres(url))?;
        let fleet = Fleet::new(context.instances(), context.seed, receiver.address(), &receiver.webhook);
        let mut sent = 0;
        let found = begins(&fleet, &mut sent, receiver.address())?;
        row(report, name, "all instances begin", super::ingest::USUAL, &found);
        running.push((name, receiver, fleet, sent));
    }
    for connections in CONNECTIONS {
        let mut rates = [0.0; 2];
        for _ in 0..context.times(TURNS, 1) {
            for (number, (name, receiver, fleet, sent)) in running.iter_mut().enumerate() {
                let window = context.time(8, 1);
                let found = closed_loop(fleet, sent, receiver.address(), connections, window)?;
                row(report, name, "they go on", connections, &found);
                rates[number] += found.per_second;
                pgbench::rest(&cluster)?;
            }
        }
        judge(report, connections, rates, context.times(TURNS, 1) as f64);
    }
    running.into_iter().try_for_each(|(_, receiver, ..)| receiver.stop())
}

fn judge(report: &mut Report, connections: usize, [one, distributed]: [f64; 2], turns: f64) {
    let ratio = distributed / one;
    let measured =
        format!("{ratio:.2} times: {} and {} a second", rate(distributed / turns), rate(one / turns));
    let is_kept = connections < CONNECTIONS[1] || ratio >= LEAST_RATIO;
    let what = format!("distributed, {connections} connections, to one PostgreSQL");
    report.figure(
        &what,
        format!("at least {LEAST_RATIO:.2} times with {}", CONNECTIONS[1]),
        measured,
        is_kept,
    );
}

fn row(report: &mut Report, database: &str, what: &str, connections: usize, found: &Found) {
    report.row(&[
        database.to_owned(),
        what.to_owned(),
        connections.to_string(),
        rate(found.per_second),
        millis(found.spread.median),
        millis(found.spread.p99),
    ]);
}
