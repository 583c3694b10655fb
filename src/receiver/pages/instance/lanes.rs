//! The runs of a server over the last days as lanes, each in hundredths of the width of the picture. Pure arithmetic.

use std::cmp::{Ordering, Reverse};

use jiff::{SignedDuration, Timestamp};

use crate::receiver::api::history::{MarkRow, RunRow, TransitionRow};
use crate::receiver::judging::judgement::deadlines_after;
use crate::receiver::store::{Outage, day_of, days_after, start_of};

/// Number of days that are shown.
pub(super) const DAYS: i64 = 14;

/// Number of runs that are drawn, the last seen.
const MOST_LANES: usize = 14;

/// Number of days between two lines of the grid.
const GRID: usize = 3;

/// Where the last line of the grid may be; further right its day would be written over the present.
const LAST_GRID: f64 = 85.0;

/// Shortest distance of two updates, and of two marks of a server that kept being started, that are both marked.
const BETWEEN_UPDATES: f64 = 0.4;

/// Time within which a run begins after the one before it, where a server keeps being started.
const RESTARTED_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// Least number of runs that began so and are drawn as one.
const FEWEST_RESTARTS: usize = 3;

/// Least width of an outage.
const NARROWEST: f64 = 0.3;

/// The first moment that is shown.
pub(super) fn start(now: Timestamp) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(DAYS * 24)).unwrap_or(Timestamp::MIN)
}

/// What is marked on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Begin,
    Update,
    LicenseLost,
    LicenseValid,
    End,
    Lost,
    Late,
    Down,
}

/// A part of the width: from and to.
pub(super) type Part = (f64, f64);

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    /// It said `end` at this time.
    Ended(Timestamp),
    /// It was found to be lost at this time.
    Lost(Timestamp),
    /// It is not heard in time, and nobody knows why; this is when it was heard last.
    Silent(Timestamp),
    /// What is known of it came from a file, and ends at this time.
    KnownUntil(Timestamp),
}

/// The lanes, the run that began first at the top.
pub(super) struct Lanes<'a> {
    pub(super) lanes: Vec<Lane<'a>>,
    /// Number of runs of these days that are not drawn.
    pub(super) left_out: usize,
    pub(super) outages: Vec<Part>,
    /// The lines of the grid, and the day that begins there.
    pub(super) days: Vec<(f64, Timestamp)>,
}

/// A run, or runs of a server that kept being started.
pub(super) struct Lane<'a> {
    /// The last of them.
    pub(super) run: &'a RunRow,
    /// Number of them.
    pub(super) runs: usize,
    /// When the first of them began.
    pub(super) since: Timestamp,
    pub(super) fate: Fate,
    /// A run that was heard before this one began, and after it.
    pub(super) beside: Option<&'a RunRow>,
    /// When it was heard in time.
    pub(super) heard: Vec<Part>,
    /// When it was silent, as far as it did not end.
    pub(super) silent: Vec<Part>,
    pub(super) marks: Vec<(Mark, f64)>,
}

/// What the lanes are drawn from.
pub(super) struct Past<'a> {
    pub(super) now: Timestamp,
    /// Seconds between two updates.
    pub(super) frequency: i32,
    pub(super) runs: &'a [RunRow],
    /// The latest events since [`start`], the latest first.
    pub(super) events: &'a [MarkRow],
    /// There are earlier ones since [`start`].
    pub(super) has_more_events: bool,
    pub(super) changes: &'a [TransitionRow],
    pub(super) outages: &'a [Outage],
    /// The last that is known of the server came from a file.
    pub(super) is_imported: bool,
}

impl<'a> Lanes<'a> {
    pub(super) fn of(past: &Past<'a>) -> Self {
        let from = start(past.now);
        let mut runs: Vec<&'a RunRow> = past.runs.iter().filter(|run| past.end(run) > from).collect();
        runs.sort_by_key(|run| (run.first_seen_at.0, run.run_id));
        let mut groups = together(runs);
        groups.sort_by_key(|group| (Reverse(group.last.last_seen_at.0), group.last.run_id));
        let left_out = groups.iter().skip(MOST_LANES).map(|group| group.before.len() + 1).sum();
        groups.truncate(MOST_LANES);
        groups.sort_by_key(|group| (group.began_at(), group.last.run_id));
        let mut lanes: Vec<Lane<'a>> = groups.iter().map(|group| past.lane_of(group)).collect();
        for (mark, at, group) in past.changes_of(&groups) {
            lanes[group].marks.push((mark, past.x(at)));
        }
        let is_shown = |outage: &&Outage| outage.ended_at > from && outage.began_at < past.now;
        let outages = past.outages.iter().filter(is_shown).map(|outage| past.outage(outage)).collect();
        Self { lanes, left_out, outages, days: past.days() }
    }

    /// The kinds of marks that are drawn.
    pub(super) fn kinds(&self) -> Vec<Mark> {
        let mut kinds: Vec<Mark> =
            self.lanes.iter().flat_map(|lane| lane.marks.iter().map(|mark| mark.0)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Runs that are drawn as one.
struct Group<'a> {
    /// The earliest first.
    before: Vec<&'a RunRow>,
    last: &'a RunRow,
}

impl Group<'_> {
    fn began_at(&self) -> Timestamp {
        self.before.first().unwrap_or(&self.last).first_seen_at.0
    }

    /// Whether a run took the place of the last one soon after that began.
    fn is_followed_by(&self, run: &RunRow) -> bool {
        let Self { last, .. } = self;
        let began_after = run.first_seen_at.0.duration_since(last.first_seen_at.0);
        let is_after = last.ended_at.is_none() && last.last_seen_at.0 < run.first_seen_at.0;
        run.begun && is_after && began_after < RESTARTED_WITHIN && last.build_version == run.build_version
    }
}

/// Runs in the order in which they began, those as one that a server had that kept being started.
fn together(runs: Vec<&RunRow>) -> Vec<Group<'_>> {
    let alone = |run| Group { before: Vec::new(), last: run };
    let mut groups: Vec<Group<'_>> = Vec::new();
    for run in runs {
        match groups.last_mut() {
            Some(group) if group.is_followed_by(run) => {
                group.before.push(std::mem::replace(&mut group.last, run))
            }
            _ => groups.push(alone(run)),
        }
    }
    let mut found = Vec::new();
    for group in groups {
        match group.before.len() + 1 < FEWEST_RESTARTS {
            true => found.extend(group.before.into_iter().chain([group.last]).map(alone)),
            false => found.push(group),
        }
    }
    found
}

impl<'a> Past<'a> {
    /// Where a time is, in hundredths of the width.
    fn x(&self, at: Timestamp) -> f64 {
        let from = start(self.now);
        let all = self.now.duration_since(from).as_secs_f64();
        (at.duration_since(from).as_secs_f64() * 100.0 / all).clamp(0.0, 100.0)
    }

    fn part(&self, from: Timestamp, to: Timestamp) -> Part {
        (self.x(from), self.x(to))
    }

    /// When the lane of a run ends: when the run ended or was lost, else now.
    fn end(&self, run: &RunRow) -> Timestamp {
        run.ended_at.or(run.lost_at).map_or(self.now, |at| at.0).max(run.last_seen_at.0)
    }

    fn fate(&self, run: &RunRow) -> Fate {
        let last = run.last_seen_at.0;
        let is_superseded = || self.runs.iter().any(|other| other.first_seen_at.0 > last);
        let is_in_time = || self.now < deadlines_after(last, self.frequency, self.outages, self.now).late;
        match (run.ended_at, run.lost_at) {
            (Some(at), _) => Fate::Ended(at.0),
            (None, Some(at)) => Fate::Lost(at.0),
            (None, None) if self.is_imported => Fate::KnownUntil(last),
            (None, None) if !is_superseded() && is_in_time() => Fate::Alive,
            (None, None) => Fate::Silent(last),
        }
    }

    /// The run that was heard before `run` began and after it, where there is one.
    fn beside(&self, run: &RunRow) -> Option<&'a RunRow> {
        let began_at = run.first_seen_at.0;
        self.runs.iter().find(|other| other.first_seen_at.0 < began_at && began_at < other.last_seen_at.0)
    }

    /// Since when all events are known.
    fn known_since(&self) -> Timestamp {
        match self.events.last() {
            Some(earliest) if self.has_more_events => earliest.ts.0,
            _ => start(self.now),
        }
    }

    fn lane(&self, run: &'a RunRow) -> Lane<'a> {
        let (mut heard, mut silent) = (Vec::new(), Vec::new());
        let mut since = run.first_seen_at.0.max(start(self.now));
        let mut last = since.max(self.known_since()).min(run.last_seen_at.0);
        for at in self.sights(run) {
            if self.fell_silent(last, at) {
                heard.push(self.part(since, last));
                silent.push(self.part(last, at));
                since = at;
            }
            last = last.max(at);
        }
        let (end, fate) = (self.end(run), self.fate(run));
        if fate == Fate::Alive {
            heard.push(self.part(since, end));
        } else {
            heard.push(self.part(since, last));
            silent.push(self.part(last, end));
        }
        heard.retain(|(_, to)| *to > 0.0);
        silent.retain(|(from, to)| to > from);
        let (beside, marks) = (self.beside(run), self.marks(run));
        Lane { run, runs: 1, since: run.first_seen_at.0, fate, beside, heard, silent, marks }
    }

    fn lane_of(&self, group: &Group<'a>) -> Lane<'a> {
        let mut lane = self.lane(group.last);
        let Some(first) = group.before.first() else { return lane };
        lane.runs += group.before.len();
        lane.since = first.first_seen_at.0;
        lane.beside = self.beside(first);
        lane.heard.push(self.part(lane.since, group.last.first_seen_at.0));
        lane.marks.extend(group.before.iter().flat_map(|run| self.marks(run)));
        lane.marks
            .sort_by(|one, other| (one.0, one.1).partial_cmp(&(other.0, other.1)).unwrap_or(Ordering::Equal));
        lane.marks.dedup_by(|next, kept| next.0 == kept.0 && next.1 - kept.1 < BETWEEN_UPDATES);
        lane
    }

    /// When the run was heard, the earliest first, as far as it is known.
    fn sights(&self, run: &RunRow) -> Vec<Timestamp> {
        let of_run = self.events.iter().rev().filter(|event| event.run_id == run.run_id);
        let mut sights: Vec<_> = of_run.map(|event| event.ts.0).collect();
        sights.push(run.last_seen_at.0);
        sights
    }

    /// Whether the server was late or down between two times at which a run of it was heard.
    fn fell_silent(&self, from: Timestamp, to: Timestamp) -> bool {
        let is_within = |change: &&TransitionRow| from < change.at.0 && change.at.0 <= to;
        self.changes
            .iter()
            .filter(is_within)
            .any(|change| matches!(mark(change), Some(Mark::Late | Mark::Down)))
    }

    /// The marks of a run's events.
    fn marks(&self, run: &RunRow) -> Vec<(Mark, f64)> {
        let mut marks = Vec::new();
        let mut last_update = f64::NEG_INFINITY;
        for event in self.events.iter().rev().filter(|event| event.run_id == run.run_id) {
            let x = self.x(event.ts.0);
            let mark = match event.reason.as_str() {
                "begin" => Mark::Begin,
                "update" if x - last_update < BETWEEN_UPDATES => continue,
                "update" => Mark::Update,
                "end" => Mark::End,
                _ => continue,
            };
            if mark == Mark::Update {
                last_update = x;
            }
            marks.push((mark, x));
        }
        marks.extend(run.lost_at.map(|at| (Mark::Lost, self.x(at.0))));
        marks
    }

    /// The changes that are marked, each with the position of the group whose run spoke for the server.
    fn changes_of(&self, groups: &[Group<'_>]) -> Vec<(Mark, Timestamp, usize)> {
        let from = start(self.now);
        let since = self.changes.iter().filter(|change| change.at.0 > from);
        let marked = since.filter_map(|change| Some((mark(change)?, change.at.0)));
        let with_run = marked.filter_map(|(mark, at)| {
            let begun = || groups.iter().enumerate().filter(|(_, group)| group.began_at() <= at);
            let mut open = begun().filter(|(_, group)| self.end(group.last) >= at);
            // The one that began last.
            Some((mark, at, open.next_back().or_else(|| begun().next_back())?.0))
        });
        with_run.collect()
    }

    fn outage(&self, outage: &Outage) -> Part {
        let (from, to) = self.part(outage.began_at, outage.ended_at);
        (from.min(100.0 - NARROWEST), to.max(from + NARROWEST).clamp(NARROWEST, 100.0))
    }

    fn days(&self) -> Vec<(f64, Timestamp)> {
        let midnights = (1..DAYS).rev().map(|days| start_of(days_after(day_of(self.now), -days)));
        let lines = midnights.step_by(GRID).map(|at| (self.x(at), at));
        lines.filter(|(x, _)| *x <= LAST_GRID).collect()
    }
}

/// The mark of a change, where it has one.
fn mark(change: &TransitionRow) -> Option<Mark> {
    match (change.change, change.to.as_str()) {
        ("state", "late") => Some(Mark::Late),
        ("state", "down") => Some(Mark::Down),
        ("license", "invalid") => Some(Mark::LicenseLost),
        ("license", "valid") => Some(Mark::LicenseValid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::super::examples::{at, change, now, run, run_id};
    use super::*;
    use crate::receiver::api::moment::Moment;

    fn event(number: u16, hours: f64, reason: &str) -> MarkRow {
        MarkRow {
            id: Uuid::nil(),
            run_id: run_id(number),
            sequence: 1,
            ts: Moment(at(hours)),
            reason: reason.to_owned(),
        }
    }

    /// What lanes are drawn from, of a server that reports every eight hours.
    fn past<'a>(runs: &'a [RunRow], events: &'a [MarkRow], changes: &'a [TransitionRow]) -> Past<'a> {
        Past {
            now: now(),
            frequency: 8 * 3_600,
            runs,
            events,
            has_more_events: false,
            is_imported: false,
            changes,
            outages: &[],
        }
    }

    /// Where the time is that is this many hours after now.
    fn x(hours: f64) -> f64 {
        100.0 + hours * 100.0 / (14.0 * 24.0)
    }

    fn assert_parts(parts: &[Part], hours: &[Part]) {
        let rounded = |part: f64| (part * 1_000.0).round() as i64;
        let found: Vec<_> = parts.iter().map(|(from, to)| (rounded(*from), rounded(*to))).collect();
        let expected: Vec<_> = hours.iter().map(|(from, to)| (rounded(x(*from)), rounded(x(*to)))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_run_that_is_heard_lasts_until_now() {
        let runs = [run(1, -40.0, -2.0)];
        let events = [event(1, -2.0, "update"), event(1, -40.0, "begin")];
        let lanes = Lanes::of(&past(&runs, &events, &[]));
        let [lane] = &lanes.lanes[..] else { panic!("one lane") };
        assert_eq!((lane.fate, lane.beside.is_none()), (Fate::Alive, true));
        assert_parts(&lane.heard, &[(-40.0, 0.0)]);
        assert!(lane.silent.is_empty());
        assert_eq!(lanes.kinds(), [Mark::Begin, Mark::Update]);
        let imported = Past { is_imported: true, ..past(&runs, &events, &[]) };
        assert_eq!(Lanes::of(&imported).lanes[0].fate, Fate::KnownUntil(at(-2.0)));
    }

    #[test]
    fn what_began_earlier_is_cut_and_what_ended_earlier_left_out() {
        let ended =
            |number, first, last| RunRow { ended_at: Some(Moment(at(last))), ..run(number, first, last) };
        let runs =
            [ended(1, -2_000.0, -100.0), ended(2, -2_000.0, -14.0 * 24.0 - 1.0), run(3, -900.0, -800.0)];
        let lanes = Lanes::of(&past(&runs, &[], &[]));
        let found: Vec<_> = lanes.lanes.iter().map(|lane| lane.run.run_id).collect();
        assert_eq!(found, [run_id(1), run_id(3)]);
        assert_parts(&lanes.lanes[0].heard, &[(-14.0 * 24.0, -100.0)]);
        assert!(lanes.lanes[0].silent.is_empty());
        assert!(lanes.lanes[1].heard.is_empty());
        assert_parts(&lanes.lanes[1].silent, &[(-14.0 * 24.0, 0.0)]);
    }

    #[test]
    fn silence_is_open_and_marked_where_it_was_judged() {
        let runs = [run(1, -60.0, -18.0)];
        let events = [-18.0, -20.0, -45.0, -60.0].map(|hours| event(1, hours, "update"));
        let changes = [
            change(-1.6, "state", Some("late"), "down"),
            change(-9.6, "state", Some("up"), "late"),
            change(-20.0, "state", Some("down"), "up"),
            change(-28.6, "state", Some("late"), "down"),
            change(-36.6, "state", Some("up"), "late"),
            change(-60.0, "state", None, "up"),
        ];
        let lanes = Lanes::of(&past(&runs, &events, &changes));
        let lane = &lanes.lanes[0];
        assert_eq!(lane.fate, Fate::Silent(at(-18.0)));
        assert_parts(&lane.heard, &[(-60.0, -45.0), (-20.0, -18.0)]);
        assert_parts(&lane.silent, &[(-45.0, -20.0), (-18.0, 0.0)]);
        let count = |kind| lane.marks.iter().filter(|(mark, _)| *mark == kind).count();
        assert_eq!((count(Mark::Late), count(Mark::Down), count(Mark::Update)), (2, 2, 4));
    }

    #[test]
    fn a_lost_run_is_open_until_it_was_found_and_the_next_one_beside_is_named() {
        let lost = RunRow { lost_at: Some(Moment(at(-70.0))), ..run(1, -100.0, -80.0) };
        let runs = [run(3, -30.0, -1.0), run(2, -75.0, -2.0), lost];
        let lanes = Lanes::of(&past(&runs, &[], &[]));
        assert_eq!(lanes.lanes[0].fate, Fate::Lost(at(-70.0)));
        assert_parts(&lanes.lanes[0].silent, &[(-80.0, -70.0)]);
        assert_eq!(lanes.lanes[0].marks, [(Mark::Lost, x(-70.0))]);
        assert!(lanes.lanes[1].beside.is_none());
        assert_eq!(lanes.lanes[2].beside.map(|run| run.run_id), Some(run_id(2)));
        assert!(lanes.lanes[1..].iter().all(|lane| lane.fate == Fate::Alive));
    }

    #[test]
    fn a_license_is_marked_and_updates_that_lie_close_are_one() {
        let mut events: Vec<_> =
            (0..500).map(|number| event(1, -3.0 - f64::from(number) / 60.0, "update")).collect();
        events.push(event(1, -13.0, "some-news"));
        let runs = [run(1, -13.0, -1.0)];
        let changes = [
            change(-1.0, "license", Some("invalid"), "valid"),
            change(-2.0, "license", Some("valid"), "invalid"),
            change(-5.0, "version", Some("2.2"), "2.3.1"),
        ];
        let lanes = Lanes::of(&past(&runs, &events, &changes));
        let marks = &lanes.lanes[0].marks;
        assert_eq!(lanes.kinds(), [Mark::Update, Mark::LicenseLost, Mark::LicenseValid]);
        // Eight hours are 2.4 hundredths.
        assert_eq!(marks.iter().filter(|(mark, _)| *mark == Mark::Update).count(), 7);
    }

    #[test]
    fn before_the_earliest_of_too_many_events_nothing_is_said_to_be_silent() {
        let runs = [run(1, -300.0, -1.0)];
        let events = [-1.0, -2.0, -3.0].map(|hours| event(1, hours, "update"));
        let changes = [change(-200.0, "state", Some("up"), "late")];
        let some = Past { has_more_events: true, ..past(&runs, &events, &changes) };
        assert_parts(&Lanes::of(&some).lanes[0].heard, &[(-300.0, 0.0)]);
        let all = past(&runs, &events, &changes);
        assert_parts(&Lanes::of(&all).lanes[0].silent, &[(-300.0, -3.0)]);
    }

    #[test]
    fn of_many_runs_the_latest_are_drawn() {
        let runs: Vec<_> =
            (0..50).map(|number| run(number, -f64::from(number) - 1.0, -f64::from(number) - 0.5)).collect();
        let lanes = Lanes::of(&past(&runs, &[], &[]));
        assert_eq!((lanes.lanes.len(), lanes.left_out), (MOST_LANES, 36));
        assert_eq!(lanes.lanes[MOST_LANES - 1].run.run_id, run_id(0));
    }

    #[test]
    fn runs_of_a_server_that_keeps_being_started_are_one() {
        let begin = |number: u16| -0.1 * f64::from(10 - number);
        let mut runs: Vec<_> = (1..=9).map(|number| run(number, begin(number), begin(number))).collect();
        runs.push(RunRow { ended_at: Some(Moment(at(-2.0))), ..run(20, -30.0, -2.0) });
        let events: Vec<_> = (1..=9).rev().map(|number| event(number, begin(number), "begin")).collect();
        let changes = [change(begin(1), "state", Some("ended"), "late")];
        let lanes = Lanes::of(&past(&runs, &events, &changes));
        let [before, restarts] = &lanes.lanes[..] else { panic!("{} lanes", lanes.lanes.len()) };
        assert_eq!((before.runs, restarts.runs, restarts.run.run_id), (1, 9, run_id(9)));
        assert_eq!((restarts.since, restarts.fate), (at(begin(1)), Fate::Alive));
        let marks: Vec<_> = restarts.marks.iter().map(|mark| mark.0).collect();
        assert_eq!(marks, [Mark::Begin, Mark::Late]);
        // Two runs, and those of another version, are drawn by themselves.
        let other = RunRow { build_version: "2.4".to_owned(), ..run(3, -0.3, -0.3) };
        let few = [run(1, -0.5, -0.5), run(2, -0.4, -0.4), other];
        assert_eq!(Lanes::of(&past(&few, &[], &[])).lanes.len(), 3);
    }

    #[test]
    fn outages_can_be_seen_however_short_and_days_stand_apart_from_now() {
        let outage = |from, to| Outage { began_at: at(from), ended_at: at(to) };
        let outages =
            [outage(-1_000.0, -900.0), outage(-400.0, -300.0), outage(-20.0, -19.99), outage(-0.01, 0.0)];
        let runs = [];
        let lanes = Lanes::of(&Past { outages: &outages, ..past(&runs, &[], &[]) });
        assert_eq!(lanes.outages.len(), 3);
        assert_parts(&lanes.outages[..1], &[(-14.0 * 24.0, -300.0)]);
        assert!(lanes.outages.iter().all(|(from, to)| to - from >= NARROWEST - 0.001 && *to <= 100.001));
        let days: Vec<_> = lanes.days.iter().map(|(_, at)| day_of(*at)).collect();
        assert_eq!(days, [13, 16, 19, 22].map(|day| date(2026, 11, day)));
        assert!((lanes.days[0].0 - 6.18).abs() < 0.01, "{}", lanes.days[0].0);
    }
}
