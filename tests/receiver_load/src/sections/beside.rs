//! Ingest beside another version of the program, in the same run: a change must not make it slower.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use test_support::TestCluster;

use super::ingest::{Found, USUAL, begins, closed_loop};
use crate::fleet::Fleet;
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{millis, rate};
use crate::{Context, Outcome, pgbench};

/// The versions that are compared. The other one runs twice: what its two rates differ by is what the measure errs by.
const VERSIONS: [&str; 3] = ["this", "the other", "the other, again"];

/// Number of times that all versions are started anew, with nothing stored: two processes of one program differ, too,
/// each for as long as it runs.
const ROUNDS: usize = 3;

/// Minimum rate of this version, as a part of that of the other.
const LEAST_RATIO: f64 = 0.95;

/// The same of the first events, which are measured once in each round: three starts of one version differ by a fifth.
const LEAST_RATIO_OF_BEGINS: f64 = 0.85;

/// Measures both versions on both stores. Does nothing where there is no other version, but for a reduced run, which
/// takes the same program for both.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let this = context.program()?;
    let Some(other) = context.beside.as_ref().or(context.is_reduced.then_some(&this)) else { return Ok(()) };
    let head = ["store", "version", "what", "a second", "p50 ms", "p99 ms"];
    report.begin("Ingest beside another version: 64 connections, in turns", &head);
    let programs = [&this, other, other];
    let cluster = || {
        let cluster = TestCluster::start_durable();
        let url = Store::Postgres(cluster.url("postgres"));
        Ok((url, Keeps::Cluster(Box::new(cluster))))
    };
    compare(context, report, "PostgreSQL", programs, cluster)?;
    let folder = || -> Outcome<_> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        Ok((Store::Sqlite(folder.path().to_owned()), Keeps::Folder { _kept: folder }))
    };
    compare(context, report, "SQLite", programs, folder)
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
        Fleet::new(context.instances(), context.seed, self.address(), &self.receiver.webhook)
    }
}

fn compare(
    context: &Context,
    report: &mut Report,
    store: &str,
    programs: [&PathBuf; 3],
    new_store: impl Fn() -> Outcome<(Store, Keeps)>,
) -> Outcome<()> {
    let (mut first, mut rates, mut turns) = ([0.0; 3], [0.0; 3], 0.0);
    for round in 0..context.times(ROUNDS, 1) {
        let mut started = Vec::new();
        // Who is started first is another one in each round.
        for number in [0, 1, 2].map(|number| (number + round) % 3) {
            let mut version = Version::start(programs[number], new_store()?)?;
            let (fleet, address) = (version.fleet(context), version.address());
            let found = begins(&fleet, &mut version.sent, address)?;
            version.keeps.rest()?;
            row(report, store, number, "all instances begin", &found);
            first[number] += found.per_second;
            started.push((number, version));
        }
        // Each is first once, and last once.
        for turn in 0..context.times(3, 1) {
            started.rotate_left(usize::from(turn > 0));
            for (number, version) in &mut started {
                rates[*number] += take_turn(context, report, store, *number, version)?;
            }
            turns += 1.0;
        }
        for (_, version) in started {
            version.receiver.stop()?;
        }
    }
    let rounds = context.times(ROUNDS, 1) as f64;
    let begins = format!("{store}, all instances begin");
    judge(report, &begins, first.map(|sum| sum / rounds), LEAST_RATIO_OF_BEGINS);
    judge(report, store, rates.map(|sum| sum / turns), LEAST_RATIO);
    Ok(())
}

fn take_turn(
    context: &Context,
    report: &mut Report,
    store: &str,
    number: usize,
    version: &mut Version,
) -> Outcome<f64> {
    let (fleet, address) = (version.fleet(context), version.address());
    let found = closed_loop(&fleet, &mut version.sent, address, USUAL, context.time(6, 1))?;
    version.keeps.rest()?;
    row(report, store, number, "they go on", &found);
    Ok(found.per_second)
}

fn row(report: &mut Report, store: &str, number: usize, what: &str, found: &Found) {
    report.row(&[
        store.to_owned(),
        VERSIONS[number].to_owned(),
        what.to_owned(),
        rate(found.per_second),
        millis(found.spread.median),
        millis(found.spread.p99),
    ]);
}

fn judge(report: &mut Report, what: &str, [this, other, again]: [f64; 3], least: f64) {
    let others = (other + again) / 2.0;
    let measured = format!(
        "{:.3} times: {} and {} a second; the other to itself {:.3} times",
        this / others,
        rate(this),
        rate(others),
        again / other
    );
    let what = format!("{what}, 64 connections, to the other version");
    let is_kept = this / others >= least;
    report.figure(&what, format!("at least {least} times"), measured, is_kept);
}
