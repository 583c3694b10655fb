//! Every fault of a destination, at each moment of a run.

use std::time::Duration;

use serde_json::Value;
use test_support::{Behaviour, becomes_true};

use crate::pulse::Beats;
use crate::report::Report;
use crate::scene::{Fault, Scene};
use crate::subject::{Ended, PATIENCE, Subject, sent};
use crate::trial::{Context, MANY, Outcome, ensure, short, try_all};

/// When the fault is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begin,
    Update,
    Change,
    /// By `stop`, while the host serves on.
    End,
    /// By SIGTERM, right after an update left.
    InFlight,
}

const PHASES: [Phase; 5] = [Phase::Begin, Phase::Update, Phase::Change, Phase::End, Phase::InFlight];

/// One event takes 5 seconds at most.
const ONE_EVENT: Duration = Duration::from_secs(8);

struct Case {
    fault: Fault,
    phase: Phase,
    has_token: bool,
}

/// What came out of one case.
struct Result {
    cell: String,
    beats: Beats,
    stop: Duration,
}

fn faults() -> Vec<Fault> {
    let behaviours = [
        Behaviour::Ok,
        Behaviour::Status(401),
        Behaviour::Status(503),
        Behaviour::Reset,
        Behaviour::EarlyClose,
        Behaviour::HangBeforeHead,
        Behaviour::HangAfterHead,
        Behaviour::EndlessBody,
        Behaviour::Slow(Duration::from_millis(1_500)),
        Behaviour::Slow(Duration::from_secs(30)),
        Behaviour::Garbage(b"\x00\xff not HTTP\r\n\r\n".to_vec()),
        Behaviour::BrokenTls,
    ];
    let others = [
        Fault::Redirects,
        Fault::Refuses,
        Fault::Swallows,
        Fault::NoName,
        Fault::SilentResolver,
        Fault::Proxy(Behaviour::Status(407)),
        Fault::Proxy(Behaviour::HangBeforeHead),
    ];
    behaviours.into_iter().map(Fault::Behaves).chain(others).collect()
}

fn reduced() -> Vec<Fault> {
    [Behaviour::Reset, Behaviour::EarlyClose]
        .map(Fault::Behaves)
        .into_iter()
        .chain([Fault::Refuses])
        .collect()
}

/// Tries all of them.
pub(crate) fn run(context: &Context, report: &mut Report) {
    let faults = if context.is_reduced { reduced() } else { faults() };
    let cases: Vec<Case> = faults
        .iter()
        .enumerate()
        .flat_map(|(number, fault)| {
            PHASES.map(|phase| Case { fault: fault.clone(), phase, has_token: number % 2 == 0 })
        })
        .collect();
    let usual = usual_threads(context);
    let results = try_all(MANY, &cases, |case| run_case(context, case, &usual));

    report.begin(
        "Faults of the destination, at each moment of a run",
        &[
            "the destination",
            "expected",
            "`begin`",
            "`update`",
            "license change",
            "`end`",
            "stop during a request",
            "host",
            "longest stop",
        ],
    );
    for (fault, results) in faults.iter().zip(chunks(results)) {
        let mut cells = vec![fault.name(), fault.outcome()];
        let (mut beats, mut stop) = (Beats::default(), Duration::ZERO);
        for (phase, result) in PHASES.iter().zip(results) {
            let cell = result.map(|result| {
                beats = std::mem::take(&mut beats).and(result.beats);
                stop = stop.max(result.stop);
                result.cell
            });
            cells.push(report.cell(&format!("{}, {phase:?}", fault.name()), cell));
        }
        cells.push(beats.describe());
        cells.push(short(stop));
        report.cells(&cells);
    }
}

fn chunks(results: Vec<Outcome<Result>>) -> impl Iterator<Item = Vec<Outcome<Result>>> {
    let mut results = results.into_iter();
    std::iter::from_fn(move || Some(results.by_ref().take(PHASES.len()).collect()))
        .take_while(|chunk: &Vec<_>| !chunk.is_empty())
}

/// The threads of a host that is well and at rest.
fn usual_threads(context: &Context) -> Outcome<Vec<String>> {
    let scene = Scene::new(&Fault::Behaves(Behaviour::Ok));
    let host = scene.settings(true).start(context);
    host.wait_for_sent(1, PATIENCE)?;
    let threads = host.threads();
    host.end()?;
    Ok(threads)
}

fn run_case(context: &Context, case: &Case, usual: &Outcome<Vec<String>>) -> Outcome<Result> {
    let wrong = |wrong: String| format!("{} at {:?}: {wrong}", case.fault.name(), case.phase);
    try_case(context, case, usual).map_err(wrong)
}

fn try_case(context: &Context, case: &Case, usual: &Outcome<Vec<String>>) -> Outcome<Result> {
    let scene = Scene::new(&case.fault);
    if case.phase == Phase::Begin {
        scene.break_it();
    }
    let host = scene.settings(case.has_token).start(context);
    let pulse = host.pulse();
    let mut threads = usual.clone()?;
    if case.phase != Phase::Begin {
        host.wait_for_sent(1, ONE_EVENT)?;
        threads = host.threads();
        scene.break_it();
    }
    match case.phase {
        Phase::Begin => {}
        Phase::Update => _ = host.order("/send_now")?,
        Phase::Change => _ = host.order("/license/false")?,
        Phase::End => _ = host.order("/stop")?,
        Phase::InFlight => {
            host.order("/send_now")?;
            // That of `begin`, and that of the update.
            host.wait_for_lines("takes SendNext", 2, ONE_EVENT);
        }
    }
    let met = match case.phase {
        Phase::Begin | Phase::Update | Phase::Change => Some(recover(case, &host, &scene)?),
        Phase::End | Phase::InFlight => None,
    };
    match case.phase {
        Phase::End => {
            no_more(&host, |names| names.iter().filter(|name| name.starts_with("telemetry")).count(), 0)?
        }
        Phase::InFlight => {}
        _ => no_more(&host, <[String]>::len, threads.len())?,
    }
    let beats = pulse.stop()?;
    let ended = host.end()?;
    let cell = judge(case, &ended, met.as_ref())?;
    ensure(!scene.was_redirect_followed(), || "the redirect was followed".into())?;
    if met.is_some() {
        ensure(scene.reasons().last().is_some_and(|reason| reason == "end"), || {
            format!("{:?}", scene.reasons())
        })?;
    }
    Ok(Result { cell, beats, stop: ended.stop })
}

/// Waits for the event that meets the fault, mends it, and waits for the next event. The status with the former.
fn recover(case: &Case, host: &Subject<'_>, scene: &Scene) -> Outcome<Value> {
    let met = host.wait_for_attempt(reason(case.phase), ONE_EVENT)?;
    scene.mend();
    host.order(if case.phase == Phase::Update { "/license/false" } else { "/send_now" })?;
    host.wait_for_sent(sent(&met) + 1, ONE_EVENT)?;
    Ok(met)
}

/// The short-lived threads of a fault end by themselves.
fn no_more(host: &Subject<'_>, count: impl Fn(&[String]) -> usize, most: usize) -> Outcome<()> {
    let mut last = Vec::new();
    let gone = becomes_true(PATIENCE, || {
        last = host.threads();
        count(&last) <= most
    });
    ensure(gone, || format!("more threads than the {most} before: {last:?}"))
}

fn reason(phase: Phase) -> &'static str {
    match phase {
        Phase::Begin => "begin",
        Phase::Update => "update",
        Phase::Change => "license-state-change",
        Phase::End | Phase::InFlight => "end",
    }
}

/// The outcome in the log must be the fault's.
fn judge(case: &Case, ended: &Ended, met: Option<&Value>) -> Outcome {
    let expected = case.fault.outcome();
    let outcome = ended.outcome(reason(case.phase)).ok_or("no such event in the log")?;
    ensure(outcome == expected, || format!("{outcome} instead of {expected}"))?;
    let status = met.unwrap_or(&ended.status);
    let took = status["destinations"][0]["attempts"][0]["duration_ms"].as_u64().unwrap_or_default();
    let took = short(Duration::from_millis(took));
    match case.phase {
        Phase::InFlight => {
            let update = ended.outcome("update").ok_or("no update in the log")?;
            ensure(update == expected || update == "cause=abandoned", || format!("the update: {update}"))?;
            Ok(format!("update {}, end after {took}", bare(update)))
        }
        Phase::End => Ok(format!("{}, {took}", bare(outcome))),
        _ => Ok(format!("{}, {took}; next 200", bare(outcome))),
    }
}

fn bare(outcome: &str) -> &str {
    outcome.split('=').nth(1).unwrap_or(outcome)
}
