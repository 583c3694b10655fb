//! The receiver's judgement compared with the truth: three days of a fleet to which everything happens, on a clock that the
//! test moves from one event to the next, with an outage in which the receiver is really stopped.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deployment_telemetry::receiver::{PostgresFleetStore, Receiver, SqliteFleetStore, Storage, WebhookKey};
use jiff::Timestamp;
use serde_json::Value;
use simulator::{Delivery, Fleet, License, Rules, Sender, Webhook};
use tempfile::TempDir;
use test_support::TestDatabase;

use crate::host::Host;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Real time at which the simulation begins, since 1970: 2026-11-02.
const EPOCH: Duration = Duration::from_secs(1_793_577_600);

/// Interval at which the receiver judges its fleet. A gap of more than twice this is an outage.
const STEP: Duration = Duration::from_secs(10 * 60);

const OUTAGE: Range<Duration> = Duration::from_secs(30 * 3600)..Duration::from_secs(37 * 3600);
const END: Duration = Duration::from_secs(72 * 3600);

/// Clock of the receiver: milliseconds since the simulation began.
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

/// A receiver whose clock the test moves, and the webhook that events are posted to.
struct Simulated {
    host: Host,
    webhook: Webhook,
    clock: Clock,
}

impl Simulated {
    async fn start(store: Storage, key: &WebhookKey, clock: &Clock) -> Self {
        let now = clock.clone();
        let receiver = Receiver::builder(store).clock(move || now.now()).outage_after(STEP * 2);
        let host = Host::start(receiver, key).await;
        let webhook = Webhook::new(host.webhook(), 1).unwrap();
        Self { host, webhook, clock: clock.clone() }
    }

    async fn post(&self, delivery: &Delivery) {
        self.clock.set(delivery.at);
        let now = Timestamp::try_from(self.clock.now()).unwrap();
        let sender = Sender { speed: 1.0, token: None, secret: None };
        let answer = self.webhook.post(&sender.request(delivery, now)).await.unwrap();
        assert_eq!(answer.status, 200, "{delivery:?}: {}", String::from_utf8_lossy(&answer.body));
    }

    async fn judge(&self, now: Duration) {
        self.clock.set(now);
        self.host.judge().await;
    }

    async fn instances(&self) -> HashMap<String, Value> {
        let mut all = HashMap::new();
        let mut path = "/api/instances?limit=200".to_owned();
        loop {
            let page = self.host.get(&path).await;
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
        // Closes the connection, which the server would wait for.
        drop(self.webhook);
        self.host.stop().await;
    }
}

/// What arrived from an instance by `now`.
fn arrived(fleet: &Fleet, index: u32, now: Duration) -> Vec<Delivery> {
    fleet.instance(index).take_while(|delivery| delivery.at <= now).collect()
}

/// Compares all that the receiver says of each instance with the truth, and returns what is wrong; adds what is true of any
/// instance to `seen`.
async fn differences(
    simulated: &Simulated,
    fleet: &Fleet,
    rules: &Rules,
    now: Duration,
    seen: &mut HashSet<&'static str>,
) -> Vec<String> {
    let reported = simulated.instances().await;
    let mut known = 0;
    let mut wrong = Vec::new();
    for index in 0..fleet.instances {
        let arrivals = arrived(fleet, index, now);
        let Some(truth) = rules.truth(&arrivals, now) else { continue };
        known += 1;
        seen.insert(truth.state.as_str());
        let flags = [
            (truth.losses > 0, "crashed"),
            (truth.several_runs, "several runs"),
            (truth.new, "new"),
            (truth.license == License::Invalid, "license invalid"),
            (truth.license == License::None, "no license"),
        ];
        seen.extend(flags.iter().filter(|(holds, _)| *holds).map(|(_, flag)| *flag));
        let id = arrivals[0].instance_id.to_string();
        let reported = &reported[&id];
        let flags = &reported["flags"];
        let is_right = reported["state"] == truth.state.as_str()
            && flags["crashed"] == (truth.losses > 0)
            && flags["several_runs"] == truth.several_runs
            && flags["new"] == truth.new
            && reported["build_version"] == truth.version
            && reported["license"] == truth.license.as_str();
        if !is_right {
            let latest = &arrivals[arrivals.len().saturating_sub(6)..];
            wrong.push(format!(
                "at {now:?}, {index}: {truth:?}\n  reported: {reported}\n  last arrivals: {latest:?}"
            ));
        }
    }
    assert_eq!(reported.len(), known, "at {now:?}");
    wrong
}

/// At each full hour, the last transition so far must have led to the true state. Returns where it did not.
async fn wrong_transitions(simulated: &Simulated, fleet: &Fleet, rules: &Rules) -> Vec<String> {
    let mut wrong = Vec::new();
    for index in 0..fleet.instances {
        let arrivals = arrived(fleet, index, END);
        let Some(first) = arrivals.first() else { continue };
        let reported = simulated.host.get(&format!("/api/instances/{}", first.instance_id)).await;
        let transitions: Vec<(Timestamp, &str)> = reported["transitions"]
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
            let arrivals: Vec<_> =
                arrivals.iter().take_while(|delivery| delivery.at <= now).copied().collect();
            let truth = rules.truth(&arrivals, now).map(|truth| truth.state.as_str());
            let moment = Timestamp::try_from(UNIX_EPOCH + EPOCH + now).unwrap();
            let last = transitions.iter().find(|(at, _)| *at <= moment).map(|(_, to)| *to);
            if last != truth {
                wrong.push(format!("instance {index} at hour {hour} is {truth:?}: {transitions:?}"));
            }
        }
    }
    wrong
}

async fn the_judgement_is_the_truth(store: impl Fn() -> Storage) {
    let fleet = Fleet { seed: 11, instances: 160, outage: Some(OUTAGE) };
    let mut rules = Rules::real();
    let (clock, key) = (Clock::default(), WebhookKey::generate());
    let mut simulated = Simulated::start(store(), &key, &clock).await;
    let mut step = STEP;
    let (mut events, mut seen, mut wrong) = (0, HashSet::new(), Vec::new());
    let mut plan = fleet.plan();
    loop {
        let delivery = plan.next().expect("some instances never end");
        while step <= delivery.at {
            simulated.judge(step).await;
            if step == OUTAGE.start {
                simulated.stop().await;
                clock.set(OUTAGE.end);
                simulated = Simulated::start(store(), &key, &clock).await;
                rules.forgiven = Some(OUTAGE);
                wrong.extend(differences(&simulated, &fleet, &rules, OUTAGE.end, &mut seen).await);
                step = OUTAGE.end;
            }
            if step.as_secs().is_multiple_of((HOUR * 2 + MINUTE * 10).as_secs()) || step == END {
                wrong.extend(differences(&simulated, &fleet, &rules, step, &mut seen).await);
            }
            if step == END {
                wrong.extend(wrong_transitions(&simulated, &fleet, &rules).await);
                assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
                // Otherwise the test covers less than it seems.
                assert!(events > 1000 && seen.len() == 9, "{events} events, {seen:?}");
                return simulated.stop().await;
            }
            step += STEP;
        }
        simulated.post(&delivery).await;
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
