//! The receiver's judgement beside the truth: three days of a fleet to which everything happens, on a clock that the test
//! moves from one event to the next, with an outage in which the receiver was really gone.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use deployment_telemetry::receiver::{PostgresFleetStore, Receiver, SqliteFleetStore, Storage, WebhookKey};
use fleet::simulate::{Connection, Delivery, Fleet, Rules, Webhook};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use test_support::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{LIMIT, plain};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// When the simulation begins: 2026-11-02.
const EPOCH: Duration = Duration::from_secs(1_793_577_600);

/// The receiver looks at its fleet as often, and at least; a gap that is longer is an outage.
const STEP: Duration = Duration::from_secs(10 * 60);

const OUTAGE: Range<Duration> = Duration::from_secs(30 * 3600)..Duration::from_secs(37 * 3600);
const END: Duration = Duration::from_secs(72 * 3600);

/// The time that the receiver goes by, in milliseconds of the simulation.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, time: Duration) {
        self.0.store(time.as_millis() as u64, Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A receiver on a server of its own.
struct Host {
    receiver: Receiver,
    server: ServerHandle,
    address: SocketAddr,
    connection: Connection,
}

impl Host {
    fn start(store: Storage, key: &WebhookKey, clock: &Clock) -> Self {
        let clock = clock.clone();
        let receiver = Receiver::builder(store)
            .key(key)
            .clock(move || clock.now())
            .outage_after(STEP * 2)
            .start()
            .unwrap();
        let mounted = receiver.clone();
        let server = HttpServer::new(move || {
            let (webhooks, fleet) = (mounted.clone(), mounted.clone());
            App::new()
                .configure(move |config| webhooks.webhooks(config))
                .configure(move |config| fleet.fleet(config))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let url = format!("http://{address}/webhooks/{}", key.expose()).parse().unwrap();
        let connection = Connection::new(Webhook::new(&url).unwrap());
        Self { receiver, server: handle, address, connection }
    }

    async fn post(&mut self, delivery: &Delivery, clock: &Clock) {
        clock.set(delivery.at);
        let now = Timestamp::try_from(clock.now()).unwrap();
        let answer = self.connection.post(&plain().request(delivery, now)).await.unwrap();
        assert_eq!(answer.status, 200, "{delivery:?}: {}", String::from_utf8_lossy(&answer.body));
    }

    async fn judge(&self, clock: &Clock, now: Duration) {
        clock.set(now);
        self.receiver.judge().await.unwrap();
    }

    /// Until then it refuses to judge.
    async fn wait_until_ready(&self) {
        let ready = async {
            while self.receiver.judge().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.expect("the receiver gets ready");
    }

    async fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    async fn instances(&self) -> HashMap<String, Value> {
        let mut all = HashMap::new();
        let mut path = "/api/instances?limit=200".to_owned();
        loop {
            let page = self.get(&path).await;
            for instance in page["instances"].as_array().unwrap() {
                let id = instance["instance_id"].as_str().unwrap().to_owned();
                assert!(all.insert(id, instance.clone()).is_none(), "listed twice: {instance}");
            }
            match page["next"].as_str() {
                Some(next) => path = format!("/api/instances?limit=200&after={next}"),
                None => return all,
            }
        }
    }

    async fn stop(self) {
        drop(self.connection);
        self.server.stop(true).await;
        self.receiver.stop().await;
    }
}

fn heard(fleet: &Fleet, index: u32, now: Duration) -> Vec<Delivery> {
    fleet.instance(index).take_while(|delivery| delivery.at <= now).collect()
}

/// Compares all that is told of each instance; adds what was true of any to `seen`.
async fn assert_true(
    host: &Host,
    fleet: &Fleet,
    rules: &Rules,
    now: Duration,
    seen: &mut HashSet<&'static str>,
) {
    let told = host.instances().await;
    let mut known = 0;
    let mut wrong = Vec::new();
    for index in 0..fleet.instances {
        let heard = heard(fleet, index, now);
        let Some(truth) = rules.truth(&heard, now) else { continue };
        known += 1;
        seen.insert(truth.state.as_str());
        let flags = [
            (truth.crashed, "crashed"),
            (truth.several_runs, "several runs"),
            (truth.restarting, "restarting"),
            (truth.new, "new"),
            (!truth.license_valid, "license invalid"),
        ];
        seen.extend(flags.iter().filter(|(holds, _)| *holds).map(|(_, flag)| *flag));
        let id = heard[0].instance_id.to_string();
        let told = &told[&id];
        let flags = &told["flags"];
        let is_right = told["state"] == truth.state.as_str()
            && flags["crashed"] == truth.crashed
            && flags["several_runs"] == truth.several_runs
            && flags["restarting"] == truth.restarting
            && flags["new"] == truth.new
            && told["build_version"] == truth.version
            && told["license_valid"] == truth.license_valid;
        if !is_right {
            let lately = &heard[heard.len().saturating_sub(6)..];
            wrong.push(format!("{index}: {truth:?}\n  told: {told}\n  heard lately: {lately:?}"));
        }
    }
    assert!(wrong.is_empty(), "at {now:?} {} of {known}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(told.len(), known, "at {now:?}");
}

/// At each full hour, the last transition until then must have led to the state that was true.
async fn assert_transitions_true(host: &Host, fleet: &Fleet, rules: &Rules) {
    for index in 0..fleet.instances {
        let heard = heard(fleet, index, END);
        let Some(first) = heard.first() else { continue };
        let told = host.get(&format!("/api/instances/{}", first.instance_id)).await;
        let transitions: Vec<(Timestamp, &str)> = told["transitions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|transition| transition["change"] == "state")
            .map(|transition| {
                (transition["at"].as_str().unwrap().parse().unwrap(), transition["to"].as_str().unwrap())
            })
            .collect();
        for hour in 0..=END.as_secs() / 3600 {
            let now = HOUR * hour as u32;
            if OUTAGE.contains(&now) {
                continue;
            }
            let heard: Vec<_> = heard.iter().take_while(|delivery| delivery.at <= now).copied().collect();
            let truth = rules.truth(&heard, now).map(|truth| truth.state.as_str());
            let moment = Timestamp::try_from(UNIX_EPOCH + EPOCH + now).unwrap();
            let last = transitions.iter().find(|(at, _)| *at <= moment).map(|(_, to)| *to);
            assert_eq!(last, truth, "instance {index} at hour {hour}: {transitions:?}");
        }
    }
}

async fn the_judgement_is_the_truth(store: impl Fn() -> Storage) {
    let fleet = Fleet { seed: 11, instances: 160, outage: Some(OUTAGE) };
    let mut rules = Rules::real();
    let (clock, key) = (Clock::default(), WebhookKey::generate());
    let mut host = Host::start(store(), &key, &clock);
    host.wait_until_ready().await;
    let mut step = STEP;
    let (mut events, mut seen) = (0, HashSet::new());
    let mut plan = fleet.plan();
    loop {
        let delivery = plan.next().expect("some go on");
        while step <= delivery.at {
            host.judge(&clock, step).await;
            if step == OUTAGE.start {
                host.stop().await;
                clock.set(OUTAGE.end);
                host = Host::start(store(), &key, &clock);
                host.wait_until_ready().await;
                rules.forgiven = Some(OUTAGE);
                assert_true(&host, &fleet, &rules, OUTAGE.end, &mut seen).await;
                step = OUTAGE.end;
            }
            if step.as_secs().is_multiple_of((HOUR * 2 + MINUTE * 10).as_secs()) || step == END {
                assert_true(&host, &fleet, &rules, step, &mut seen).await;
            }
            if step == END {
                assert_transitions_true(&host, &fleet, &rules).await;
                // Else less was tested than it looks.
                assert!(events > 1000 && seen.len() == 9, "{events} events, {seen:?}");
                return host.stop().await;
            }
            step += STEP;
        }
        host.post(&delivery, &clock).await;
        events += 1;
    }
}

#[actix_web::test]
async fn the_judgement_is_the_truth_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fleet.sqlite");
    the_judgement_is_the_truth(|| SqliteFleetStore::new(&file).into()).await;
}

#[actix_web::test]
async fn the_judgement_is_the_truth_on_postgresql() {
    let database = TestDatabase::new();
    the_judgement_is_the_truth(|| PostgresFleetStore::from_url(database.url()).unwrap().into()).await;
}
