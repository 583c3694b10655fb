//! Errors, and the causes behind them: what a host logs is told by the error and its sources, and each says its own part.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use deployment_telemetry::receiver::{
    AlertDestination, Importer, JudgeError, KeyError, Keys, Operator, OperatorError, PostgresFleetStore,
    Receiver, ReceiverStartError, SqliteFleetStore, Storage,
};
use deployment_telemetry::state::{self, ContractError};
use deployment_telemetry::{
    AnyStateStore, DatabaseError, FileStateStore, PostgresStateStore, SqliteStateStore, StartError,
    StateStore,
};
use tempfile::TempDir;
use test_support::wait_until;
use uuid::Uuid;

use crate::host::{LIMIT, sqlite};

/// The error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = vec![error];
    while let Some(source) = chain[chain.len() - 1].source() {
        chain.push(source);
    }
    chain
}

/// Checks that an error of this crate does not repeat the text of its source, and that the last one says `why`.
#[track_caller]
fn assert_caused(error: &(dyn Error + 'static), says: &str, why: &str) {
    let chain = chain(error);
    let texts: Vec<String> = chain.iter().map(ToString::to_string).collect();
    assert!(texts.len() > 1, "it has no source: {texts:?}");
    assert!(texts[0].contains(says) && !texts[0].contains(&texts[1]), "{texts:?}");
    assert!(texts.last().unwrap().contains(why), "{texts:?}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A database that nobody serves, and what its driver says.
fn unreachable() -> (PostgresFleetStore, &'static str) {
    let url = test_support::refused_url();
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let store = PostgresFleetStore::from_url(format!("postgres://u:s3cret@{address}/d?sslmode=disable"));
    (store.unwrap(), "Connection refused")
}

/// A file that cannot be opened, and what SQLite says.
fn unopenable() -> (SqliteFleetStore, &'static str) {
    (sqlite(Path::new("/dev/null")), "unable to open database file")
}

fn each_call_names_the_cause(store: impl Into<Storage>, why: &str) {
    let store = store.into();
    let says = "the store is not available";
    runtime().block_on(async {
        let key = Keys::of(store.clone()).list().await.unwrap_err();
        assert!(matches!(key, KeyError::Store(_)), "{key:?}");
        assert_caused(&key, says, why);
        let operator = Operator::of(store.clone()).mutes().await.unwrap_err();
        assert!(matches!(operator, OperatorError::Store(_)), "{operator:?}");
        assert_caused(&operator, says, why);
        let importer = Importer::of(store, Duration::from_secs(86_400));
        let import = importer.import(Uuid::from_u128(1), io::empty(), |_| {}).await.unwrap_err();
        assert_caused(&import, says, why);
    });
}

#[test]
fn calls_to_a_store_that_does_not_answer_have_the_error_of_the_database() {
    let (store, why) = unreachable();
    each_call_names_the_cause(store, why);
    let (store, why) = unopenable();
    each_call_names_the_cause(store, why);
}

#[test]
fn the_error_of_the_system_can_be_found_by_its_type() {
    let (store, _) = unreachable();
    let error = runtime().block_on(Keys::of(store).list()).unwrap_err();
    let cause = chain(&error).into_iter().find_map(|error| error.downcast_ref::<io::Error>());
    assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::ConnectionRefused));
}

#[test]
fn a_receiver_that_does_not_judge_or_start_says_why() {
    let directory = TempDir::new().unwrap();
    let receiver = Receiver::builder(sqlite(directory.path())).start().unwrap();
    runtime().block_on(async {
        wait_until("it judges", LIMIT, || futures_executor::block_on(receiver.judge()).is_ok());
        std::fs::remove_file(directory.path().join("fleet.sqlite")).unwrap();
        let error = receiver.judge().await.unwrap_err();
        assert!(matches!(error, JudgeError::Store(_)), "{error:?}");
        assert_caused(&error, "the store is not available: SQLite ", "unable to open database file");
        receiver.stop().await;
        assert!(matches!(receiver.judge().await, Err(JudgeError::NotRunning)));
    });
    let alerts = AlertDestination::new("nowhere");
    let started = Receiver::builder(sqlite(directory.path())).alerts(alerts).start();
    let Some(ReceiverStartError::Alerts(errors)) = started.err() else { panic!("it started") };
    assert_eq!(errors.problems().len(), 1);
    let thread = ReceiverStartError::Thread(io::Error::other("no more threads"));
    assert_caused(&thread, "cannot start a thread", "no more threads");
    let thread = StartError::Thread(io::Error::other("no more threads"));
    assert_caused(&thread, "cannot start a thread", "no more threads");
}

#[test]
fn a_database_that_cannot_be_used_as_configured_says_why() {
    let malformed = PostgresFleetStore::from_url("postgres://u:s3cret@h:port/d").err().unwrap();
    assert!(matches!(malformed, DatabaseError::Url { .. }));
    assert_caused(&malformed, "invalid database URL: it cannot be used", "port");
    assert!(chain(&malformed).iter().all(|error| !error.to_string().contains("s3cret")));
    let roots = "postgres://127.0.0.1:1/d?sslmode=verify-ca&sslrootcert=/missing/ca.pem";
    let error =
        runtime().block_on(PostgresStateStore::from_url(roots).unwrap().read("instance_id")).unwrap_err();
    assert_caused(&*error, "cannot use the certificates in sslrootcert \"/missing/ca.pem\"", "No such file");
}

#[test]
fn the_stores_of_the_instance_id_have_the_error_of_the_database() {
    let refused = test_support::refused_url();
    let address = refused.trim_start_matches("http://").split('/').next().unwrap();
    let postgres = PostgresStateStore::from_url(format!("postgres://{address}/d?sslmode=disable")).unwrap();
    let stores: [(AnyStateStore, &str, &str); 3] = [
        (AnyStateStore::new(postgres), "PostgreSQL", "Connection refused"),
        (
            AnyStateStore::new(SqliteStateStore::new("/dev/null/state")),
            "SQLite /dev/null/state",
            "unable to open",
        ),
        (
            AnyStateStore::new(FileStateStore::new("/dev/null/state")),
            "the state file /dev/null/state",
            "Not a directory",
        ),
    ];
    runtime().block_on(async {
        for (store, says, why) in stores {
            let error = store.replace("instance_id", None, "\"1\"").await.unwrap_err();
            assert_caused(&*error, says, why);
            let checked = state::check(&store).await.unwrap_err();
            // SQLite has no file to read yet.
            assert!(matches!(checked, ContractError::Failed { .. }), "{checked:?}");
            assert_caused(&checked, " failed", why);
        }
    });
}
