//! The runs of a server in words: the labels of their lanes, and the text that says what the picture shows.

use jiff::Timestamp;

use super::super::report::run_name;
use super::super::words::{clock, count, exact, shown};
use super::lanes::{Fate, Lane, Lanes, start};
use crate::receiver::api::history::RunRow;
use crate::receiver::api::instance::SHOWN_RUNS;
use crate::receiver::store::Outage;

/// Longest version in a label, in characters.
const LONGEST_VERSION: usize = 20;

/// Number of runs that the text is about, the last ones.
const TOLD: usize = 5;

/// When the earliest of the runs that are known began, where there may be earlier ones.
pub(super) fn known_since(runs: &[RunRow]) -> Option<Timestamp> {
    let earliest = runs.iter().map(|run| run.first_seen_at.0).min();
    earliest.filter(|_| runs.len() as i64 >= SHOWN_RUNS)
}

/// Whether there may be runs that belong to the lane and are not known.
fn is_cut(lane: &Lane<'_>, known_since: Option<Timestamp>) -> bool {
    known_since == Some(lane.since)
}

/// The labels of the lanes. `known_since` is as [`known_since`] has it.
pub(super) fn labels(lanes: &Lanes<'_>, known_since: Option<Timestamp>, now: Timestamp) -> Vec<String> {
    lanes.lanes.iter().map(|lane| label(lane, known_since, now)).collect()
}

fn label(lane: &Lane<'_>, known_since: Option<Timestamp>, now: Timestamp) -> String {
    let mut label = format!("{} · ", version(lane));
    let since = clock(lane.since, now);
    match lane.runs {
        1 if lane.since < start(now) => label.push_str(&format!("{} since {since}", name(lane))),
        1 => label.push_str(&name(lane)),
        runs if is_cut(lane, known_since) => {
            label.push_str(&format!("at least {runs} runs, the last {}", name(lane)))
        }
        runs => label.push_str(&format!("{runs} runs since {since}, the last {}", name(lane))),
    }
    if let Some(beside) = lane.beside {
        label.push_str(&format!(", beside {}", run_name(&beside.run_id)));
    }
    match lane.fate {
        Fate::Alive => {}
        Fate::Ended(at) => label.push_str(&format!(", ended {}", clock(at, now))),
        Fate::Lost(at) => label.push_str(&format!(", lost {}", clock(at, now))),
        Fate::Silent(at) => label.push_str(&format!(", silent since {}", clock(at, now))),
        Fate::KnownUntil(at) => label.push_str(&format!(", known until {}", clock(at, now))),
    }
    label
}

fn name(lane: &Lane<'_>) -> String {
    if lane.run.run_id.is_nil() { "not named".to_owned() } else { run_name(&lane.run.run_id) }
}

fn version(lane: &Lane<'_>) -> String {
    let version = shown(&lane.run.build_version);
    match version.char_indices().nth(LONGEST_VERSION) {
        Some((end, _)) => format!("{}…", &version[..end]),
        None => version,
    }
}

/// What the picture shows, in sentences. `known_since` is as [`known_since`] has it.
pub(super) fn in_words(
    lanes: &Lanes<'_>,
    outages: &[Outage],
    known_since: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let runs_of = |lanes: &[Lane<'_>]| lanes.iter().map(|lane| lane.runs).sum::<usize>();
    let all = runs_of(&lanes.lanes) + lanes.left_out;
    let least = if known_since.is_some() { "At least " } else { "" };
    let mut words = format!("{least}{}; times are UTC.", count(all as i64, "run"));
    let told = lanes.lanes.len().saturating_sub(TOLD);
    if told + lanes.left_out > 0 {
        words.push_str(&format!(" The last {}:", runs_of(&lanes.lanes[told..])));
    }
    for lane in &lanes.lanes[told..] {
        words.push(' ');
        words.push_str(&sentence(lane, known_since, now));
    }
    for outage in outages.iter().filter(|outage| outage.ended_at > start(now)) {
        let length = exact(outage.ended_at.duration_since(outage.began_at));
        words.push_str(&format!(
            " The receiver itself was away for {length} from {}.",
            clock(outage.began_at, now)
        ));
    }
    words
}

fn sentence(lane: &Lane<'_>, known_since: Option<Timestamp>, now: Timestamp) -> String {
    let began = match lane.run.begun {
        true => "began",
        false => "was first heard",
    };
    let since = clock(lane.run.first_seen_at.0, now);
    let beside =
        lane.beside.map(|run| format!(" while {} was alive", run_name(&run.run_id))).unwrap_or_default();
    let became = match lane.fate {
        Fate::Alive => "is alive".to_owned(),
        Fate::Ended(at) => format!("ended {}", clock(at, now)),
        Fate::Lost(at) => format!("was lost {}", clock(at, now)),
        Fate::Silent(at) => format!("is silent since {}", clock(at, now)),
        Fate::KnownUntil(at) => format!("is known until {}", clock(at, now)),
    };
    if lane.runs > 1 {
        let (runs, since, version) = (lane.runs, clock(lane.since, now), version(lane));
        let (least, earlier) =
            if is_cut(lane, known_since) { ("At least ", " or earlier") } else { ("", "") };
        let last = name(lane);
        return format!(
            "{least}{runs} runs, version {version}, began one after the other from {since}{earlier}; \
             the last, {last}, {became}."
        );
    }
    let name = match lane.run.run_id.is_nil() {
        true => "A run without a name".to_owned(),
        false => format!("Run {}", run_name(&lane.run.run_id)),
    };
    format!("{name}, version {}, {began} {since}{beside}; it {became}.", version(lane))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::examples::{at, now, run};
    use super::super::lanes::Past;
    use super::*;
    use crate::receiver::api::moment::Moment;

    fn past<'a>(runs: &'a [RunRow], outages: &'a [Outage]) -> Past<'a> {
        Past {
            now: now(),
            frequency: 3_600,
            runs,
            events: &[],
            has_more_events: false,
            changes: &[],
            outages,
            is_imported: false,
        }
    }

    #[test]
    fn runs_are_told_by_what_became_of_them() {
        let runs = [
            RunRow { ended_at: Some(Moment(at(-19.0))), ..run(0xe6a1, -30.0, -19.0) },
            run(0x0b8f, -40.0, -18.2),
            RunRow { lost_at: Some(Moment(at(-60.0))), begun: false, ..run(0x5d02, -600.0, -65.0) },
        ];
        let outages = [
            Outage { began_at: at(-3.0), ended_at: at(-2.5) },
            Outage { began_at: at(-900.0), ended_at: at(-899.0) },
        ];
        let lanes = Lanes::of(&past(&runs, &outages));
        assert_eq!(
            labels(&lanes, None, now()),
            [
                "2.3.1 · 5d02 since 1 Nov 03:14, lost 23 Nov 15:14",
                "2.3.1 · 0b8f, silent since yesterday 09:02",
                "2.3.1 · e6a1, beside 0b8f, ended yesterday 08:14",
            ]
        );
        assert_eq!(
            in_words(&lanes, &outages, None, now()),
            "3 runs; times are UTC. Run 5d02, version 2.3.1, was first heard 1 Nov 03:14; it was lost 23 Nov 15:14. \
             Run 0b8f, version 2.3.1, began 24 Nov 11:14; it is silent since yesterday 09:02. \
             Run e6a1, version 2.3.1, began 24 Nov 21:14 while 0b8f was alive; it ended yesterday 08:14. \
             The receiver itself was away for 30 min from 00:14."
        );
    }

    #[test]
    fn long_versions_are_cut_and_what_turns_text_is_shown() {
        let hostile = RunRow {
            run_id: Uuid::nil(),
            build_version: format!("\u{202e}{}", "ž".repeat(100)),
            ..run(1, -1.0, -0.5)
        };
        let runs = [hostile];
        let labels = labels(&Lanes::of(&past(&runs, &[])), None, now());
        assert_eq!(labels, [format!("\\u{{202e}}{}… · not named", "ž".repeat(12))]);
    }

    #[test]
    fn of_many_runs_the_last_are_told() {
        let hour = |number: u16| f64::from(number);
        let runs: Vec<_> = (1..=20).map(|number| run(number, -hour(number), -hour(number) + 0.5)).collect();
        let words = in_words(&Lanes::of(&past(&runs, &[])), &[], None, now());
        assert!(
            words.starts_with("20 runs; times are UTC. The last 5: Run 0005, version 2.3.1, began"),
            "{words}"
        );
        assert!(words.contains("Run 0001, version 2.3.1, began 02:14; it is alive."), "{words}");
    }

    #[test]
    fn runs_that_are_drawn_as_one_are_told_as_one() {
        let begin = |number: u16| -0.1 * f64::from(10 - number);
        let runs: Vec<_> = (1..=9).map(|number| run(number, begin(number), begin(number))).collect();
        let lanes = Lanes::of(&past(&runs, &[]));
        assert_eq!(labels(&lanes, None, now()), ["2.3.1 · 9 runs since 02:20, the last 0009"]);
        assert_eq!(
            in_words(&lanes, &[], None, now()),
            "9 runs; times are UTC. 9 runs, version 2.3.1, began one after the other from 02:20; \
             the last, 0009, is alive."
        );
    }

    #[test]
    fn of_more_runs_than_are_known_there_are_at_least_so_many() {
        let begin = |number: u16| -0.1 * f64::from(51 - number);
        let runs: Vec<_> = (1..=50).map(|number| run(number, begin(number), begin(number))).collect();
        assert_eq!(known_since(&runs[1..]), None);
        let known_since = known_since(&runs);
        assert_eq!(known_since, Some(at(begin(1))));
        let lanes = Lanes::of(&past(&runs, &[]));
        assert_eq!(labels(&lanes, known_since, now()), ["2.3.1 · at least 50 runs, the last 0032"]);
        assert_eq!(
            in_words(&lanes, &[], known_since, now()),
            "At least 50 runs; times are UTC. At least 50 runs, version 2.3.1, began one after the other from \
             yesterday 22:14 or earlier; the last, 0032, is alive."
        );
    }
}
