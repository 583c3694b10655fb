//! A database of a test's own.

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use url::Url;

use super::{TestCluster, admin};
use crate::wait::becomes_true;

const LAST_SESSIONS: Duration = Duration::from_secs(10);

/// A fresh, empty database, dropped with this value. A session that is then still open fails the test that left it.
///
/// All of one process are in one [`TestCluster`], or in the server that `TEST_DATABASE_URL` names
/// (`postgresql://user@host/database`, without TLS, a user who may create databases).
pub struct TestDatabase {
    server: String,
    url: String,
    name: String,
}

impl TestDatabase {
    /// Creates a database, and the cluster for it where it is the first of this process.
    ///
    /// # Panics
    /// When there is no server or it refuses.
    #[expect(clippy::new_without_default, reason = "no value to be had by the way")]
    pub fn new() -> Self {
        Self::created("")
    }

    /// One whose text is not in UTF-8 but, for example, in `LATIN1`.
    ///
    /// # Panics
    /// When there is no server or it refuses.
    pub fn in_encoding(encoding: &str) -> Self {
        Self::created(&format!("encoding '{encoding}' template template0"))
    }

    fn created(options: &str) -> Self {
        let server = server();
        let name = unique_name();
        if let Err(error) = admin::query(&server, &format!("create database {name} {options}")) {
            panic!("{error}");
        }
        let mut url = Url::parse(&server).expect("the server's URL is one");
        url.set_path(&name);
        Self { server, url: url.into(), name }
    }

    /// Its URL, over TCP.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs one or more statements.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.query_one_text(sql);
    }

    /// Runs a query and returns the first column of its first row as text; `None` where it is null or there is no row.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn query_one_text(&self, sql: &str) -> Option<String> {
        admin::query(&self.url, sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The client sessions open in it, one a line; `None` where there are none.
    ///
    /// # Panics
    /// When the server does not say.
    #[track_caller]
    pub fn sessions(&self) -> Option<String> {
        self.try_sessions().unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_sessions(&self) -> Result<Option<String>, String> {
        let sql = format!(
            "select string_agg(format('%s, application %L, %s: %s', pid, application_name, state, query), E'\\n') \
             from pg_stat_activity where datname = '{}' and backend_type = 'client backend'",
            self.name
        );
        admin::query(&self.server, &sql)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let mut sessions = Ok(None);
        if !thread::panicking() {
            becomes_true(LAST_SESSIONS, || {
                sessions = self.try_sessions();
                sessions == Ok(None)
            });
        }
        let dropped = admin::query(&self.server, &format!("drop database {} with (force)", self.name));
        if thread::panicking() {
            return;
        }
        if let Some(sessions) = sessions.unwrap_or_else(|error| panic!("{error}")) {
            panic!("sessions still open in {} after {LAST_SESSIONS:?}:\n{sessions}", self.name);
        }
        if let Err(error) = dropped {
            panic!("{error}");
        }
    }
}

fn server() -> String {
    static CLUSTER: OnceLock<TestCluster> = OnceLock::new();
    env::var("TEST_DATABASE_URL").unwrap_or_else(|_| CLUSTER.get_or_init(TestCluster::start).url("postgres"))
}

/// Unique among all processes that may share a server.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let random = RandomState::new().build_hasher().finish();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{count}_{random:016x}", process::id())
}
