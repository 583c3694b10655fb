//! What is true of an instance, derived only from what arrived from it. The rules are those of `docs/receiver.md`, written
//! as plainly as possible and without regard to speed: a receiver is correct if it says the same.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use deployment_telemetry::Reason;
use uuid::Uuid;

use crate::character::{HOUR, MINUTE};
use crate::delivery::Delivery;

/// The rules by which instances are judged.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Minimum of the grace.
    shortest_grace: Duration,
    /// Length of the hour in which begins are counted.
    hour: Duration,
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
    /// Whether its last run began although the run before had not ended.
    pub crashed: bool,
    /// Whether several of its runs are alive.
    pub several_runs: bool,
    /// Whether it began more than five times within an hour.
    pub restarting: bool,
    /// Whether its first event is less than a day old.
    pub new: bool,
    /// Version that it runs.
    pub version: String,
    /// Whether its license is valid.
    pub license_valid: bool,
}

/// Everything that arrived from a run.
struct Run<'a> {
    events: Vec<&'a Delivery>,
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
            hour: HOUR.mul_f64(speed),
            day: (HOUR * 24).mul_f64(speed),
            forgiven: None,
        }
    }

    /// What is true at `now` of the instance from which `deliveries` arrived so far, in this order; `None` if nothing has
    /// arrived, since a receiver does not know the instance then.
    pub fn truth(&self, deliveries: &[Delivery], now: Duration) -> Option<Truth> {
        let first_arrival = deliveries.first()?.at;
        let runs = runs(deliveries);
        let alive = self.alive(&runs, now);
        // The run that describes the instance: the latest that is alive, or else the latest of all.
        let candidates = if alive.is_empty() { runs.iter().collect() } else { alive.clone() };
        let latest = candidates.into_iter().max_by_key(|run| run.last_arrival())?;
        let event = latest.last_event();

        let silence = self.silence(latest, now);
        let (late_after, down_after) = self.allowed(latest);
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
            new: now - first_arrival < self.day,
            version: event.version(),
            license_valid: event.license_valid(),
        })
    }

    /// The runs that are alive. A run is alive until it sends `end` or is replaced, which means that another run appeared
    /// and nothing arrived from the first since. A run that has been silent for too long is dead if another one is not
    /// silent; if all are, only the latest counts as alive.
    fn alive<'a>(&self, runs: &'a [Run<'a>], now: Duration) -> Vec<&'a Run<'a>> {
        let is_replaced = |run: &Run| runs.iter().any(|other| other.first_arrival() > run.last_arrival());
        let unended: Vec<_> = runs.iter().filter(|run| !run.has_ended() && !is_replaced(run)).collect();
        let is_heard = |run: &&Run| self.silence(run, now) < self.allowed(run).1;
        match unended.iter().any(is_heard) {
            true => unended.into_iter().filter(|run| is_heard(run)).collect(),
            false => unended.into_iter().max_by_key(|run| run.last_arrival()).into_iter().collect(),
        }
    }

    /// Time since the last arrival from a run, without the time in which nothing could arrive.
    fn silence(&self, run: &Run, now: Duration) -> Duration {
        let silence = now - run.last_arrival();
        let Some(outage) = &self.forgiven else { return silence };
        let unheard = outage.end.min(now).saturating_sub(outage.start.max(run.last_arrival()));
        silence - unheard
    }

    /// Silence after which a run is late, and silence after which it is down.
    fn allowed(&self, run: &Run) -> (Duration, Duration) {
        let frequency = run.last_event().frequency;
        let grace = self.shortest_grace.max(frequency / 20);
        (frequency + grace, frequency * 2 + grace)
    }
}

impl Run<'_> {
    fn first_arrival(&self) -> Duration {
        self.events.iter().map(|event| event.at).min().unwrap_or_default()
    }

    fn last_arrival(&self) -> Duration {
        self.events.iter().map(|event| event.at).max().unwrap_or_default()
    }

    /// The event that was sent last, which need not be the one that arrived last.
    fn last_event(&self) -> &Delivery {
        self.events.iter().max_by_key(|event| event.sequence).expect("a run has at least one event")
    }

    fn has_ended(&self) -> bool {
        self.last_event().reason == Reason::End
    }

    fn has_begun(&self) -> bool {
        self.events.iter().any(|event| event.reason == Reason::Begin)
    }
}

/// The runs with their events, without repetitions.
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

/// Whether the last run began although the one before had not ended, and nothing arrived from that one since.
fn crashed(runs: &[Run]) -> bool {
    let mut in_order: Vec<_> = runs.iter().collect();
    in_order.sort_by_key(|run| run.first_arrival());
    let [.., before, last] = in_order.as_slice() else { return false };
    last.has_begun() && !before.has_ended() && before.last_arrival() <= last.first_arrival()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::License;

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
    fn an_end_counts_by_its_number_and_not_by_its_arrival() {
        let events =
            [event(0, 1, 1, Reason::Begin), event(5, 1, 3, Reason::End), event(6, 1, 2, Reason::Update)];
        assert_eq!(at(&events, 7).state, State::Ended);
        assert_eq!(at(&events, 7000).state, State::Ended);
    }

    #[test]
    fn a_begin_without_an_end_before_it_is_a_crash_until_the_first_run_is_heard_again() {
        let mut events = vec![event(0, 1, 1, Reason::Begin), event(10, 2, 1, Reason::Begin)];
        let truth = at(&events, 11);
        assert!(truth.crashed && !truth.several_runs && truth.version == "1.2.0");
        events.push(event(12, 1, 2, Reason::Update));
        let truth = at(&events, 13);
        assert!(!truth.crashed && truth.several_runs && truth.version == "1.1.0");
        // The silent run is dead, because the other one is not silent.
        events.push(event(130, 1, 3, Reason::Update));
        assert!(!at(&events, 140).several_runs);
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
    fn six_begins_in_an_hour_are_a_restart_loop_and_a_repetition_does_not_count() {
        let mut events: Vec<_> = (0..6).map(|n| event(n, u128::from(n) + 1, 1, Reason::Begin)).collect();
        assert!(at(&events, 6).restarting && at(&events, 59).restarting && !at(&events, 60).restarting);
        events[5] = Delivery { at: events[5].at, ..events[4] };
        assert!(!at(&events, 6).restarting);
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
