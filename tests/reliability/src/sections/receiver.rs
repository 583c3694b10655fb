//! A panic, and a freeze, of every actor of the receiver at every message.
//!
//! Events of one instance are posted all the while. Afterwards a receiver without a fault, on the same store, tells which
//! of them are stored.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use deployment_telemetry::{BuildInfo, LicenseState, Payload, Reason};
use serde_json::Value;
use tempfile::TempDir;
use test_support::{Behaviour, FakeDestination, becomes_true};
use uuid::Uuid;

use super::blows::{Blow, Case, Expected, Struck, strike_all};
use crate::handlers::Half;
use crate::host::receiver::{ENDED, STOPPED};
use crate::host::{ALERTS, RECEIVER, SABOTAGE};
use crate::report::Report;
use crate::subject::{PATIENCE, STOP_LIMIT, Settings, Subject};
use crate::trial::{Context, Outcome, ensure};
use crate::{http, trial};

const EXPECTED: [Expected; 4] = [
    (
        Blow::PanicOnce,
        "contained, logged, counted; the actor restarted; events are taken, judged and alerted on again; nothing acknowledged is lost, nothing stored twice; the host unharmed",
    ),
    (
        Blow::PanicAlways,
        "down after more than 5 in a minute, said once at error; `ended()` resolves; events get 503; nothing acknowledged is lost, nothing stored twice; the host unharmed, exit code 0, stop within 5.2 s",
    ),
    (
        Blow::StallForEver,
        "reported as frozen; events get 503 within 6 s; nothing acknowledged is lost, nothing stored twice; the host unharmed, exit code 0, stop within 5.2 s",
    ),
    (
        Blow::Stall12Seconds,
        "events are taken, judged and alerted on again; nothing acknowledged is lost, nothing stored twice; the host unharmed, stop within 5.2 s",
    ),
];

const INSTANCE: Uuid = Uuid::from_u128(0x4915a241_ba4e_4d2c_8f6e_0123456789ab);
const RUN: Uuid = Uuid::from_u128(0x7229a017_0000_4000_8000_000000000001);

/// Longest time until an event is answered, be it by 503: a sender gives up after 5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// Longest time until what was struck works again: a freeze of 12 s, and the pause before a digest is tried again.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);

/// Longest time that an alert for a test is waited for.
const TEST_LIMIT: Duration = Duration::from_secs(1);

/// Longest time until a frozen thread is reported.
const FROZEN_LIMIT: Duration = Duration::from_secs(30);

/// Strikes each pair in each way.
pub(crate) fn run(context: &Context, report: &mut Report) {
    strike_all(context, report, Half::Receiver, &EXPECTED, |case| run_case(context, case));
}

fn run_case(context: &Context, case: &Case) -> Outcome<Struck> {
    let alerts = FakeDestination::start(Behaviour::Ok);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let settings = Settings::bare()
        .with(RECEIVER, file(&folder).to_string_lossy())
        .with(ALERTS, alerts.url())
        .with(SABOTAGE, case.sabotage());
    let host = settings.start(context);
    let pulse = host.pulse();
    let mut instance = Instance::reporting_to(&host)?;
    match case.blow {
        Blow::PanicOnce => {
            works(&mut instance, &host, &alerts)?;
            if !comes_at_the_stop(case) {
                instance.wait_for_health(&host, "one panic", |health| health["panics"] == 1)?;
                test_alerts(&host);
                let is_taken_again =
                    becomes_true(RECOVERY_LIMIT, || case.times_taken(&host.process.output()) > 1);
                ensure(is_taken_again, || "the message was never taken again".into())?;
                // And it works after the panic, whenever that came.
                works(&mut instance, &host, &alerts)?;
            }
        }
        Blow::PanicAlways => until_down(&mut instance, &host, case)?,
        Blow::StallForEver => frozen(&mut instance, &host, case)?,
        Blow::Stall12Seconds => {
            works(&mut instance, &host, &alerts)?;
            works(&mut instance, &host, &alerts)?;
        }
    }
    let beats = pulse.stop()?;
    let (exited_well, lines) = host.end_without_telemetry()?;
    ensure(exited_well, || "the exit code is not 0".into())?;
    ensure(case.times_taken(&lines) > 0, || "the message was never taken".into())?;
    let stop = judge_the_end(case, &lines)?;
    let note = instance.compare_with_the_store(context, &folder)?;
    Ok(Struck { note, beats, stop })
}

fn comes_at_the_stop(case: &Case) -> bool {
    case.pair.message == "Drain"
}

/// An event is taken, judged, and alerted on.
fn works(instance: &mut Instance, host: &Subject<'_>, alerts: &FakeDestination) -> Outcome<()> {
    instance.send_until_stored(true)?;
    instance.wait_until_judged(host, true)?;
    // Now that the receiver is ready for certain.
    test_alerts(host);
    let is_of_instance = |body: &[u8]| String::from_utf8_lossy(body).contains(&INSTANCE.to_string());
    let told = || alerts.requests().iter().filter(|request| is_of_instance(&request.body)).count();
    let before = told();
    instance.send_until_stored(false)?;
    instance.wait_until_judged(host, false)?;
    let arrived = becomes_true(RECOVERY_LIMIT, || told() > before);
    ensure(arrived, || "no alert of an invalid license arrived".into())
}

/// Sends an alert for a test, as people do from the page of the alerts. What comes of it is for the other trials.
fn test_alerts(host: &Subject<'_>) {
    let _ = http::ask(host.address, "POST", "/fleet/api/alerts/test", TEST_LIMIT);
}

/// Events that make every message go round, until the receiver has given up.
fn until_down(instance: &mut Instance, host: &Subject<'_>, case: &Case) -> Outcome<()> {
    if comes_at_the_stop(case) {
        return instance.send_until_stored(true);
    }
    let deadline = Instant::now() + RECOVERY_LIMIT;
    let mut valid = true;
    while health(host)?["state"] != "down" {
        ensure(Instant::now() < deadline, || format!("not down: {:?}", health(host)))?;
        valid = !valid;
        instance.send(valid)?;
        test_alerts(host);
        std::thread::sleep(Duration::from_millis(200));
    }
    host.process.wait_for_line(|line| line.starts_with(ENDED), PATIENCE);
    let status = instance.send(true)?;
    ensure(status == 503, || format!("an event to a receiver that is down gets {status}"))?;
    let server = http::ask(host.address, "GET", "/fleet/api/server", PATIENCE).map_err(|e| e.to_string())?;
    ensure(server.contains("\"health\":\"down\""), || format!("api/server says {server}"))
}

/// Events before and in a freeze without an end.
fn frozen(instance: &mut Instance, host: &Subject<'_>, case: &Case) -> Outcome<()> {
    if comes_at_the_stop(case) {
        return instance.send_until_stored(true);
    }
    let deadline = Instant::now() + RECOVERY_LIMIT;
    let mut valid = true;
    // Those that are answered before the blow may be stored.
    while case.times_taken(&host.process.output()) == 0 {
        ensure(Instant::now() < deadline, || "the message was never taken".into())?;
        valid = !valid;
        instance.send(valid)?;
        test_alerts(host);
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = instance.send(true)?;
    ensure(status == 503, || format!("an event to a receiver that is frozen gets {status}"))?;
    let is_frozen =
        becomes_true(FROZEN_LIMIT, || health(host).is_ok_and(|health| health["state"] == "frozen"));
    ensure(is_frozen, || format!("not reported as frozen: {:?}", health(host)))
}

/// What the host printed of the end. Returns how long the stop took.
fn judge_the_end(case: &Case, lines: &[String]) -> Outcome<Duration> {
    let after = |prefix: &str| lines.iter().rev().find_map(|line| line.strip_prefix(prefix));
    let stop = after(STOPPED).and_then(|micros| micros.parse().ok()).map(Duration::from_micros);
    let stop = stop.ok_or("the receiver was not stopped")?;
    ensure(stop <= STOP_LIMIT, || format!("the stop took {}", trial::short(stop)))?;
    let ended: Value =
        after(ENDED).and_then(|json| serde_json::from_str(json).ok()).ok_or("`ended()` did not resolve")?;
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let (panics, state, downs) = match case.blow {
        Blow::PanicOnce => (1, "stopped", 0),
        Blow::PanicAlways => (6, "down", 1),
        Blow::StallForEver | Blow::Stall12Seconds => (0, "stopped", 0),
    };
    ensure(ended["state"] == state && ended["panics"] == panics, || format!("it ended as {ended}"))?;
    ensure(count("stays down") == downs, || format!("down is said {} times", count("stays down")))?;
    ensure(count("panicked and is restarted") == panics.min(5), || {
        format!("restarts are said {} times", count("panicked and is restarted"))
    })?;
    Ok(stop)
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("fleet.sqlite")
}

/// The health of the receiver, as its handle has it.
fn health(host: &Subject<'_>) -> Outcome<Value> {
    let answer = http::ask(host.address, "GET", "/receiver", PATIENCE).map_err(|error| error.to_string())?;
    serde_json::from_str(&answer).map_err(|error| error.to_string())
}

/// An instance that sends events, each with a number, and remembers which were acknowledged.
struct Instance {
    address: std::net::SocketAddr,
    webhook: String,
    sent: u64,
    acknowledged: BTreeSet<u64>,
    turned_away: usize,
}

impl Instance {
    fn reporting_to(host: &Subject<'_>) -> Outcome<Self> {
        let webhook = health(host)?["webhook"].as_str().unwrap_or_default().to_owned();
        let (sent, acknowledged) = (0, BTreeSet::new());
        Ok(Self { address: host.address, webhook, sent, acknowledged, turned_away: 0 })
    }

    /// Sends one event, once. Returns the status of the answer, which is 200 or 503.
    fn send(&mut self, valid: bool) -> Outcome<u16> {
        self.sent += 1;
        self.post(self.sent, valid)
    }

    /// Sends one event until it is stored: the same one again after 503. And once more, as where an answer was lost.
    fn send_until_stored(&mut self, valid: bool) -> Outcome<()> {
        self.sent += 1;
        let deadline = Instant::now() + RECOVERY_LIMIT;
        while self.post(self.sent, valid)? != 200 {
            ensure(Instant::now() < deadline, || "events are not taken again".into())?;
            std::thread::sleep(Duration::from_millis(50));
        }
        self.post(self.sent, valid).map(drop)
    }

    fn post(&mut self, number: u64, valid: bool) -> Outcome<u16> {
        let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00");
        let license = LicenseState::new(None, valid);
        let reason = if number == 1 { Reason::Begin } else { Reason::Update };
        let body = Payload::new(&build, INSTANCE, &license, reason, None).to_json();
        let headers =
            [("content-type", "application/json".to_owned()), ("webhook-id", format!("{RUN}.{number}"))];
        let began = Instant::now();
        let (status, answer) = http::post(self.address, &self.webhook, &headers, &body, PATIENCE)
            .map_err(|error| format!("event {number}: {error}"))?;
        let took = began.elapsed();
        ensure(took <= ANSWER_LIMIT, || format!("event {number} was answered after {took:?}"))?;
        match status {
            200 => _ = self.acknowledged.insert(number),
            503 => self.turned_away += 1,
            _ => return Err(format!("event {number}: {status} {answer}")),
        }
        Ok(status)
    }

    fn wait_for_health(&self, host: &Subject<'_>, what: &str, holds: impl Fn(&Value) -> bool) -> Outcome<()> {
        let mut last = Err("no health".to_owned());
        let came = becomes_true(RECOVERY_LIMIT, || {
            last = health(host);
            last.as_ref().is_ok_and(&holds)
        });
        ensure(came, || format!("not {what}: {last:?}"))
    }

    /// Waits until the judge has seen whether the license is valid.
    fn wait_until_judged(&self, host: &Subject<'_>, valid: bool) -> Outcome<()> {
        let path = format!("/fleet/api/instances/{INSTANCE}");
        let mut last = String::new();
        let judged = becomes_true(RECOVERY_LIMIT, || {
            let answer = http::ask(host.address, "GET", &path, PATIENCE);
            let json = answer
                .map_err(|error| error.to_string())
                .and_then(|answer| serde_json::from_str::<Value>(&answer).map_err(|error| error.to_string()));
            let judged = json.as_ref().is_ok_and(|json| {
                json["state"] == "up" && json["license_valid"] == valid && json["transitions"][0].is_object()
            });
            last = format!("{json:?}");
            judged
        });
        ensure(judged, || format!("not judged as of license valid {valid}: {last}"))
    }

    /// Everything acknowledged is stored, and nothing twice, as a receiver without a fault tells.
    fn compare_with_the_store(&self, context: &Context, folder: &TempDir) -> Outcome {
        let host = Settings::bare().with(RECEIVER, file(folder).to_string_lossy()).start(context);
        let mut stored = Vec::new();
        let mut after = String::new();
        loop {
            let mut page: Option<Value> = None;
            becomes_true(PATIENCE, || {
                let path = format!("/fleet/api/events?limit=200{after}");
                let answer = http::ask(host.address, "GET", &path, PATIENCE).ok();
                page = answer.and_then(|answer| serde_json::from_str(&answer).ok());
                page.is_some()
            });
            let page = page.ok_or("the events cannot be read")?;
            let events = page["events"].as_array().ok_or("no list of events")?;
            stored.extend(events.iter().filter_map(|event| event["sequence"].as_u64()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        host.end_without_telemetry()?;
        let once: BTreeSet<u64> = stored.iter().copied().collect();
        ensure(once.len() == stored.len(), || format!("stored twice: {stored:?}"))?;
        let lost: Vec<_> = self.acknowledged.difference(&once).collect();
        ensure(lost.is_empty(), || format!("acknowledged and lost: {lost:?}"))?;
        ensure(once.last().is_none_or(|last| *last <= self.sent), || format!("never sent: {stored:?}"))?;
        Ok(String::new())
    }
}
