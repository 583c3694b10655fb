//! A run from start to stop, as hosts of several kinds have it.

#![expect(clippy::disallowed_methods, reason = "the clock is the real one")]

mod host;

use std::time::{Duration, SystemTime};

use actix::{Actor, Context, Handler, Message, Recipient};
use deployment_telemetry::{
    Config, Health, License, LicenseChanged, Mode, SendNowError, StartError, StateError, StateStore,
    Telemetry,
};
use host::{INSTANCE_ID, MemoryStore, SOON, STOP_LIMIT, block_on, custom, on, wait_for, wait_for_attempts};
use test_support::{Behaviour, FakeDestination, ReceivedRequest};

fn licensed(key: &str) -> License {
    License::valid(key)
}

fn field(request: &ReceivedRequest, name: &str) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(&request.body).unwrap()[name].clone()
}

fn reasons(requests: &[ReceivedRequest]) -> Vec<String> {
    requests.iter().map(|request| field(request, "reason").as_str().unwrap().to_owned()).collect()
}

fn start_at(destination: &FakeDestination) -> Telemetry {
    on(MemoryStore::new()).config(custom(&destination.url())).start().unwrap()
}

#[test]
fn a_life_is_told_in_order() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = start_at(&destination);
    wait_for_attempts(&telemetry, 1);
    telemetry.license_changed(licensed("abc"));
    telemetry.license_changed(licensed("abc"));
    wait_for_attempts(&telemetry, 2);
    block_on(telemetry.send_now()).unwrap();
    block_on(telemetry.stop());
    let requests = destination.wait_for_requests(4, SOON);
    assert_eq!(reasons(&requests), ["begin", "license-state-change", "update", "end"]);
    assert_eq!(field(&requests[0], "instance_id"), INSTANCE_ID);
    assert_eq!(field(&requests[0], "license_valid"), false);
    assert_eq!(field(&requests[1], "license_valid"), true);
    assert_eq!(
        field(&requests[1], "license_key_hash"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(telemetry.status().health, Health::Stopped);
}

#[test]
fn a_change_just_before_the_stop_is_still_told_where_the_network_is_well() {
    let destination = FakeDestination::start(Behaviour::Slow(Duration::from_millis(10)));
    let telemetry = start_at(&destination);
    destination.wait_for_requests(1, SOON);
    telemetry.license_changed(licensed("abc"));
    wait_for(&telemetry, "the change is known", |status| status.license.valid);
    block_on(telemetry.stop());
    assert_eq!(reasons(&destination.requests()), ["begin", "license-state-change", "end"]);
}

#[test]
fn a_change_and_a_stop_in_one_breath_are_told_in_order() {
    for _ in 0..50 {
        let destination = FakeDestination::start(Behaviour::Ok);
        let telemetry = start_at(&destination);
        wait_for_attempts(&telemetry, 1);
        telemetry.license_changed(licensed("abc"));
        block_on(telemetry.stop());
        let requests = destination.requests();
        assert_eq!(reasons(&requests), ["begin", "license-state-change", "end"]);
        assert_eq!(field(&requests[2], "license_valid"), true);
    }
}

#[test]
fn the_newest_state_holds_by_whichever_way_it_came() {
    for _ in 0..50 {
        let telemetry = on(MemoryStore::new()).start().unwrap();
        wait_for(&telemetry, "everything runs", |status| status.instance_id.is_some());
        telemetry.license_recipient().do_send(LicenseChanged(licensed("first")));
        telemetry.license_changed(License::none());
        block_on(telemetry.stop());
        assert!(!telemetry.status().license.valid);
    }
}

#[test]
fn a_license_ends_in_the_status_also_where_telemetry_is_disabled() {
    let until = SystemTime::now() + Duration::from_millis(50);
    let license = licensed("abc").until(until);
    let telemetry = on(MemoryStore::new()).license(license).start().unwrap();
    wait_for(&telemetry, "the license ends", |status| {
        status.license.valid_until.is_some() && !status.license.valid
    });
    block_on(telemetry.stop());
}

#[test]
fn a_license_that_ends_by_itself_is_told() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry =
        on(MemoryStore::new()).config(custom(&destination.url())).license(licensed("abc")).start().unwrap();
    destination.wait_for_requests(1, SOON);
    let until = SystemTime::now() + Duration::from_millis(400);
    telemetry.license_changed(licensed("abc").until(until));
    let requests = destination.wait_for_requests(2, SOON);
    assert_eq!(reasons(&requests), ["begin", "license-state-change"]);
    assert_eq!(field(&requests[0], "license_valid"), true);
    assert_eq!(field(&requests[1], "license_valid"), false);
    block_on(telemetry.stop());
}

#[test]
fn stopping_twice_or_from_two_places_is_harmless_and_says_the_same() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = start_at(&destination);
    wait_for_attempts(&telemetry, 1);
    let stops: Vec<_> = (0..8)
        .map(|_| {
            let telemetry = telemetry.clone();
            std::thread::spawn(move || block_on(telemetry.stop()))
        })
        .collect();
    let reports: Vec<_> = stops.into_iter().map(|stop| stop.join().unwrap()).collect();
    assert!(reports.iter().all(|report| report == &reports[0] && report.ends.len() == 1));
    assert_eq!(block_on(telemetry.stop()), reports[0]);
    assert_eq!(reasons(&destination.requests()), ["begin", "end"]);
    telemetry.license_changed(licensed("abc"));
    assert_eq!(block_on(telemetry.send_now()), Err(SendNowError::NotRunning));
    assert_eq!(telemetry.preview().len(), 4, "a preview needs nobody alive");
}

#[test]
fn a_flood_of_calls_is_refused_and_does_not_keep_the_stop_away() {
    let destination = FakeDestination::start(Behaviour::Slow(Duration::from_millis(100)));
    let telemetry = start_at(&destination);
    wait_for_attempts(&telemetry, 1);
    let calls: Vec<_> = (0..2_000)
        .map(|_| {
            let telemetry = telemetry.clone();
            let mut call = Box::pin(async move { telemetry.send_now().await });
            let _ = futures_util::FutureExt::now_or_never(call.as_mut());
            call
        })
        .collect();
    telemetry.license_changed(licensed("abc"));
    let report = block_on(telemetry.stop());
    assert_eq!(report.ends[0].outcome, deployment_telemetry::Outcome::Status(200), "{report}");
    assert_eq!(reasons(&destination.requests()).last().unwrap(), "end");
    drop(calls);
}

#[test]
fn dropping_the_last_handle_ends_the_run() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = start_at(&destination);
    wait_for_attempts(&telemetry, 1);
    let clone = telemetry.clone();
    drop(telemetry);
    assert_eq!(clone.status().health, Health::Running);
    drop(clone);
    assert_eq!(reasons(&destination.wait_for_requests(2, SOON)), ["begin", "end"]);
}

#[test]
fn disabled_sends_nothing_and_still_knows_its_id() {
    let telemetry = on(MemoryStore::new()).start().unwrap();
    let status = wait_for(&telemetry, "the id is read", |status| status.instance_id.is_some());
    assert_eq!(status.mode, Mode::Disabled);
    assert_eq!(status.destinations, []);
    assert_eq!(telemetry.preview(), []);
    assert_eq!(block_on(telemetry.send_now()), Err(SendNowError::Disabled));
    let report = block_on(telemetry.stop());
    assert!(report.was_running && report.ends.is_empty());
}

#[test]
fn a_bad_setting_starts_nothing() {
    let config = Config::new().mode("custom").frequency("1m");
    let Err(StartError::Config(errors)) = on(MemoryStore::new()).config(config).start() else {
        panic!("it started");
    };
    assert_eq!(errors.problems().len(), 2, "{errors}");
}

#[test]
fn a_build_time_that_is_none_is_told_to_the_developer() {
    let build = deployment_telemetry::BuildInfo::new("1").with_time("yesterday");
    let product = deployment_telemetry::Product::new("Sirveo");
    let started = Telemetry::builder(product, build, MemoryStore::new()).config(Config::default()).start();
    assert!(matches!(started, Err(StartError::BuildTime(time)) if time == "yesterday"));
}

#[test]
fn a_preview_before_the_start_changes_nothing() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder = on(MemoryStore::new()).config(custom(&destination.url()));
    let preview = runtime.block_on(builder.preview()).unwrap();
    let json = serde_json::to_value(&preview).unwrap();
    let told: Vec<_> =
        json.as_array().unwrap().iter().map(|request| request["body"]["reason"].clone()).collect();
    assert_eq!(told, ["begin", "update", "license-state-change", "end"]);
    assert_eq!(json[0]["body"]["instance_id"], INSTANCE_ID);
    assert_eq!(destination.connections(), 0);
}

/// An actor of the host's own that knows a recipient and nothing else.
struct LicenseServer(Recipient<LicenseChanged>);

#[derive(Message)]
#[rtype(result = "()")]
struct Renewed;

impl Actor for LicenseServer {
    type Context = Context<Self>;
}

impl Handler<Renewed> for LicenseServer {
    type Result = ();

    fn handle(&mut self, _: Renewed, _: &mut Self::Context) {
        self.0.do_send(LicenseChanged(licensed("abc")));
    }
}

#[actix_rt::test]
async fn an_actor_of_the_host_sends_the_plain_message() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = start_at(&destination);
    wait_for_attempts(&telemetry, 1);
    let actor = LicenseServer(telemetry.license_recipient()).start();
    actor.send(Renewed).await.unwrap();
    wait_for_attempts(&telemetry, 2);
    telemetry.stop().await;
    assert_eq!(reasons(&destination.requests()), ["begin", "license-state-change", "end"]);
}

#[test]
fn it_works_in_a_plain_tokio_host_of_many_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let destination = FakeDestination::start(Behaviour::Ok);
    let url = destination.url();
    runtime.block_on(async move {
        let telemetry = on(MemoryStore::new()).config(custom(&url)).start().unwrap();
        let stopped = tokio::spawn(async move {
            wait_for_attempts(&telemetry, 1);
            telemetry.send_now().await.unwrap();
            telemetry.stop().await
        });
        assert_eq!(stopped.await.unwrap().ends.len(), 1);
    });
    assert_eq!(reasons(&destination.requests()), ["begin", "update", "end"]);
}

#[test]
fn the_end_of_the_hosts_actix_system_does_not_reach_the_telemetry() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = actix_rt::System::new().block_on(async { start_at(&destination) });
    destination.wait_for_requests(1, SOON);
    let report = block_on(telemetry.stop());
    assert_eq!(report.ends.len(), 1);
    assert_eq!(reasons(&destination.requests()), ["begin", "end"]);
}

/// A store that blocks the telemetry thread, against its contract, for longer than the test takes.
struct BlockingStore;

impl StateStore for BlockingStore {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        std::thread::sleep(10 * STOP_LIMIT);
        Ok(None)
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StateError> {
        Ok(true)
    }

    fn needs_host_runtime(&self) -> bool {
        false
    }
}

#[test]
fn a_frozen_telemetry_thread_harms_neither_the_host_nor_the_stop() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(BlockingStore).config(custom(&destination.url())).start().unwrap();
    let began = std::time::Instant::now();
    telemetry.license_changed(licensed("abc"));
    assert_eq!(telemetry.status().instance_id, None);
    assert_eq!(telemetry.preview().len(), 4);
    assert!(began.elapsed() < STOP_LIMIT, "{:?}", began.elapsed());
    let began = std::time::Instant::now();
    let report = block_on(telemetry.stop());
    assert!(began.elapsed() < STOP_LIMIT, "{:?}", began.elapsed());
    assert_eq!(report.ends, [], "begin was never sent");
    assert_eq!(destination.connections(), 0);
}

/// A store that panics.
struct PanickingStore;

impl StateStore for PanickingStore {
    async fn read(&self, _: &str) -> Result<Option<String>, StateError> {
        panic!("the store was told to panic")
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StateError> {
        Ok(true)
    }
}

#[test]
fn a_part_that_keeps_panicking_brings_telemetry_down_and_nothing_else() {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = on(PanickingStore).config(custom(&destination.url())).start().unwrap();
    let status = wait_for(&telemetry, "telemetry is down", |status| status.health == Health::Down);
    assert_eq!(status.panics, 6);
    telemetry.license_changed(licensed("abc"));
    assert_eq!(block_on(telemetry.send_now()), Err(SendNowError::NotRunning));
    let report = block_on(telemetry.stop());
    assert!(!report.was_running && report.ends.is_empty());
    assert_eq!(telemetry.status().health, Health::Down);
}
