//! Everything that can be wrong with the host's database, before and while the host runs.

use std::time::{Duration, Instant};

use test_support::{Behaviour, FakeDestination};
use uuid::Uuid;

use crate::host::STORE;
use crate::pulse::Beats;
use crate::report::Report;
use crate::scene::{field, reason};
use crate::stores::{Break, Store};
use crate::subject::{PATIENCE, Settings, Subject, sent};
use crate::trial::{Context, MANY, Outcome, ensure, short, try_all};

/// When it is broken, and whether it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before the start; mended later.
    Start,
    /// While the host runs; mended later.
    Running,
    /// Before the start, and the host is stopped so.
    StopUnbegun,
    /// While the host runs, and the host is stopped so.
    StopRunning,
}

const MOMENTS: [Moment; 4] = [Moment::Start, Moment::Running, Moment::StopUnbegun, Moment::StopRunning];

/// A look into the database takes 5 seconds at most, and so does the event after it.
const ONE_UPDATE: Duration = Duration::from_secs(12);

struct Case {
    how: Break,
    moment: Moment,
}

struct Result {
    cell: String,
    beats: Beats,
    stop: Duration,
}

/// Breaks databases in every way at every moment.
pub(crate) fn run(context: &Context, report: &mut Report) {
    let all = Break::ALL.into_iter();
    let breaks: Vec<Break> =
        all.filter(|how| !context.is_reduced || matches!(how, Break::Restarted | Break::Garbage)).collect();
    let cases: Vec<Case> =
        breaks.iter().flat_map(|how| MOMENTS.map(|moment| Case { how: *how, moment })).collect();
    let mut results = try_all(MANY, &cases, |case| run_case(context, case)).into_iter();
    report.begin(
        "Faults of the database",
        &[
            "the database",
            "broken before the start, then mended",
            "broken while the host runs, then mended",
            "stopped before it was mended, without `begin`",
            "stopped while it is broken, after `begin`",
            "host",
            "longest stop",
        ],
    );
    for how in breaks {
        let (mut beats, mut stop) = (Beats::default(), Duration::ZERO);
        let mut cells = vec![how.name().to_owned()];
        for (moment, result) in MOMENTS.iter().zip(results.by_ref()) {
            let cell = result.map(|result| {
                beats = std::mem::take(&mut beats).and(result.beats);
                stop = stop.max(result.stop);
                result.cell
            });
            cells.push(report.cell(&format!("{}, {moment:?}", how.name()), cell));
        }
        cells.extend([beats.describe(), short(stop)]);
        report.cells(&cells);
    }
}

fn run_case(context: &Context, case: &Case) -> Outcome<Result> {
    try_case(context, case).map_err(|wrong| format!("{} at {:?}: {wrong}", case.how.name(), case.moment))
}

fn try_case(context: &Context, case: &Case) -> Outcome<Result> {
    let destination = FakeDestination::start(Behaviour::Ok);
    let mut store = case.how.prepare()?;
    let is_early = matches!(case.moment, Moment::Start | Moment::StopUnbegun);
    if is_early {
        store.break_it()?;
    }
    let settings =
        Settings::custom("http", &destination.address().to_string(), false).with(STORE, store.place());
    let host = settings.start(context);
    let pulse = host.pulse();
    let cell = match is_early {
        true => unbegun(case, &host, &destination, store.as_mut())?,
        false => running(case, &host, &destination, store.as_mut())?,
    };
    let beats = pulse.stop()?;
    let ended = host.end()?;
    let last = destination.requests().last().map(|event| reason(&event.body));
    let expected = (case.moment != Moment::StopUnbegun).then(|| "end".to_owned());
    ensure(last == expected, || format!("the last event is {last:?}"))?;
    Ok(Result { cell, beats, stop: ended.stop })
}

/// No event leaves before there is an id.
fn unbegun(case: &Case, host: &Subject<'_>, destination: &FakeDestination, store: &mut dyn Store) -> Outcome {
    let failed =
        host.wait_for("the fault is noticed", ONE_UPDATE, |status| !status["state_store_error"].is_null())?;
    ensure(destination.requests().is_empty(), || "an event left before there was an id".into())?;
    let (name, shown) = store.named();
    let why = failed["state_store_error"].as_str().unwrap_or_default().replace(&name, shown);
    if case.moment == Moment::StopUnbegun {
        return Ok("nothing sent".into());
    }
    let began = Instant::now();
    store.mend()?;
    host.wait_for_sent(1, PATIENCE)?;
    let waited = began.elapsed();
    same_id(destination, store)?;
    Ok(format!("`begin` delayed ({why}), {} after the mending; the id is the stored one", short(waited)))
}

/// The id that is known serves, and a changed one is seen when the database is well.
fn running(case: &Case, host: &Subject<'_>, destination: &FakeDestination, store: &mut dyn Store) -> Outcome {
    host.wait_for_sent(1, PATIENCE)?;
    let first = same_id(destination, store)?;
    store.break_it()?;
    if case.moment == Moment::StopRunning {
        return Ok("`end` told".into());
    }
    let began = Instant::now();
    host.order("/send_now")?;
    let status = host.wait_for_sent(2, ONE_UPDATE)?;
    let waited = began.elapsed();
    let is_noticed = !status["state_store_error"].is_null();
    ensure(is_noticed != case.how.lets_read(), || {
        format!("state_store_error {}", status["state_store_error"])
    })?;
    let known = store_is_well_again(host, destination, store, sent(&status))?;
    ensure(known == first, || format!("{first} became {known}"))?;
    let another = Uuid::new_v4();
    store.change_id(another)?;
    host.order("/send_now")?;
    // The `end` of the old id, the `begin` of the new one, and the update.
    host.wait_for_sent(sent(&status) + 4, ONE_UPDATE)?;
    told_is(destination, another)?;
    Ok(format!("an update with the known id after {}; one changed by SQL after the mending", short(waited)))
}

/// Mends it. After the next update the known id is stored, even where a crash of the database took it away.
fn store_is_well_again(
    host: &Subject<'_>,
    destination: &FakeDestination,
    store: &mut dyn Store,
    sent: u64,
) -> Outcome<Uuid> {
    store.mend()?;
    host.order("/send_now")?;
    host.wait_for_sent(sent + 1, ONE_UPDATE)?;
    same_id(destination, store)
}

/// The id that is stored, which the last event told.
fn same_id(destination: &FakeDestination, store: &dyn Store) -> Outcome<Uuid> {
    let id = store.id()?.ok_or("no id is stored")?;
    told_is(destination, id)?;
    Ok(id)
}

fn told_is(destination: &FakeDestination, id: Uuid) -> Outcome<()> {
    let events = destination.requests();
    let told = events.last().map(|event| field(&event.body, "instance_id")).unwrap_or_default();
    ensure(told == id.to_string(), || format!("{told} was told instead of {id}"))
}
