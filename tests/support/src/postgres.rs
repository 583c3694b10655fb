//! A real PostgreSQL for tests: a throw-away cluster from the machine's own binaries, a database per test.

mod admin;
mod binaries;
mod cluster;
mod database;
mod guard;

pub use cluster::TestCluster;
pub use database::TestDatabase;
