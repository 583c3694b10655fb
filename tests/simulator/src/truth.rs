//! What is true of an instance, derived only from what arrived from it. The rules are those of `docs/receiver.md`, written
//! as plainly as possible and without regard to speed: a receiver is correct if it says the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use deployment_telemetry::Reason;
use uuid::Uuid;

use crate::character::{HOUR, MINUTE};
use crate::delivery::{Delivery, License};

/// The rules by which instances are judged.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Minimum of the grace.
    shortest_grace: Duration,
    /// Length of the week in which a loss is shown.
    pub(crate) week: Duration,
    /// Length of the day in which an instance is new.
    day: Duration,
    /// Time in which the receiver itself was down, which does not count as silence.
    pub forgiven: Option<Range<Duration>>,
}

/// State of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Silent for longer than two frequencies and the grace.
    Down,
    /// Silent for longer than a frequency and the grace.
    Late,
    /// Not silent for too long.
    Up,
    /// Its last run sent `end`.
    Ended,
}

impl State {
    pub(crate) const ALL: [State; 4] = [State::Down, State::Late, State::Up, State::Ended];

    /// Name of the state in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Late => "late",
            State::Up => "up",
            State::Ended => "ended",
        }
    }
}

/// What is true of an instance at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// State of the instance.
    pub state: State,
    /// Number of its runs that were lost within the last seven days.
    pub losses: usize,
    /// Whether two of its runs are alive, each of which was heard after the other began.
    pub several_runs: bool,
    /// Whether its first event is less than a day old.
    pub new: bool,
    /// Version that it runs.
    pub version: String,
    /// Its license.
    pub license: License,
}

/// The runs of an instance, with all that was heard of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Vec<Run>);

/// All that was heard of a run, in the order of arrival and without repetitions.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) heard: Vec<Delivery>,
}

/// What is known of a run at a moment.
pub(crate) struct Known<'a> {
    pub(crate) run: &'a Run,
    first: Duration,
    last: &'a Delivery,
    late_at: Duration,
    down_at: Duration,
    /// When another run first began after this one was last heard.
    superseded_at: Option<Duration>,
}

impl Rules {
    /// Rules of a receiver whose clock shows simulated time.
    pub fn real() -> Self {
        Self::at_speed(1.0)
    }

    /// Rules of a receiver whose clock shows real time, while the simulation runs `speed` times as fast. What it measures by
    /// its own clock takes `speed` times as long in simulated time. Frequencies are announced to it in real time.
    pub fn at_speed(speed: f64) -> Self {
        Self {
            shortest_grace: (MINUTE * 5).mul_f64(speed),
            week: (HOUR * 7 * 24).mul_f64(speed),
            day: (HOUR * 24).mul_f64(speed),
            forgiven: None,
        }
    }

    /// What is true at `now` of the instance from which `deliveries` arrived so far, in this order; `None` if nothing has
    /// arrived, since a receiver does not know the instance then.
    pub fn truth(&self, deliveries: &[Delivery], now: Duration) -> Option<Truth> {
        let mut seen = HashSet::new();
        let is_first = |delivery: &&Delivery| seen.insert((delivery.run_id, delivery.sequence));
        let mut newest = HashMap::<Uuid, Delivery>::new();
        // A request that was held up arrives after one that was sent later: the process is heard, and says nothing new.
        let in_order = deliveries.iter().filter(is_first).map(|delivery| {
            let newest = newest.entry(delivery.run_id).or_insert(*delivery);
            if newest.sequence < delivery.sequence {
                *newest = *delivery;
            }
            Delivery { at: delivery.at, ..*newest }
        });
        Runs::of(in_order).truth(self, now)
    }

    /// Silence after which a run is late, and silence after which it is down.
    pub(crate) fn allowed(&self, frequency: Duration) -> (Duration, Duration) {
        let grace = self.shortest_grace.max(frequency / 20);
        (frequency + grace, frequency * 2 + grace)
    }

    /// When the silence since `last` has lasted for `silence`.
    fn deadline(&self, last: Duration, silence: Duration) -> Duration {
        let deadline = last + silence;
        match &self.forgiven {
            Some(outage) if outage.start < deadline && last < outage.end => {
                deadline + (outage.end - outage.start.max(last))
            }
            _ => deadline,
        }
    }
}

impl Runs {
    /// The runs of what arrived, in this order and without repetitions.
    pub(crate) fn of(deliveries: impl Iterator<Item = Delivery>) -> Self {
        let mut runs = BTreeMap::<Uuid, Run>::new();
        for delivery in deliveries {
            let id = delivery.run_id;
            runs.entry(id).or_insert(Run { id, heard: Vec::new() }).heard.push(delivery);
        }
        Self(runs.into_values().collect())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Run> {
        self.0.iter()
    }

    /// What is known at `now` of the runs that had begun by then.
    pub(crate) fn known(&self, rules: &Rules, now: Duration) -> Vec<Known<'_>> {
        let begins: Vec<(Uuid, Duration)> =
            self.iter().map(|run| (run.id, run.heard[0].at)).filter(|(_, first)| *first <= now).collect();
        let known = self.iter().filter_map(|run| {
            let last = run.heard.iter().rev().find(|delivery| delivery.at <= now)?;
            let (late_after, down_after) = rules.allowed(last.frequency);
            let later = begins.iter().filter(|(other, first)| *other != run.id && *first > last.at);
            Some(Known {
                run,
                first: run.heard[0].at,
                last,
                late_at: rules.deadline(last.at, late_after),
                down_at: rules.deadline(last.at, down_after),
                superseded_at: later.map(|(_, first)| *first).min(),
            })
        });
        known.collect()
    }

    /// What is true at `now`.
    pub(crate) fn truth(&self, rules: &Rules, now: Duration) -> Option<Truth> {
        let known = self.known(rules, now);
        let first = known.iter().map(|run| run.first).min()?;
        let speaker = speaker(&known, now)?;
        let lost = known.iter().filter_map(|run| run.lost_at());
        Some(Truth {
            state: state(&known, now),
            losses: lost.filter(|at| *at <= now && now < *at + rules.week).count(),
            several_runs: has_several_runs(&known, now),
            new: now - first < rules.day,
            version: speaker.version(),
            license: speaker.license,
        })
    }
}

impl Known<'_> {
    /// The last that was heard of it is not its end.
    fn is_open(&self) -> bool {
        self.last.reason != Reason::End
    }

    fn is_alive(&self, now: Duration) -> bool {
        self.is_open() && now < self.late_at
    }

    /// When the run is lost, unless it is heard before: it was superseded, and has been silent for too long.
    pub(crate) fn lost_at(&self) -> Option<Duration> {
        self.superseded_at.filter(|_| self.is_open()).map(|at| at.max(self.late_at))
    }
}

fn state(known: &[Known<'_>], now: Duration) -> State {
    if known.iter().any(|run| run.is_alive(now)) {
        return State::Up;
    }
    let waited_for = known.iter().filter(|run| run.is_open() && run.superseded_at.is_none());
    match waited_for.max_by_key(|run| run.last.at).map(|run| run.down_at) {
        None => State::Ended,
        Some(down_at) if now < down_at => State::Late,
        Some(_) => State::Down,
    }
}

fn has_several_runs(known: &[Known<'_>], now: Duration) -> bool {
    let heard_after = |one: &Known<'_>, other: &Known<'_>| one.last.at > other.first;
    let alive: Vec<_> = known.iter().filter(|run| run.is_alive(now)).collect();
    alive.iter().enumerate().any(|(index, one)| {
        alive[..index].iter().any(|other| heard_after(one, other) && heard_after(other, one))
    })
}

/// The last that was heard of the run that describes the instance: of those that are alive, else of those that may still be
/// heard, the one that began last; else the one that was heard last.
fn speaker<'a>(known: &[Known<'a>], now: Duration) -> Option<&'a Delivery> {
    let began_last = |run: &&Known<'a>| (run.first, run.run.id);
    let alive = known.iter().filter(|run| run.is_alive(now)).max_by_key(began_last);
    let waited_for = known.iter().filter(|run| run.is_open() && run.superseded_at.is_none());
    let speaker = alive.or_else(|| waited_for.max_by_key(began_last));
    speaker.or_else(|| known.iter().max_by_key(|run| (run.last.at, run.run.id))).map(|run| run.last)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    /// An event of the run with the id `run` that arrives at a minute; updates are due every hour.
    fn event(minute: u64, run: u128, sequence: u64, reason: Reason) -> Delivery {
        Delivery {
            at: Duration::from_secs(minute * 60),
            sent_at: Duration::from_secs(minute * 60),
            instance: 0,
            instance_id: Uuid::from_u128(7),
            run_id: Uuid::from_u128(run),
            sequence,
            reason,
            frequency: HOUR,
            skew: SignedDuration::ZERO,
            release: run as u32,
            license: License::Valid,
            is_named: false,
            scenario: None,
        }
    }

    fn at(events: &[Delivery], minute: u64) -> Truth {
        Rules::real().truth(events, Duration::from_secs(minute * 60)).unwrap()
    }

    #[test]
    fn silence_makes_an_instance_late_and_then_down() {
        let events = [event(0, 1, 1, Reason::Begin)];
        assert_eq!(Rules::real().truth(&[], HOUR), None);
        for (minute, state) in
            [(0, State::Up), (64, State::Up), (65, State::Late), (124, State::Late), (125, State::Down)]
        {
            assert_eq!(at(&events, minute).state, state, "{minute}");
        }
    }

    #[test]
    fn an_outage_of_the_receiver_does_not_count_as_silence() {
        let events = [event(0, 1, 1, Reason::Begin)];
        let forgiven = Some(MINUTE * 30..MINUTE * 90);
        let rules = Rules { forgiven, ..Rules::real() };
        for (minute, state) in [(124, State::Up), (125, State::Late), (185, State::Down)] {
            assert_eq!(rules.truth(&events, MINUTE * minute).unwrap().state, state, "{minute}");
        }
    }

    #[test]
    fn a_held_up_event_does_not_open_a_run_that_said_its_end_and_a_later_one_does() {
        let mut events = vec![event(0, 1, 1, Reason::Begin), event(5, 1, 3, Reason::End)];
        assert_eq!(at(&events, 6).state, State::Ended);
        events.push(event(7, 1, 2, Reason::Update));
        assert_eq!(at(&events, 8).state, State::Ended);
        events.push(event(9, 1, 4, Reason::Update));
        assert_eq!(at(&events, 10).state, State::Up);
    }

    #[test]
    fn a_run_is_lost_when_another_began_and_it_was_silent_for_too_long() {
        let mut events = vec![event(0, 1, 1, Reason::Begin), event(10, 2, 1, Reason::Begin)];
        assert_eq!((at(&events, 64).losses, at(&events, 65).losses), (0, 1));
        assert_eq!(at(&events, 11).version, "1.2.0");
        events.push(event(50, 2, 2, Reason::Update));
        events.push(event(70, 1, 2, Reason::Update));
        let truth = at(&events, 71);
        assert!(truth.losses == 0 && truth.several_runs && truth.version == "1.2.0", "{truth:?}");
        assert!(!at(&events, 120).several_runs);
        let week = 7 * 24 * 60;
        events.truncate(2);
        assert_eq!((at(&events, 64 + week).losses, at(&events, 65 + week).losses), (1, 0));
    }

    #[test]
    fn an_instance_ends_with_the_last_of_several_runs() {
        let mut events = vec![
            event(0, 1, 1, Reason::Begin),
            event(10, 2, 1, Reason::Begin),
            event(12, 1, 2, Reason::Update),
            event(13, 2, 2, Reason::End),
        ];
        assert_eq!(at(&events, 14).state, State::Up);
        events.push(event(15, 1, 3, Reason::End));
        assert_eq!(at(&events, 16).state, State::Ended);
    }

    #[test]
    fn a_repetition_says_nothing() {
        let mut events = vec![event(0, 1, 1, Reason::Begin)];
        events.push(Delivery { at: HOUR, ..events[0] });
        assert_eq!(at(&events, 65).state, State::Late);
    }

    #[test]
    fn at_a_higher_speed_the_graces_of_the_receiver_are_longer_in_simulated_time() {
        let rules = Rules::at_speed(100.0);
        let events = [event(0, 1, 1, Reason::Begin)];
        assert_eq!(rules.truth(&events, MINUTE * 559).unwrap().state, State::Up);
        assert_eq!(rules.truth(&events, MINUTE * 560).unwrap().state, State::Late);
        assert!(rules.truth(&events, HOUR * 2399).unwrap().new);
    }
}
