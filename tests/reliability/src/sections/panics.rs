//! A panic, and a freeze, of every actor of the sender at every message.

use std::time::Duration;

use serde_json::Value;
use test_support::{Behaviour, FakeDestination, becomes_true};

use super::blows::{Blow, Case, Expected, Struck, strike_all};
use crate::handlers::Half;
use crate::host::{NOT_STARTED, SABOTAGE};
use crate::report::Report;
use crate::scene::reason;
use crate::subject::{Ended, PATIENCE, Settings, Subject, sent};
use crate::trial::{Context, Outcome, ensure};

/// A tick comes once a minute; it is answered within 10 seconds or reported.
const TICK: Duration = Duration::from_secs(90);

/// Number of times that each message is provoked where every one of them panics.
const ROUNDS: usize = 8;

const EXPECTED: [Expected; 4] = [
    (
        Blow::PanicOnce,
        "contained, logged, counted; the actor restarted; `begin`, an update after it and `end` arrive; the host unharmed",
    ),
    (
        Blow::PanicAlways,
        "down after more than 5 in a minute, said once at error; the host unharmed, exit code 0, stop within 5.2 s",
    ),
    (Blow::StallForEver, "the host unharmed, exit code 0, stop within 5.2 s"),
    (Blow::Stall12Seconds, "the host unharmed; then an update and `end` arrive; stop within 5.2 s"),
];

/// Strikes each pair in each way.
pub(crate) fn run(context: &Context, report: &mut Report) {
    strike_all(context, report, Half::Sender, &EXPECTED, |case| run_case(context, case));
}

/// Nothing runs where the settings are not read.
fn prevents_the_start(case: &Case) -> bool {
    case.pair.message == "Load" && case.blow != Blow::PanicOnce
}

fn patience(case: &Case) -> Duration {
    if case.pair.message == "Tick" { TICK } else { Duration::from_secs(10) }
}

fn run_case(context: &Context, case: &Case) -> Outcome<Struck> {
    let destination = FakeDestination::start(Behaviour::Ok);
    let settings =
        Settings::custom("http", &destination.address().to_string(), true).with(SABOTAGE, case.sabotage());
    let host = settings.start(context);
    let pulse = host.pulse();
    let note = match case.blow {
        Blow::PanicOnce => once(&host, case)?,
        _ if prevents_the_start(case) => {
            host.process.wait_for_line(|line| line.starts_with(NOT_STARTED), PATIENCE);
            String::new()
        }
        Blow::PanicAlways => always(&host, case)?,
        Blow::StallForEver | Blow::Stall12Seconds => stall(&host, case)?,
    };
    let beats = pulse.stop()?;
    if prevents_the_start(case) {
        let (status, lines) = host.end_without_telemetry()?;
        let is_told = lines.iter().any(|line| line.starts_with(NOT_STARTED));
        let downs = lines.iter().filter(|line| line.contains("stays down")).count();
        let is_down = downs == usize::from(case.blow == Blow::PanicAlways);
        ensure(status && is_told && is_down, || {
            format!("exit {status}, told {is_told}, down {downs} times")
        })?;
        return Ok(Struck { note: "`start` says so".into(), beats, stop: Duration::ZERO });
    }
    let ended = host.end()?;
    let note = judge(case, &ended, &destination, note)?;
    Ok(Struck { note, beats, stop: ended.stop })
}

fn judge(case: &Case, ended: &Ended, destination: &FakeDestination, note: String) -> Outcome {
    ensure(case.times_taken(&ended.lines) > 0, || "the message was never taken".into())?;
    let has_end = || destination.requests().last().is_some_and(|request| reason(&request.body) == "end");
    let panics = ended.status["panics"].as_u64().unwrap_or_default();
    match case.blow {
        Blow::PanicOnce => {
            ensure(panics == 1, || format!("{panics} panics are counted"))?;
            ensure(ended.count("panicked and is restarted") == 1, || "the restart is not in the log".into())?;
            let first = destination.requests().first().map(|request| reason(&request.body));
            ensure(first.as_deref() == Some("begin"), || format!("the first event is {first:?}"))?;
            ensure(has_end(), || "no `end` arrived".into())?;
        }
        Blow::PanicAlways if panics > 5 => {
            ensure(ended.status["health"] == "down", || {
                format!("{} after {panics}", ended.status["health"])
            })?;
            ensure(ended.count("stays down") == 1, || format!("said {} times", ended.count("stays down")))?;
        }
        Blow::PanicAlways => {
            ensure(ended.status["health"] == "stopped", || {
                format!("{} after {panics}", ended.status["health"])
            })?;
            return Ok(match panics {
                1 => "came once only, so not down".into(),
                _ => format!("came {panics} times only, so not down"),
            });
        }
        Blow::StallForEver => {}
        // A stop gives it up before the freeze is over.
        Blow::Stall12Seconds if case.pair.message == "Finish" => {
            return Ok("stop gives up, without `end`".into());
        }
        Blow::Stall12Seconds => ensure(has_end(), || "no `end` arrived".into())?,
    }
    Ok(note)
}

/// What makes every message but ticks go round.
fn provoke(host: &Subject<'_>, round: usize) -> Outcome<()> {
    host.order(&format!("/license/{}", round.is_multiple_of(2)))?;
    host.order(&format!("/license_message/{}", round % 2 == 1))?;
    host.order("/send_now")?;
    Ok(())
}

fn panics(status: &Value) -> u64 {
    status["panics"].as_u64().unwrap_or_default()
}

/// Number of updates that arrived, of the attempts that the status remembers. A license change that was made before may
/// be sent after them, because it waits for the instance id to be read.
fn updates(status: &Value) -> usize {
    let attempts = status["destinations"][0]["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    attempts.iter().filter(|one| one["reason"] == "update" && one["outcome"]["status"] == 200).count()
}

fn once(host: &Subject<'_>, case: &Case) -> Outcome {
    let started =
        host.wait_for("begun, or struck", PATIENCE, |status| sent(status) > 0 || panics(status) > 0)?;
    // What was struck by itself is to recover by itself, without another change that happens to help.
    if panics(&started) == 0 {
        provoke(host, 1)?;
    }
    if case.pair.message == "Finish" {
        return Ok(String::new());
    }
    host.wait_for("a panic", patience(case), |status| panics(status) == 1)?;
    let begun = host.wait_for("begun, and nothing waits", PATIENCE, |status| {
        sent(status) > 0 && status["destinations"][0]["waiting"] == 0
    })?;
    let before = updates(&begun);
    host.order("/send_now")?;
    host.wait_for("an update after the panic", Duration::from_secs(15), |status| updates(status) > before)?;
    Ok(String::new())
}

fn always(host: &Subject<'_>, case: &Case) -> Outcome {
    let patience = if case.pair.message == "Tick" { TICK } else { Duration::from_secs(1) };
    for round in 0..ROUNDS {
        let before = panics(&host.status()?);
        provoke(host, round)?;
        // Some messages come once a run or once a minute, and then there is nothing more to wait for.
        let struck = becomes_true(patience, || host.status().is_ok_and(|status| panics(&status) > before));
        if case.pair.message == "Tick" || (!struck && round > 1) {
            break;
        }
    }
    Ok(String::new())
}

fn stall(host: &Subject<'_>, case: &Case) -> Outcome {
    provoke(host, 1)?;
    let is_forever = case.blow == Blow::StallForEver;
    if case.pair.message == "Finish" {
        return Ok(String::new());
    }
    let text = format!("takes {}", case.pair.message);
    host.process
        .wait_for_line(|line| line.contains(&case.pair.module) && line.contains(&text), patience(case));
    if is_forever {
        if case.pair.message == "Tick" {
            // At the next beat.
            host.wait_for("it is reported", TICK, |status| {
                status["frozen"].as_array().is_some_and(|frozen| !frozen.is_empty())
            })?;
            return Ok("reported as frozen".into());
        }
        return Ok(String::new());
    }
    let before = updates(&host.wait_for("begun after all", PATIENCE, |status| sent(status) > 0)?);
    host.order("/send_now")?;
    host.wait_for("an update after the freeze", PATIENCE, |status| updates(status) > before)?;
    Ok(String::new())
}
