//! A real PostgreSQL for tests: a throw-away cluster from the machine's own binaries, a database per test.

mod admin;
mod binaries;
mod cluster;
mod database;
mod guard;

pub use cluster::TestCluster;
pub use database::TestDatabase;

/// The folder of PostgreSQL's server programs, where the machine has them.
pub(crate) fn programs() -> Option<std::path::PathBuf> {
    binaries::find()
}
