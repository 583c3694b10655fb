//! What an actor is struck with at a message, and how the outcome of many blows is shown.
//!
//! Each actor logs at TRACE which message it takes. A log that panics at that moment, or blocks, does so in the middle of
//! the actor, in a build like any other. The pairs of actors and messages are read from the sources, so that none can be
//! forgotten: a pair that was never taken fails its case.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::handlers::{Half, Pair};
use crate::pulse::Beats;
use crate::report::{HEAD, Report};
use crate::trial::{Context, MANY, Outcome, ensure, short, try_all};

/// A fault in the middle of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    PanicOnce,
    PanicAlways,
    StallForEver,
    Stall12Seconds,
}

/// A blow at a message.
pub(crate) struct Case {
    pub(crate) pair: Pair,
    pub(crate) blow: Blow,
}

/// What came out of one case.
pub(crate) struct Struck {
    /// What is to be said of it besides that it came out as it should.
    pub(crate) note: String,
    pub(crate) beats: Beats,
    pub(crate) stop: Duration,
}

/// A blow, its name in the table, and what should come out.
pub(crate) type Expected = (Blow, &'static str);

impl Blow {
    /// How the log of a host is told of it.
    pub(crate) fn order(self) -> &'static str {
        match self {
            Blow::PanicOnce => "panic",
            Blow::PanicAlways => "panic-always",
            Blow::StallForEver => "stall",
            Blow::Stall12Seconds => "12",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Blow::PanicOnce => "one panic",
            Blow::PanicAlways => "a panic each time",
            Blow::StallForEver => "a freeze for ever",
            Blow::Stall12Seconds => "a freeze of 12 s",
        }
    }
}

impl Case {
    /// What the log of the host is to do.
    pub(crate) fn sabotage(&self) -> String {
        format!("{} {} {}", self.blow.order(), self.pair.module, self.pair.message)
    }

    /// How often the actor took the message, by what its host printed.
    pub(crate) fn times_taken(&self, lines: &[String]) -> usize {
        let taken = format!("{}: takes {}", self.pair.module, self.pair.message);
        lines.iter().filter(|line| line.ends_with(&taken)).count()
    }
}

/// Strikes each pair of `half` in each way of `expected`, or in the reduced form each pair once.
pub(crate) fn strike_all(
    context: &Context,
    report: &mut Report,
    half: Half,
    expected: &[Expected],
    run: impl Fn(&Case) -> Outcome<Struck> + Sync,
) {
    report.begin(&format!("Every actor of the {half} struck at every message"), &HEAD);
    let pairs = match Pair::all(half) {
        Ok(pairs) => pairs,
        Err(error) => return report.row("the actors' messages", "", "found in the sources", Err(error)),
    };
    let mut cases: Vec<Case> = expected
        .iter()
        .filter(|(blow, _)| !context.is_reduced || *blow == Blow::PanicOnce)
        .flat_map(|(blow, _)| pairs.iter().map(|pair| Case { pair: pair.clone(), blow: *blow }))
        .collect();
    // Those that wait for a tick are slow: they begin first.
    cases.sort_by_key(|case| case.pair.message != "Tick");
    let run =
        |case: &Case| run(case).map_err(|wrong| format!("{:?} at {}: {wrong}", case.blow, case.pair.name()));
    let results = try_all(MANY, &cases, run);
    let mut results: Vec<_> = cases.iter().zip(results).collect();
    for (blow, should) in expected {
        let (these, others): (Vec<_>, Vec<_>) = results.into_iter().partition(|(case, _)| case.blow == *blow);
        results = others;
        if !these.is_empty() {
            let often = format!("all {} pairs of actor and message in the sources", pairs.len());
            report.row(&format!("{} at a message", blow.name()), often, should, describe(these));
        }
    }
    let names: Vec<_> = pairs.iter().map(Pair::name).collect();
    report.note(&format!("The pairs: {}.", names.join(", ")));
}

fn describe(results: Vec<(&Case, Outcome<Struck>)>) -> Outcome {
    let count = results.len();
    let (mut beats, mut stop, mut wrong) = (Beats::default(), Duration::ZERO, Vec::new());
    let mut notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (case, result) in results {
        match result {
            Ok(struck) => {
                beats = beats.and(struck.beats);
                stop = stop.max(struck.stop);
                if !struck.note.is_empty() {
                    notes.entry(struck.note).or_default().push(case.pair.name());
                }
            }
            Err(error) => wrong.push(error),
        }
    }
    ensure(wrong.is_empty(), || format!("{} of {count} cases: {}", wrong.len(), wrong.join("; ")))?;
    let notes: String = notes.iter().map(|(note, pairs)| format!("; {note}: {}", pairs.join(", "))).collect();
    Ok(format!("as expected; hosts {}; longest stop {}{notes}", beats.describe(), short(stop)))
}
