//! Ingest beside another version of the program, in the same run: a change must not make it slower.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use test_support::TestCluster;

use super::ingest::{USUAL, begins, closed_loop};
use crate::fleet::Fleet;
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{millis, rate};
use crate::{Context, Outcome, pgbench};

const INSTANCES: u32 = 10_000;

/// Number of turns that each version takes.
const TURNS: usize = 6;

/// Minimum rate of this version, as a part of that of the other.
const LEAST_RATIO: f64 = 0.95;

/// Measures both versions on both stores. Does nothing where there is no other version, but for a reduced run, which
/// takes the same program for both.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let this = context.program()?;
    let Some(other) = context.beside.as_ref().or(context.is_reduced.then_some(&this)) else { return Ok(()) };
    let head = ["store", "version", "a second", "p50 ms", "p99 ms"];
    report.begin("Ingest beside another version: 64 connections, in turns", &head);
    let cluster = || {
        let cluster = TestCluster::start_durable();
        let url = Store::Postgres(cluster.url("postgres"));
        (url, Keeps::Cluster(Box::new(cluster)))
    };
    compare(
        context,
        report,
        "PostgreSQL",
        [Version::start(&this, cluster())?, Version::start(other, cluster())?],
    )?;
    let folder = || -> Outcome<_> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        Ok((Store::Sqlite(folder.path().to_owned()), Keeps::Folder { _kept: folder }))
    };
    compare(context, report, "SQLite", [Version::start(&this, folder()?)?, Version::start(other, folder()?)?])
}

/// What a version keeps its fleet in, for as long as it runs.
enum Keeps {
    Cluster(Box<TestCluster>),
    Folder { _kept: TempDir },
}

impl Keeps {
    /// Lets the database finish what it does behind its answers.
    fn rest(&self) -> Outcome<()> {
        match self {
            Self::Cluster(cluster) => pgbench::rest(cluster),
            Self::Folder { .. } => Ok(()),
        }
    }
}

/// A version that runs.
struct Version {
    receiver: Receiver,
    keeps: Keeps,
    /// Number of events that were sent to it.
    sent: u64,
}

impl Version {
    fn start(program: &Path, (store, keeps): (Store, Keeps)) -> Outcome<Self> {
        Ok(Self { receiver: Receiver::start(program, store)?, keeps, sent: 0 })
    }

    fn address(&self) -> SocketAddr {
        self.receiver.address()
    }

    fn fleet(&self, context: &Context) -> Fleet {
        Fleet::new(INSTANCES, context.seed, self.address(), &self.receiver.webhook)
    }
}

fn compare(context: &Context, report: &mut Report, store: &str, mut versions: [Version; 2]) -> Outcome<()> {
    for version in &mut versions {
        let fleet = version.fleet(context);
        begins(&fleet, &mut version.sent, version.receiver.address())?;
        version.keeps.rest()?;
    }
    let (mut rates, window) = ([0.0, 0.0], context.time(8, 1));
    for turn in 0..context.times(TURNS, 1) {
        // Whoever is first in a turn is second in the next.
        for number in [turn % 2, (turn + 1) % 2] {
            rates[number] += take_turn(context, report, store, number, &mut versions[number], window)?;
        }
    }
    for version in versions {
        version.receiver.stop()?;
    }
    let [this, other] = rates.map(|sum| sum / context.times(TURNS, 1) as f64);
    let measured = format!("{:.3} times: {} and {} a second", this / other, rate(this), rate(other));
    let what = format!("{store}, 64 connections, to the other version");
    let is_kept = context.is_reduced || this / other >= LEAST_RATIO;
    report.promise(&what, format!("at least {LEAST_RATIO} times"), measured, is_kept);
    Ok(())
}

fn take_turn(
    context: &Context,
    report: &mut Report,
    store: &str,
    number: usize,
    version: &mut Version,
    window: Duration,
) -> Outcome<f64> {
    let (fleet, address) = (version.fleet(context), version.address());
    let found = closed_loop(&fleet, &mut version.sent, address, USUAL, window)?;
    version.keeps.rest()?;
    report.row(&[
        store.to_owned(),
        ["this", "the other"][number].to_owned(),
        rate(found.per_second),
        millis(found.spread.median),
        millis(found.spread.p99),
    ]);
    Ok(found.per_second)
}
