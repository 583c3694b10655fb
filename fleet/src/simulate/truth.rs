//! What must be true of an instance, said from what arrived from it alone, in the words of the contract (receiver §3) and
//! without a thought for speed: a receiver is right where it says the same.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use deployment_telemetry::Reason;
use uuid::Uuid;

use super::character::{HOUR, MINUTE};
use super::delivery::Delivery;
use super::plan::Fleet;

/// By what instances are judged.
#[derive(Clone, Debug)]
pub struct Rules {
    /// No grace is shorter.
    shortest_grace: Duration,
    /// What an hour is to whoever counts restarts.
    hour: Duration,
    /// What a day is to whoever calls an instance new.
    day: Duration,
    /// The time in which the receiver itself was down: no silence counts in it.
    pub forgiven: Option<Range<Duration>>,
}

/// What becomes of an instance over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Silent for longer than two frequencies and the grace.
    Down,
    /// Silent for longer than a frequency and the grace.
    Late,
    /// Heard from in time.
    Up,
    /// Its last run said `end`.
    Ended,
}

impl State {
    const ALL: [State; 4] = [State::Down, State::Late, State::Up, State::Ended];

    /// The word for it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Late => "late",
            State::Up => "up",
            State::Ended => "ended",
        }
    }
}

/// What is true of an instance at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Whether it lives.
    pub state: State,
    /// Its last run began without the end of the one before.
    pub crashed: bool,
    /// Several of its runs are alive.
    pub several_runs: bool,
    /// It began more than five times within an hour.
    pub restarting: bool,
    /// It was heard from for the first time less than a day ago.
    pub new: bool,
    /// What it runs.
    pub version: String,
    /// Its license is valid.
    pub license_valid: bool,
}

/// All that arrived of a run.
struct Run<'a> {
    events: Vec<&'a Delivery>,
}

impl Rules {
    /// Those of a receiver on a clock that runs as the simulation's does.
    pub fn real() -> Self {
        Self::at_speed(1.0)
    }

    /// Those of a receiver whose hours are real ones, while the simulation runs `speed` times as fast: what it measures
    /// by its own clock is so many times as long here. Frequencies are told to it in its own time.
    pub fn at_speed(speed: f64) -> Self {
        Self {
            shortest_grace: (MINUTE * 5).mul_f64(speed),
            hour: HOUR.mul_f64(speed),
            day: (HOUR * 24).mul_f64(speed),
            forgiven: None,
        }
    }

    /// What is true at `now` of the instance from which `deliveries` arrived so far, in this order; `None` where nothing
    /// did, for then nobody knows of it.
    pub fn truth(&self, deliveries: &[Delivery], now: Duration) -> Option<Truth> {
        let first_heard = deliveries.first()?.at;
        let runs = runs(deliveries);
        let alive = self.alive(&runs, now);
        // Of whom the last word is: a run that is alive, else the last that was.
        let candidates = if alive.is_empty() { runs.iter().collect() } else { alive.clone() };
        let speaker = candidates.into_iter().max_by_key(|run| run.last_heard())?;
        let word = speaker.last_word();

        let silence = self.silence(speaker, now);
        let (late_after, down_after) = self.allowed(speaker);
        let state = if alive.is_empty() {
            State::Ended
        } else if silence >= down_after {
            State::Down
        } else if silence >= late_after {
            State::Late
        } else {
            State::Up
        };
        let begins = runs.iter().flat_map(|run| &run.events).filter(|event| event.reason == Reason::Begin);
        Some(Truth {
            state,
            crashed: crashed(&runs),
            several_runs: alive.len() > 1,
            restarting: begins.filter(|begin| now - begin.at < self.hour).count() > 5,
            new: now - first_heard < self.day,
            version: word.version(),
            license_valid: word.license_valid(),
        })
    }

    /// A run is alive until it says `end`, or is replaced: another one appeared and it was not heard from since. A run
    /// that is silent for too long is dead where another one still speaks; where none does, the last to speak is what is
    /// left of the instance.
    fn alive<'a>(&self, runs: &'a [Run<'a>], now: Duration) -> Vec<&'a Run<'a>> {
        let is_replaced = |run: &Run| runs.iter().any(|other| other.first_heard() > run.last_heard());
        let unended: Vec<_> = runs.iter().filter(|run| !run.has_ended() && !is_replaced(run)).collect();
        let speaks = |run: &&Run| self.silence(run, now) < self.allowed(run).1;
        match unended.iter().any(speaks) {
            true => unended.into_iter().filter(|run| speaks(run)).collect(),
            false => unended.into_iter().max_by_key(|run| run.last_heard()).into_iter().collect(),
        }
    }

    /// How long nothing was heard of a run, but for the time in which nothing could be.
    fn silence(&self, run: &Run, now: Duration) -> Duration {
        let silence = now - run.last_heard();
        let Some(outage) = &self.forgiven else { return silence };
        let unheard = outage.end.min(now).saturating_sub(outage.start.max(run.last_heard()));
        silence - unheard
    }

    /// After which silence a run is late, and after which it is down.
    fn allowed(&self, run: &Run) -> (Duration, Duration) {
        let frequency = run.last_word().frequency;
        let grace = self.shortest_grace.max(frequency / 20);
        (frequency + grace, frequency * 2 + grace)
    }
}

impl Run<'_> {
    fn first_heard(&self) -> Duration {
        self.events.iter().map(|event| event.at).min().unwrap_or_default()
    }

    fn last_heard(&self) -> Duration {
        self.events.iter().map(|event| event.at).max().unwrap_or_default()
    }

    /// What it said last, in its own order and not in that of arrival.
    fn last_word(&self) -> &Delivery {
        self.events.iter().max_by_key(|event| event.sequence).expect("a run is known by its events")
    }

    fn has_ended(&self) -> bool {
        self.last_word().reason == Reason::End
    }

    fn has_begun(&self) -> bool {
        self.events.iter().any(|event| event.reason == Reason::Begin)
    }
}

/// Runs with their events, each event once however often it arrived.
fn runs(deliveries: &[Delivery]) -> Vec<Run<'_>> {
    let mut seen = HashSet::new();
    let mut runs = HashMap::<Uuid, Run>::new();
    for delivery in deliveries {
        if seen.insert((delivery.run_id, delivery.sequence)) {
            runs.entry(delivery.run_id).or_insert(Run { events: Vec::new() }).events.push(delivery);
        }
    }
    runs.into_values().collect()
}

/// A `begin` without the `end` of the run before: nothing was heard of that one since.
fn crashed(runs: &[Run]) -> bool {
    let mut in_order: Vec<_> = runs.iter().collect();
    in_order.sort_by_key(|run| run.first_heard());
    let [.., before, last] = in_order.as_slice() else { return false };
    last.has_begun() && !before.has_ended() && before.last_heard() <= last.first_heard()
}

/// How many instances are how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    states: HashMap<State, u32>,
    license_invalid: u32,
    crashed: u32,
    several_runs: u32,
    restarting: u32,
    new: u32,
}

impl Tally {
    /// Counts the instances of `fleet` at `now`. One at a time, so that a large fleet takes no more memory than a small one.
    pub fn of(fleet: &Fleet, rules: &Rules, now: Duration) -> Self {
        let mut tally = Self::default();
        for index in 0..fleet.instances {
            let heard: Vec<_> = fleet.instance(index).take_while(|delivery| delivery.at <= now).collect();
            let Some(truth) = rules.truth(&heard, now) else { continue };
            *tally.states.entry(truth.state).or_default() += 1;
            tally.license_invalid += u32::from(!truth.license_valid);
            tally.crashed += u32::from(truth.crashed);
            tally.several_runs += u32::from(truth.several_runs);
            tally.restarting += u32::from(truth.restarting);
            tally.new += u32::from(truth.new);
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for state in State::ALL {
            let count = self.states.get(&state).copied().unwrap_or_default();
            writeln!(f, "  {:<16}{count:>8}", state.as_str())?;
        }
        for (name, count) in [
            ("license invalid", self.license_invalid),
            ("crashed", self.crashed),
            ("several runs", self.several_runs),
            ("restarting", self.restarting),
            ("new", self.new),
        ] {
            writeln!(f, "  {name:<16}{count:>8}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::simulate::License;

    /// An event of the run that is called `run`, at so many minutes; updates are due each hour.
    fn event(minute: u64, run: u128, sequence: u64, reason: Reason) -> Delivery {
        Delivery {
            at: Duration::from_secs(minute * 60),
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
        }
    }

    fn at(events: &[Delivery], minute: u64) -> Truth {
        Rules::real().truth(events, Duration::from_secs(minute * 60)).unwrap()
    }

    #[test]
    fn silence_makes_late_and_then_down() {
        let events = [event(0, 1, 1, Reason::Begin)];
        assert_eq!(Rules::real().truth(&[], HOUR), None);
        for (minute, state) in
            [(0, State::Up), (64, State::Up), (65, State::Late), (124, State::Late), (125, State::Down)]
        {
            assert_eq!(at(&events, minute).state, state, "{minute}");
        }
    }

    #[test]
    fn an_outage_of_the_receiver_is_no_silence() {
        let events = [event(0, 1, 1, Reason::Begin)];
        let forgiven = Some(MINUTE * 30..MINUTE * 90);
        let rules = Rules { forgiven, ..Rules::real() };
        for (minute, state) in [(124, State::Up), (125, State::Late), (185, State::Down)] {
            assert_eq!(rules.truth(&events, MINUTE * minute).unwrap().state, state, "{minute}");
        }
    }

    #[test]
    fn the_end_counts_by_its_number_and_not_by_its_arrival() {
        let events =
            [event(0, 1, 1, Reason::Begin), event(5, 1, 3, Reason::End), event(6, 1, 2, Reason::Update)];
        assert_eq!(at(&events, 7).state, State::Ended);
        assert_eq!(at(&events, 7000).state, State::Ended);
    }

    #[test]
    fn a_begin_without_an_end_before_it_is_a_crash_until_the_other_speaks_again() {
        let mut events = vec![event(0, 1, 1, Reason::Begin), event(10, 2, 1, Reason::Begin)];
        let truth = at(&events, 11);
        assert!(truth.crashed && !truth.several_runs && truth.version == "1.2.0");
        events.push(event(12, 1, 2, Reason::Update));
        let truth = at(&events, 13);
        assert!(!truth.crashed && truth.several_runs && truth.version == "1.1.0");
        // The one that is silent is dead, for the other is not.
        events.push(event(130, 1, 3, Reason::Update));
        assert!(!at(&events, 140).several_runs);
    }

    #[test]
    fn of_several_runs_the_last_one_ends_the_instance() {
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
    fn six_begins_in_an_hour_are_too_many_and_a_repeated_one_is_none() {
        let mut events: Vec<_> = (0..6).map(|n| event(n, u128::from(n) + 1, 1, Reason::Begin)).collect();
        assert!(at(&events, 6).restarting && at(&events, 59).restarting && !at(&events, 60).restarting);
        events[5] = Delivery { at: events[5].at, ..events[4] };
        assert!(!at(&events, 6).restarting);
    }

    #[test]
    fn what_the_receiver_measures_by_its_clock_is_longer_in_a_faster_world() {
        let rules = Rules::at_speed(100.0);
        let events = [event(0, 1, 1, Reason::Begin)];
        assert_eq!(rules.truth(&events, MINUTE * 559).unwrap().state, State::Up);
        assert_eq!(rules.truth(&events, MINUTE * 560).unwrap().state, State::Late);
        assert!(rules.truth(&events, HOUR * 2399).unwrap().new);
    }
}
