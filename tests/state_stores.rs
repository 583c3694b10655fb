//! The instance id in real databases (spec §6): the same tests for PostgreSQL and SQLite, and what
//! only one of them can suffer.

#![expect(clippy::disallowed_methods, reason = "the clock is the real one")]

mod host;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use deployment_telemetry::{
    AnyStateStore, Outcome, PostgresStateStore, SqlStateStore, SqliteStateStore, StateError, StateStore,
    Telemetry, TelemetryBuilder,
};
use host::{SOON, STOP_LIMIT, block_on, custom, on, wait_for};
use test_support::{Behaviour, FakeDestination, TestCluster, TestDatabase, wait_until};
use uuid::Uuid;

/// A database under test.
trait Database: Send + Sync {
    fn store(&self) -> AnyStateStore;
    fn execute(&self, sql: &str);
    fn stored(&self) -> Option<String>;
}

impl Database for TestDatabase {
    fn store(&self) -> AnyStateStore {
        AnyStateStore::new(PostgresStateStore::from_url(self.url()).unwrap())
    }

    fn execute(&self, sql: &str) {
        TestDatabase::execute(self, sql);
    }

    fn stored(&self) -> Option<String> {
        self.query_one_text("select value::text from server_state where key = 'instance_id'")
    }
}

struct SqliteFile {
    folder: tempfile::TempDir,
}

impl SqliteFile {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.sqlite")
    }

    fn connect(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

impl Database for SqliteFile {
    fn store(&self) -> AnyStateStore {
        AnyStateStore::new(SqliteStateStore::new(self.path()))
    }

    fn execute(&self, sql: &str) {
        self.connect().execute_batch(&sql.replace("jsonb", "text")).unwrap();
    }

    fn stored(&self) -> Option<String> {
        let sql = "select value from server_state where key = 'instance_id'";
        self.connect().query_row(sql, [], |row| row.get(0)).ok()
    }
}

/// A builder on `store` that sends events, to where nobody listens.
fn active(store: impl StateStore) -> TelemetryBuilder {
    on(store).config(custom("http://127.0.0.1:9/"))
}

fn start(database: &dyn Database) -> Telemetry {
    active(database.store()).start().unwrap()
}

/// The id that a start on `database` finds or makes.
fn id_at_start(database: &dyn Database) -> Uuid {
    let telemetry = start(database);
    let status = wait_for(&telemetry, "the id is known", |status| status.instance_id.is_some());
    block_on(telemetry.stop());
    status.instance_id.unwrap()
}

fn on_both(test: impl Fn(&dyn Database)) {
    test(&SqliteFile::new());
    test(&TestDatabase::new());
}

#[test]
fn a_random_id_is_made_once_and_kept() {
    on_both(|database| {
        let id = id_at_start(database);
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(database.stored(), Some(format!("\"{id}\"")));
        assert_eq!(id_at_start(database), id);
    });
}

#[test]
fn an_id_that_is_no_uuid_is_replaced() {
    on_both(|database| {
        database.execute("create table server_state (key text primary key, value jsonb not null)");
        for invalid in ["\"\"", "\"no uuid\"", "null", "7", "{\"a\": [1, 2]}"] {
            database.execute("delete from server_state");
            database.execute(&format!(
                "insert into server_state values ('instance_id', '{invalid}'), ('other', '1')"
            ));
            let id = id_at_start(database);
            assert_eq!(database.stored(), Some(format!("\"{id}\"")), "{invalid}");
        }
    });
}

#[test]
fn sixty_four_starts_at_once_agree_on_one_id() {
    on_both(|database| {
        let telemetries: Vec<Telemetry> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..64).map(|_| scope.spawn(|| start(database))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let ids: Vec<Uuid> = telemetries
            .iter()
            .map(|telemetry| {
                wait_for(telemetry, "the id is known", |s| s.instance_id.is_some()).instance_id.unwrap()
            })
            .collect();
        assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
        assert_eq!(database.stored(), Some(format!("\"{}\"", ids[0])));
        telemetries.iter().for_each(|telemetry| _ = block_on(telemetry.stop()));
    });
}

#[test]
fn the_documented_sql_takes_effect_without_a_restart() {
    let database = TestDatabase::new();
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(database.store()).config(custom(&destination.url())).start().unwrap();
    destination.wait_for_requests(1, SOON);
    let new_id = database
        .query_one_text(
            "update server_state set value = ('\"' || gen_random_uuid() || '\"')::jsonb
             where key = 'instance_id' returning value #>> '{}'",
        )
        .unwrap();
    block_on(telemetry.send_now()).unwrap();
    // The `begin` and the `end` of the old id, the `begin` of the new one, and the update.
    let requests = destination.wait_for_requests(4, SOON);
    let is_new = requests.iter().map(|request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        body["instance_id"] == new_id
    });
    assert_eq!(is_new.collect::<Vec<_>>(), [false, false, true, true]);
    block_on(telemetry.stop());
}

#[test]
fn no_connection_to_the_database_is_held() {
    let database = TestDatabase::new();
    let telemetry = start(&database);
    wait_for(&telemetry, "the id is known", |status| status.instance_id.is_some());
    test_support::wait_until("the session ends", SOON, || database.sessions().is_none());
    block_on(telemetry.stop());
}

#[test]
fn a_table_of_the_host_is_left_alone_and_needs_no_right_to_create() {
    let database = TestDatabase::new();
    let role = format!("host_{}", Uuid::new_v4().simple());
    database.execute(&format!(
        "create table server_state (key text primary key, value jsonb not null, noted text default 'by the host');
         create role {role} login;
         revoke create on schema public from public;
         grant select, insert, update on server_state to {role};"
    ));
    let mut url = url::Url::parse(database.url()).unwrap();
    url.set_username(&role).unwrap();
    let telemetry = active(PostgresStateStore::from_url(url).unwrap()).start().unwrap();
    let status = wait_for(&telemetry, "the id is known", |status| status.instance_id.is_some());
    block_on(telemetry.stop());
    assert_eq!(database.stored(), Some(format!("\"{}\"", status.instance_id.unwrap())));
    assert_eq!(database.query_one_text("select noted from server_state").as_deref(), Some("by the host"));
    database.execute(&format!("drop owned by {role}; drop role {role}"));
}

/// A store that tells when it has been read.
struct Counted {
    inner: AnyStateStore,
    reads: Arc<AtomicUsize>,
}

impl StateStore for Counted {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        let value = self.inner.read(key).await;
        self.reads.fetch_add(1, Ordering::Relaxed);
        value
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        self.inner.replace(key, expected, value).await
    }
}

#[test]
fn switched_off_nothing_is_created() {
    let (file, database) = (SqliteFile::new(), TestDatabase::new());
    for store in [file.store(), Database::store(&database)] {
        let reads = Arc::new(AtomicUsize::new(0));
        let telemetry = on(Counted { inner: store, reads: reads.clone() }).start().unwrap();
        wait_until("the store was read", SOON, || reads.load(Ordering::Relaxed) == 1);
        block_on(telemetry.stop());
        assert_eq!(telemetry.status().instance_id, None);
        assert_eq!(telemetry.status().state_store_error, None);
    }
    assert!(!file.path().exists());
    assert_eq!(database.query_one_text("select to_regclass('server_state')::text"), None);
}

#[test]
fn a_role_that_may_not_create_tables_is_told_the_statements_and_begins_once_they_are_run() {
    let database = TestDatabase::new();
    let role = format!("host_{}", Uuid::new_v4().simple());
    database.execute(&format!("create role {role} login; revoke create on schema public from public;"));
    let mut url = url::Url::parse(database.url()).unwrap();
    url.set_username(&role).unwrap();
    let telemetry = active(PostgresStateStore::from_url(url).unwrap()).start().unwrap();
    let status = wait_for(&telemetry, "the error is told", |status| status.state_store_error.is_some());
    let error = status.state_store_error.unwrap();
    let grant = "grant select, insert, update on server_state to";
    for words in [SqlStateStore::POSTGRES_TABLE, grant, "permission denied"] {
        assert!(error.contains(words), "{error}");
    }
    database.execute(&format!("{}; {grant} {role}", SqlStateStore::POSTGRES_TABLE));
    wait_for(&telemetry, "the id is known", |status| status.instance_id.is_some());
    block_on(telemetry.stop());
    database.execute(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn the_stores_keep_their_contract() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    on_both(|database| runtime.block_on(deployment_telemetry::state::check(&database.store())).unwrap());
}

#[test]
fn a_read_only_database_with_an_id_serves_and_one_without_is_told() {
    let database = TestDatabase::new();
    let id = id_at_start(&database);
    let read_only = format!("{}?options=-c%20default_transaction_read_only%3Don", database.url());
    let telemetry = active(PostgresStateStore::from_url(&read_only).unwrap()).start().unwrap();
    let status = wait_for(&telemetry, "the id is known", |status| status.instance_id.is_some());
    assert_eq!(status.instance_id, Some(id));
    block_on(telemetry.stop());

    database.execute("delete from server_state");
    let telemetry = active(PostgresStateStore::from_url(&read_only).unwrap()).start().unwrap();
    let status = wait_for(&telemetry, "the error is told", |status| status.state_store_error.is_some());
    assert!(status.state_store_error.as_deref().unwrap().contains("read-only"), "{status:?}");
    block_on(telemetry.stop());
}

#[test]
fn a_database_that_is_down_at_start_delays_begin_and_never_the_host() {
    let mut cluster = TestCluster::start();
    cluster.stop();
    let destination = FakeDestination::start(Behaviour::Ok);
    let store = PostgresStateStore::from_url(cluster.url("postgres")).unwrap();
    let began = Instant::now();
    let telemetry = on(store).config(custom(&destination.url())).start().unwrap();
    assert!(began.elapsed() < STOP_LIMIT, "{:?}", began.elapsed());
    let status = wait_for(&telemetry, "the error is told", |status| status.state_store_error.is_some());
    let error = status.state_store_error.unwrap();
    let words = format!(
        "PostgreSQL: cannot connect to 127.0.0.1:{}; check that it runs: Connection refused",
        cluster.port()
    );
    assert!(error.starts_with(&words), "{error}");
    assert_eq!(destination.connections(), 0);

    cluster.start_again();
    destination.wait_for_requests(1, SOON);

    let known = wait_for(&telemetry, "begin went through", |s| s.destinations[0].sent == 1).instance_id;
    cluster.kill();
    let delivered = block_on(telemetry.send_now()).unwrap();
    assert_eq!(delivered[0].outcome, Outcome::Status(200), "the known id serves");
    assert_eq!(telemetry.status().instance_id, known);
    assert!(telemetry.status().state_store_error.is_some());

    cluster.start_again();
    cluster.pause();
    let delivered = block_on(telemetry.send_now()).unwrap();
    assert_eq!(delivered[0].outcome, Outcome::Status(200), "a database that hangs costs its time limit");
    cluster.resume();
    block_on(telemetry.stop());
}

#[test]
fn a_database_that_hangs_does_not_hold_up_the_stop() {
    let mut cluster = TestCluster::start();
    cluster.pause();
    let telemetry = on(PostgresStateStore::from_url(cluster.url("postgres")).unwrap()).start().unwrap();
    let began = Instant::now();
    block_on(telemetry.stop());
    assert!(began.elapsed() < STOP_LIMIT, "{:?}", began.elapsed());
    cluster.resume();
}

#[test]
fn a_folder_that_is_missing_is_told_with_its_path() {
    let telemetry = active(SqliteStateStore::new("/nonexistent/state.sqlite")).start().unwrap();
    let status = wait_for(&telemetry, "the error is told", |status| status.state_store_error.is_some());
    assert!(status.state_store_error.unwrap().contains("/nonexistent/state.sqlite"));
    block_on(telemetry.stop());
}

#[test]
fn a_wrong_url_is_told_at_once_without_its_password() {
    for url in
        ["postgres://user:s3cret@host:port/db", "s3cret", "postgres://user:s3cret@host/db?sslmode=maybe"]
    {
        let error =
            PostgresStateStore::from_url(url).err().unwrap_or_else(|| panic!("{url} was taken")).to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// A certificate authority, and a certificate of its for `localhost`.
fn certificates() -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (authority_pem, server.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

#[test]
fn sslmode_is_honoured_as_libpq_has_it() {
    let mut cluster = TestCluster::start();
    let outcome = |url: String| {
        let telemetry = active(PostgresStateStore::from_url(url).unwrap()).start().unwrap();
        let status = wait_for(&telemetry, "an answer of the database", |status| {
            status.instance_id.is_some() || status.state_store_error.is_some()
        });
        block_on(telemetry.stop());
        status.state_store_error
    };
    let plain = cluster.url("postgres");
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(outcome(format!("{plain}?sslmode={mode}")), None, "{mode} without TLS");
    }
    let error = outcome(format!("{plain}?sslmode=require")).unwrap();
    assert!(error.contains("TLS"), "{error}");

    let (authority, certificate, key) = certificates();
    let folder = tempfile::tempdir().unwrap();
    let authority_file = folder.path().join("ca.pem");
    std::fs::write(&authority_file, authority).unwrap();
    let admin = |sql: &str| cluster_execute(&plain, sql);
    admin(&format!("copy (select 1) to program 'cat > server.crt <<\"END\"\n{certificate}END'"));
    admin(&format!("copy (select 1) to program 'umask 077; cat > server.key <<\"END\"\n{key}END'"));
    admin("alter system set ssl = on");
    cluster.stop();
    cluster.start_again();

    let named = plain.replace("127.0.0.1", "localhost");
    let trusting = format!("sslrootcert={}", authority_file.display());
    for (url, fails_with) in [
        (format!("{plain}?sslmode=disable"), None),
        (format!("{plain}?sslmode=prefer"), None),
        (format!("{plain}?sslmode=require"), None),
        (format!("{plain}?sslmode=verify-ca&{trusting}"), None),
        (format!("{named}?sslmode=verify-full&{trusting}"), None),
        (format!("{plain}?sslmode=verify-full&{trusting}"), Some("certificate")),
        (format!("{named}?sslmode=verify-ca"), Some("UnknownIssuer")),
        (format!("{named}?sslmode=verify-full"), Some("UnknownIssuer")),
        (format!("{named}?sslmode=verify-full&sslrootcert=/nonexistent"), Some("/nonexistent")),
    ] {
        match (outcome(url.clone()), fails_with) {
            (None, None) => {}
            (Some(error), Some(words)) => assert!(error.contains(words), "{url}: {error}"),
            (error, _) => panic!("{url}: {error:?}"),
        }
    }
}

fn cluster_execute(url: &str, sql: &str) {
    postgres::Client::connect(url, postgres::NoTls).unwrap().batch_execute(sql).unwrap();
}
