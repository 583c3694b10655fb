//! What happened to a server, in words: each change as a sentence, with the length of what it ended.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::report::run_name;
use super::super::words::{Icon, exact, icon};
use crate::receiver::api::history::{RunRow, TransitionRow};
use crate::receiver::api::moment::Moment;
use crate::receiver::store::Release;

/// Something that happened.
pub(super) struct Happening {
    pub(super) at: Moment,
    /// The class of the state that it looks like.
    pub(super) class: &'static str,
    pub(super) sentence: Vec<Part>,
    pub(super) remark: Option<String>,
}

/// A part of a sentence.
pub(super) enum Part {
    Words(&'static str),
    /// What came from outside.
    Text(String),
    /// The name of a run.
    Run(String),
    /// The id of another server.
    Server(Uuid),
}

impl Happening {
    pub(super) fn icon(&self) -> Icon {
        icon(match self.class {
            "down" => "s-down",
            "late" => "s-late",
            "up" => "s-up",
            _ => "s-ended",
        })
    }
}

/// All that is known to have happened, the latest first. `changes` are the latest ones, the latest first.
pub(super) fn story(changes: &[TransitionRow], runs: &[RunRow]) -> Vec<Happening> {
    let mut story: Vec<Happening> = changes
        .iter()
        .enumerate()
        .filter_map(|(number, change)| tell(change, &changes[number + 1..], runs))
        .collect();
    // Earlier ones are not all known.
    let since = changes.last().map_or(Timestamp::MIN, |change| change.at.0);
    story.extend(runs.iter().flat_map(|run| beside(run, runs)).filter(|happening| happening.at.0 >= since));
    story.sort_by_key(|happening| std::cmp::Reverse(happening.at.0));
    story
}

/// Tells a change, which came after the earlier ones.
fn tell(change: &TransitionRow, earlier: &[TransitionRow], runs: &[RunRow]) -> Option<Happening> {
    let lasted = lasted(change, earlier);
    let from = change.from.as_deref();
    let (class, sentence, remark) = match change.change {
        "state" => state(from, &change.to, lasted)?,
        "license" => license(&change.to, lasted),
        "version" => version(from?, &change.to, lasted),
        "run-lost" => run_lost(change, runs),
        "product" => ("ended", moved("product changed from ", from?, " to ", &change.to), None),
        "key" => ("ended", moved("moved from the key ", from?, " to ", &change.to), None),
        "id" => ("ended", renamed(from?, &change.to)?, None),
        _ => return None,
    };
    Some(Happening { at: change.at, class, sentence, remark })
}

type Told = (&'static str, Vec<Part>, Option<String>);

/// How long what the change ended had lasted.
fn lasted(change: &TransitionRow, earlier: &[TransitionRow]) -> Option<SignedDuration> {
    let before = earlier.iter().find(|other| other.change == change.change)?;
    Some(change.at.0.duration_since(before.at.0))
}

fn state(from: Option<&str>, to: &str, lasted: Option<SignedDuration>) -> Option<Told> {
    let (class, words) = match (from, to) {
        (None, "up") => ("up", "first seen"),
        (None, "ended") => ("ended", "first seen, as it ended"),
        (_, "late") => ("late", "late: its report did not come in time"),
        (_, "down") => ("down", "went down: nothing heard for two intervals"),
        (_, "ended") => ("ended", "ended: its last run said so"),
        (Some("ended"), "up") => ("up", "began again"),
        (Some("down"), "up") => ("up", "reports again"),
        (_, "up") => ("up", "reported after all"),
        _ => return None,
    };
    let remark = from.zip(lasted).map(|(from, lasted)| format!("{from} for {}", exact(lasted)));
    Some((class, vec![Part::Words(words)], remark))
}

fn license(to: &str, lasted: Option<SignedDuration>) -> Told {
    let (class, words, before) = match to {
        "valid" => ("up", "license valid again", "invalid"),
        _ => ("down", "license no longer valid", "valid"),
    };
    (class, vec![Part::Words(words)], lasted.map(|lasted| format!("{before} for {}", exact(lasted))))
}

fn version(from: &str, to: &str, lasted: Option<SignedDuration>) -> Told {
    let (before, after) = (Release::of(from), Release::of(to));
    let words = match before.is_ordered() && after.is_ordered() {
        true if after.key < before.key => "went back from ",
        true => "updated from ",
        false => "changed from ",
    };
    let remark = lasted.map(|lasted| format!("after {}", exact(lasted)));
    ("up", moved(words, from, " to ", to), remark)
}

fn run_lost(change: &TransitionRow, runs: &[RunRow]) -> Told {
    let run = Uuid::try_parse(&change.to).ok();
    let name = run.as_ref().map(run_name).unwrap_or_default();
    let heard = runs.iter().find(|known| Some(known.run_id) == run).map(|run| run.last_seen_at.0);
    let unheard = heard.filter(|at| *at <= change.at.0).map(|at| change.at.0.duration_since(at));
    let sentence = vec![Part::Words("run "), Part::Run(name), Part::Words(" was lost: no end was heard")];
    ("down", sentence, unheard.map(|unheard| format!("after {} unheard", exact(unheard))))
}

fn moved(before: &'static str, from: &str, between: &'static str, to: &str) -> Vec<Part> {
    vec![Part::Words(before), Part::Text(from.to_owned()), Part::Words(between), Part::Text(to.to_owned())]
}

fn renamed(from: &str, to: &str) -> Option<Vec<Part>> {
    let (from, to) = (Uuid::try_parse(from).ok()?, Uuid::try_parse(to).ok()?);
    let words =
        [Part::Words("its id was changed from "), Part::Server(from), Part::Words(" to "), Part::Server(to)];
    Some(words.into())
}

/// What there is to tell of a run that began while another was alive.
fn beside(run: &RunRow, runs: &[RunRow]) -> Vec<Happening> {
    let began_at = run.first_seen_at;
    let is_beside = |at: Moment, other: &RunRow| other.first_seen_at.0 < at.0 && at.0 < other.last_seen_at.0;
    let others = || runs.iter().filter(|other| other.run_id != run.run_id);
    let Some(other) = others().find(|other| is_beside(began_at, other)) else { return Vec::new() };
    let name = || Part::Run(run_name(&run.run_id));
    let began = Happening {
        at: began_at,
        class: "late",
        sentence: vec![
            Part::Words("run "),
            name(),
            Part::Words(" began while "),
            Part::Run(run_name(&other.run_id)),
            Part::Words(" was alive"),
        ],
        remark: Some("a replica, or a copy of its database".to_owned()),
    };
    let ended = run.ended_at.filter(|at| others().any(|other| is_beside(*at, other))).map(|at| Happening {
        at,
        class: "ended",
        sentence: vec![Part::Words("run "), name(), Part::Words(" ended while the other went on")],
        remark: Some(format!("after {}", exact(at.0.duration_since(began_at.0)))),
    });
    [began].into_iter().chain(ended).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, change, run, run_id};
    use super::*;

    /// Each as a line: class, sentence, remark.
    fn lines(story: &[Happening]) -> Vec<String> {
        let line = |happening: &Happening| {
            let part = |part: &Part| match part {
                Part::Words(words) => (*words).to_owned(),
                Part::Text(text) | Part::Run(text) => format!("<{text}>"),
                Part::Server(id) => format!("<{id}>"),
            };
            let sentence: String = happening.sentence.iter().map(part).collect();
            format!("{}: {sentence}; {}", happening.class, happening.remark.as_deref().unwrap_or("-"))
        };
        story.iter().map(line).collect()
    }

    #[test]
    fn changes_are_told_with_the_length_of_what_they_ended() {
        let lost = run_id(0x5d02).to_string();
        let changes = [
            change(-1.6, "state", Some("late"), "down"),
            change(-9.6, "state", Some("up"), "late"),
            change(-20.0, "state", Some("ended"), "up"),
            change(-24.0, "state", Some("up"), "ended"),
            change(-30.0, "license", Some("invalid"), "valid"),
            change(-31.0, "version", Some("2.3.0"), "2.2.4"),
            change(-52.5, "license", Some("valid"), "invalid"),
            change(-60.0, "version", Some("main"), "2.3.0"),
            change(-70.0, "run-lost", None, &lost),
            change(-80.0, "state", Some("down"), "up"),
            change(-90.0, "version", Some("2.2.4"), "2.2.10"),
        ];
        let runs = [run(0x5d02, -900.0, -74.7)];
        assert_eq!(
            lines(&story(&changes, &runs)),
            [
                "down: went down: nothing heard for two intervals; late for 8 h",
                "late: late: its report did not come in time; up for 10 h 24 min",
                "up: began again; ended for 4 h",
                "ended: ended: its last run said so; up for 2 days 8 h",
                "up: license valid again; invalid for 22 h 30 min",
                "up: went back from <2.3.0> to <2.2.4>; after 1 day 5 h",
                "down: license no longer valid; -",
                "up: changed from <main> to <2.3.0>; after 1 day 6 h",
                "down: run <5d02> was lost: no end was heard; after 4 h 42 min unheard",
                "up: reports again; -",
                "up: updated from <2.2.4> to <2.2.10>; -",
            ]
        );
    }

    #[test]
    fn other_changes_are_told_as_they_are() {
        let (one, two) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
        let changes = [
            change(-1.0, "state", Some("late"), "up"),
            change(-2.0, "key", Some("<b>one"), "two"),
            change(-3.0, "product", Some("a"), "b"),
            change(-4.0, "id", Some(&one), &two),
            change(-5.0, "run-lost", None, "no id"),
            change(-6.0, "something-newer", None, "x"),
            change(-7.0, "state", None, "up"),
        ];
        assert_eq!(
            lines(&story(&changes, &[])),
            [
                "up: reported after all; late for 6 h".to_owned(),
                "ended: moved from the key <<b>one> to <two>; -".to_owned(),
                "ended: product changed from <a> to <b>; -".to_owned(),
                format!("ended: its id was changed from <{one}> to <{two}>; -"),
                "down: run <> was lost: no end was heard; -".to_owned(),
                "up: first seen; -".to_owned(),
            ]
        );
    }

    #[test]
    fn a_run_beside_another_is_told() {
        let second = RunRow { ended_at: Some(Moment(at(-30.0))), ..run(0xe6a1, -41.0, -30.0) };
        let runs =
            [run(0x0b8f, -60.0, -18.0), second, run(0x0001, -300.0, -200.0), run(0x0002, -250.0, -240.0)];
        let changes = [change(-9.6, "state", Some("up"), "late"), change(-100.0, "state", None, "up")];
        assert_eq!(
            lines(&story(&changes, &runs)),
            [
                "late: late: its report did not come in time; up for 3 days 18 h",
                "ended: run <e6a1> ended while the other went on; after 11 h",
                "late: run <e6a1> began while <0b8f> was alive; a replica, or a copy of its database",
                "up: first seen; -",
            ]
        );
    }
}
