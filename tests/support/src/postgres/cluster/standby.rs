//! A standby of a cluster, and its promotion.

use std::time::Duration;

use super::TestCluster;
use crate::children;
use crate::postgres::admin;
use crate::wait::wait_until;

/// How long a standby may take to stream, and to be promoted.
const LIMIT: Duration = Duration::from_secs(60);

impl TestCluster {
    /// Creates a standby of this cluster and starts it.
    ///
    /// # Panics
    /// When `pg_basebackup` fails, or the standby does not start.
    pub fn standby(&self) -> Self {
        let standby = Self::in_new_directory(self.is_durable);
        let mut command = standby.program("pg_basebackup");
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        command.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]);
        let output = children::output(command.arg(standby.data()))
            .unwrap_or_else(|error| panic!("pg_basebackup in {}: {error}", standby.programs.display()));
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        standby.launched()
    }

    /// Runs a query in the database `postgres`, and returns the first column of its first row as text.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn query_one_text(&self, sql: &str) -> Option<String> {
        admin::query(&self.url("postgres"), sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes every commit wait until a standby has it, and waits until one streams.
    ///
    /// # Panics
    /// When none streams.
    pub fn wait_for_standbys(&self) {
        self.query_one_text("alter system set synchronous_standby_names = '*'");
        self.query_one_text("select pg_reload_conf()");
        let streams =
            "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'sync'";
        wait_until("a synchronous standby streams", LIMIT, || {
            self.query_one_text(streams).as_deref() == Some("1")
        });
    }

    /// Makes this standby a primary.
    ///
    /// # Panics
    /// When it does not become one.
    pub fn promote(&self) {
        assert_eq!(self.query_one_text("select pg_promote(true, 60)").as_deref(), Some("t"));
    }
}
