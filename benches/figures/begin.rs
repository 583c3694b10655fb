//! How soon `begin` is on the wire, with a local database.

use std::path::Path;
use std::time::Duration;

use deployment_telemetry::{PostgresStateStore, SqliteStateStore, StateStore};
use test_support::{Behaviour, FakeDestination, TestDatabase};

use crate::samples::{Samples, short};
use crate::stopwatch::now;
use crate::subject;
use crate::table::Table;

const LIMIT: Duration = Duration::from_millis(100);
const RUNS: usize = 20;

/// Measures from `start` until a destination on the loopback has the whole request.
pub(crate) fn measure(table: &mut Table) {
    let postgres = |database: &TestDatabase| {
        PostgresStateStore::from_url(database.url()).expect("the URL of a test database is one")
    };
    let fresh = Samples::take(RUNS, || {
        let database = TestDatabase::new();
        run(postgres(&database))
    });
    judge(table, "begin on the wire, PostgreSQL, empty database", &fresh);
    let database = TestDatabase::new();
    run(postgres(&database));
    let known = Samples::take(RUNS, || run(postgres(&database)));
    judge(table, "begin on the wire, PostgreSQL, id known", &known);

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sqlite = |file: &Path| SqliteStateStore::new(file);
    let mut files = (0..).map(|number| folder.path().join(format!("{number}.db")));
    let mut next_file = move || files.next().expect("numbers do not end");
    let fresh = Samples::take(RUNS, || run(sqlite(&next_file())));
    judge(table, "begin on the wire, SQLite, new file", &fresh);
    let file = next_file();
    run(sqlite(&file));
    let known = Samples::take(RUNS, || run(sqlite(&file)));
    judge(table, "begin on the wire, SQLite, id known", &known);
}

fn judge(table: &mut Table, figure: &str, runs: &Samples) {
    table.judge(figure, runs.median_and_max(), short(LIMIT), runs.max() < LIMIT);
}

fn run(store: impl StateStore) -> Duration {
    let destination = FakeDestination::start(Behaviour::Ok);
    let url = destination.url();
    let began = now();
    let telemetry = subject::start_custom(store, &url);
    destination.wait_for_requests(1, subject::PATIENCE);
    let took = began.elapsed();
    subject::stop(&telemetry);
    took
}
