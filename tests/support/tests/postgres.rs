//! The throw-away PostgreSQL, and that nothing of it remains.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use postgres::{Client, NoTls};
use test_support::{Signal, Spawned, TestCluster, TestDatabase, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn each_database_is_fresh_and_answers_at_its_url() {
    let (one, other) = (TestDatabase::new(), TestDatabase::new());
    one.execute("create table note (text text); insert into note values ('kept'), (null)");
    assert_eq!(one.query_one_text("select text from note"), Some("kept".into()));
    assert_eq!(one.query_one_text("select text from note where text is null"), None);
    assert_eq!(one.query_one_text("select text from note where false"), None);
    assert_eq!(other.query_one_text("select to_regclass('note')"), None);
    let mut client = Client::connect(one.url(), NoTls).unwrap();
    let name: String = client.query_one("select current_database()::text", &[]).unwrap().get(0);
    assert_eq!(name, one.name());
}

#[test]
fn a_database_can_be_made_within_a_runtime() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let answer = runtime.block_on(async { TestDatabase::new().query_one_text("select 1") });
    assert_eq!(answer.as_deref(), Some("1"));
}

#[test]
fn a_durable_cluster_syncs_what_is_committed() {
    let cluster = TestCluster::start_durable();
    let mut client = Client::connect(&cluster.url("postgres"), NoTls).unwrap();
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String = client.query_one(&format!("show {setting}"), &[]).unwrap().get(0);
        assert_eq!(value, "on", "{setting}");
    }
}

#[test]
fn a_leaked_session_fails_the_drop_and_the_database_still_goes() {
    let database = TestDatabase::new();
    let name = database.name().to_owned();
    let leaked = Client::connect(database.url(), NoTls).unwrap();
    assert!(database.sessions().is_some());
    let panic = catch_unwind(AssertUnwindSafe(|| drop(database))).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("sessions still open"), "{message}");
    let gone = format!("select 1 from pg_database where datname = '{name}'");
    assert_eq!(TestDatabase::new().query_one_text(&gone), None);
    drop(leaked);
}

#[test]
fn a_session_that_ends_soon_is_no_leak() {
    let database = TestDatabase::new();
    let client = Client::connect(database.url(), NoTls).unwrap();
    assert!(database.sessions().is_some());
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(client);
        });
        drop(database);
    });
}

#[test]
fn a_cluster_stops_dies_and_starts_again() {
    let mut cluster = TestCluster::start();
    let url = cluster.url("postgres");
    Client::connect(&url, NoTls).unwrap().batch_execute("create table note ()").unwrap();

    cluster.stop();
    assert!(Client::connect(&url, NoTls).is_err());
    cluster.start_again();

    let mut session = Client::connect(&url, NoTls).unwrap();
    cluster.kill();
    assert!(session.batch_execute("select 1").is_err());
    cluster.start_again();
    Client::connect(&url, NoTls).unwrap().batch_execute("table note").unwrap();

    let directory = cluster.directory().to_owned();
    let server = cluster.process_id().unwrap();
    drop(cluster);
    assert!(!directory.exists());
    assert!(!runs(server));
}

#[test]
fn a_killed_cluster_is_removed_too() {
    let mut cluster = TestCluster::start();
    let directory = cluster.directory().to_owned();
    cluster.kill();
    drop(cluster);
    assert!(!directory.exists());
}

#[test]
fn a_paused_cluster_keeps_its_sessions_waiting() {
    let mut cluster = TestCluster::start();
    let mut client = Client::connect(&cluster.url("postgres"), NoTls).unwrap();
    cluster.pause();
    let query = thread::spawn(move || client.batch_execute("select 1").is_ok());
    thread::sleep(Duration::from_millis(300));
    assert!(!query.is_finished());
    cluster.resume();
    assert!(query.join().unwrap());
}

#[test]
fn a_process_that_is_killed_leaves_no_cluster() {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let mut holder = Spawned::start(Command::new(env!("CARGO_BIN_EXE_hold-cluster")));
        let line = holder.wait_for_line(|line| line.contains("test-postgres-"), 4 * LIMIT);
        let (server, directory) = line.split_once(' ').unwrap();
        let server = server.parse().unwrap();
        assert!(Path::new(directory).exists() && runs(server));
        holder.signal(signal);
        holder.wait_exit(LIMIT);
        wait_until("the directory is gone", LIMIT, || !Path::new(directory).exists());
        wait_until("the server is gone", LIMIT, || !runs(server));
    }
}

/// Whether the process is there and no zombie, whose command line is empty.
fn runs(process: u32) -> bool {
    if Path::new("/proc/self").exists() {
        let command = fs::read(format!("/proc/{process}/cmdline"));
        return command.is_ok_and(|command| !command.is_empty());
    }
    let status = Command::new("sh").args(["-c", &format!("kill -0 {process} 2>/dev/null")]).status();
    status.unwrap().success()
}
