//! What a host may do with telemetry, and what its store may do, without harm (spec §8).

#![expect(clippy::disallowed_methods, reason = "the clock is the real one")]

mod host;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deployment_telemetry::{
    AnyStateStore, Config, Health, License, LicenseChanged, MemoryStateStore, SendNowError, StateError,
    StateStore, Telemetry, Uuid,
};
use host::{MemoryStore, SOON, block_on, custom, on, wait_for};
use serde_json::Value;
use test_support::{Behaviour, FakeDestination, assert_no_thread_named, wait_until};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

fn current_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn reasons(destination: &FakeDestination) -> Vec<String> {
    let reason =
        |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["reason"].as_str().unwrap().to_owned();
    destination.requests().iter().map(|request| reason(&request.body)).collect()
}

/// Telemetry that has sent its `begin`.
fn begun(destination: &FakeDestination) -> Telemetry {
    let telemetry = on(MemoryStore::new()).config(custom(&destination.url())).start().unwrap();
    wait_for(&telemetry, "begin is through", |status| status.destinations[0].sent == 1);
    telemetry
}

#[test]
fn a_handle_where_nothing_runs_takes_every_call() {
    let telemetry = Telemetry::disabled();
    telemetry.license_changed(License::valid("key"));
    telemetry.license_recipient().do_send(LicenseChanged(License::none()));
    assert_eq!(telemetry.status().health, Health::Stopped);
    assert_eq!(telemetry.preview().len(), 0);
    assert_eq!(block_on(telemetry.send_now()), Err(SendNowError::NotRunning));
    assert_eq!(block_on(telemetry.during(async { 7 })), 7);
    assert!(block_on(telemetry.stop()).ends.is_empty());
}

#[test]
fn a_host_that_wants_to_live_starts_with_a_bad_setting() {
    let telemetry = on(MemoryStore::new()).config(Config::new().mode("sometimes")).start_or_disabled();
    assert_eq!(telemetry.status().health, Health::Down);
    block_on(telemetry.stop());

    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(MemoryStore::new()).config(custom(&destination.url())).start_or_disabled();
    destination.wait_for_requests(1, SOON);
    block_on(telemetry.stop());
}

#[test]
fn end_is_sent_however_the_server_ends() {
    for way in ["value", "error", "panic"] {
        let destination = FakeDestination::start(Behaviour::Ok);
        let telemetry = begun(&destination);
        let server = async {
            tokio::task::yield_now().await;
            match way {
                "value" => Ok(7),
                "error" => Err("the server failed"),
                _ => panic!("the server was told to panic"),
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| current_thread().block_on(telemetry.during(server))));
        match way {
            "value" => assert_eq!(outcome.unwrap(), Ok(7)),
            "error" => assert_eq!(outcome.unwrap(), Err("the server failed")),
            _ => assert!(outcome.is_err(), "the panic goes on"),
        }
        assert_eq!(reasons(&destination), ["begin", "end"], "{way}");
    }
}

#[test]
fn end_is_sent_in_the_background_when_the_last_handle_is_dropped() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = begun(&destination);
    drop(telemetry.clone());
    assert_eq!(reasons(&destination), ["begin"]);
    drop(telemetry);
    destination.wait_for_requests(2, SOON);
    assert_eq!(reasons(&destination), ["begin", "end"]);
}

#[test]
fn two_starts_in_one_process_are_two_runs_of_one_instance() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let store = MemoryStateStore::with_instance_id(Uuid::from_u128(7));
    let start = || on(store.clone()).config(custom(&destination.url())).start().unwrap();
    let (first, second) = (start(), start());
    destination.wait_for_requests(2, SOON);
    block_on(first.stop());
    block_on(second.stop());
    let requests = destination.requests();
    let runs: std::collections::BTreeSet<_> = requests
        .iter()
        .map(|request| request.header("webhook-id").unwrap().split('.').next().unwrap())
        .collect();
    assert_eq!((requests.len(), runs.len()), (4, 2));
    for request in &requests {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["instance_id"], Uuid::from_u128(7).to_string());
    }
}

/// A store that opens a connection of the host's in each call: a task with a timer, as the drivers of
/// databases have.
#[derive(Clone, Default)]
struct Pooled {
    inner: MemoryStateStore,
    connections: Arc<Mutex<Vec<mpsc::Sender<oneshot::Sender<()>>>>>,
}

impl Pooled {
    fn connect(&self) {
        let (connection, mut requests) = mpsc::channel::<oneshot::Sender<()>>(1);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _ = request.send(());
            }
        });
        self.connections.lock().unwrap().push(connection);
    }

    /// A request of the host on every connection; an answer for each that works.
    fn request(&self) -> Vec<oneshot::Receiver<()>> {
        let connections = self.connections.lock().unwrap();
        let send = |connection: &mpsc::Sender<_>| {
            let (answer, answered) = oneshot::channel();
            connection.try_send(answer).map(|()| answered).expect("the connection is open")
        };
        connections.iter().map(send).collect()
    }
}

impl StateStore for Pooled {
    async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
        self.connect();
        self.inner.read(key).await
    }

    async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
        self.connect();
        self.inner.replace(key, expected, value).await
    }
}

#[test]
fn what_a_call_opens_in_the_hosts_pool_outlives_telemetry() {
    let runtimes =
        [current_thread(), tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()];
    for runtime in runtimes {
        let (store, destination) = (Pooled::default(), FakeDestination::start(Behaviour::Ok));
        runtime.block_on(async {
            let telemetry = on(store.clone()).config(custom(&destination.url())).start().unwrap();
            while telemetry.status().destinations[0].sent == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let under_way = store.request();
            assert_eq!(under_way.len(), 2, "a read and a write");
            telemetry.stop().await;
            drop(telemetry);
            assert_no_thread_named("telemetry", SOON);
            for answer in under_way.into_iter().chain(store.request()) {
                answer.await.expect("the request is answered");
            }
        });
    }
}

#[test]
fn a_runtime_that_ends_first_does_not_take_telemetry_with_it() {
    let (store, destination) = (Pooled::default(), FakeDestination::start(Behaviour::Ok));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let telemetry =
        runtime.block_on(async { on(store.clone()).config(custom(&destination.url())).start().unwrap() });
    destination.wait_for_requests(1, SOON);
    drop(runtime);
    assert!(block_on(telemetry.send_now()).unwrap()[0].outcome.is_success());
    assert_eq!(telemetry.status().state_store_error, None);
    assert_eq!(telemetry.status().panics, 0);
    block_on(telemetry.stop());
}

#[test]
fn a_runtime_that_nobody_drives_is_told() {
    let (store, destination) = (Pooled::default(), FakeDestination::start(Behaviour::Ok));
    let runtime = current_thread();
    let telemetry = runtime.block_on(async { on(store).config(custom(&destination.url())).start().unwrap() });
    let status = wait_for(&telemetry, "the cause is told", |status| {
        status.state_store_error.as_deref().is_some_and(|error| error.contains("runtime"))
    });
    assert_eq!(status.instance_id, None);
    runtime.block_on(async {
        while telemetry.status().destinations[0].sent == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    block_on(telemetry.stop());
}

/// A store whose first call does something bad.
struct Bad {
    fault: &'static str,
    calls: Arc<AtomicUsize>,
}

impl StateStore for Bad {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            "blocks" => std::thread::sleep(Duration::from_secs(15)),
            "hangs" => std::future::pending().await,
            "is late" => tokio::time::sleep(Duration::from_secs(1)).await,
            "panics" => panic!("the store was told to panic"),
            _ => return Ok(Some("\u{0}garbage".to_owned())),
        }
        Ok(None)
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StateError> {
        Ok(self.fault != "is garbage for ever")
    }
}

/// The host is a server of one thread: whatever the store does, a request of the host is answered, and
/// the stop comes in time.
#[test]
fn a_bad_store_blocks_no_thread_of_the_host_and_not_the_stop() {
    for fault in ["blocks", "hangs", "is late", "panics", "is garbage once", "is garbage for ever"] {
        let destination = FakeDestination::start(Behaviour::Ok);
        let calls = Arc::new(AtomicUsize::new(0));
        let store = AnyStateStore::new(Bad { fault, calls: calls.clone() });
        current_thread().block_on(async {
            let telemetry = on(store).config(custom(&destination.url())).start().unwrap();
            while calls.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let began = Instant::now();
            tokio::time::sleep(Duration::from_millis(10)).await;
            telemetry.stop().await;
            assert!(began.elapsed() < Duration::from_secs(5), "{fault}: {:?}", began.elapsed());
        });
        if fault != "blocks" {
            assert_no_thread_named("telemetry", SOON);
        }
    }
}

#[test]
fn a_store_that_blocks_takes_one_thread_however_often_it_is_tried() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let calls = Arc::new(AtomicUsize::new(0));
    let store = Bad { fault: "blocks", calls: calls.clone() };
    let telemetry = on(store).config(custom(&destination.url())).start().unwrap();
    wait_until("the cause is told", SOON, || {
        telemetry.status().state_store_error.is_some_and(|error| error.contains("blocks its thread"))
    });
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    block_on(telemetry.stop());
}
