//! One instance, run after run: an iterator over what arrives from it, in the order of arrival.

use std::time::Duration;

use deployment_telemetry::Reason;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use crate::character::{Character, HOUR, Habit, MINUTE, between};
use crate::delivery::{Delivery, License};

const SECOND: Duration = Duration::from_secs(1);

/// Time after an event in which the real sender skips an update.
const QUIET: Duration = MINUTE;

/// Iterator over everything that arrives from one instance, in order. It ends only if the instance is gone for good.
pub struct Instance {
    own: Life,
    /// What a copy on a second machine does, if there is one.
    copy: Option<Box<Life>>,
    next_own: Option<Delivery>,
    next_of_copy: Option<Delivery>,
}

impl Instance {
    pub(crate) fn new(seed: u64, index: u32) -> Self {
        let stream = u64::from(index) * 2;
        let character = Character::draw(&mut rng(seed, stream, 0));
        let mut own = Life::new(seed, stream, index, character, character.appears);
        let mut copy = character.cloned_at.filter(|at| *at > character.appears + HOUR).map(|at| {
            let mut copied = character;
            copied.habit = Habit::Leaving;
            Box::new(Life::new(seed, stream + 1, index, copied, at))
        });
        let next_of_copy = copy.as_mut().and_then(|life| life.next());
        Self { next_own: own.next(), next_of_copy, own, copy }
    }
}

impl Iterator for Instance {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        let copy_is_first = match (&self.next_own, &self.next_of_copy) {
            (Some(own), Some(of_copy)) => of_copy.at < own.at,
            (None, Some(_)) => true,
            _ => false,
        };
        if copy_is_first {
            let next = self.copy.as_mut().and_then(|life| life.next());
            std::mem::replace(&mut self.next_of_copy, next)
        } else {
            std::mem::replace(&mut self.next_own, self.own.next())
        }
    }
}

/// What one machine does of an instance.
struct Life {
    seed: u64,
    stream: u64,
    index: u32,
    character: Character,
    /// Number of decisions drawn so far.
    decisions: u64,
    run: Option<Run>,
    /// When the next run begins, while there is none.
    next_begin: Option<Duration>,
    /// Number of crashes that are still to come in a row.
    crashes_left: u32,
    /// Events on their way; the next to arrive is the last of the list.
    in_transit: Vec<Delivery>,
}

/// A run under way.
struct Run {
    id: Uuid,
    release: u32,
    sequence: u64,
    last_event: Duration,
    next_slot: Duration,
    next_license_change: Option<Duration>,
    stop: Duration,
    /// Whether it sends `end`.
    is_graceful: bool,
    /// Time from its stop to the begin of the next run; `None` where there is no next run.
    pause: Option<Duration>,
}

impl Life {
    fn new(seed: u64, stream: u64, index: u32, character: Character, begins: Duration) -> Self {
        Self {
            seed,
            stream,
            index,
            character,
            decisions: 0,
            run: None,
            next_begin: Some(begins),
            crashes_left: 0,
            in_transit: Vec::new(),
        }
    }

    /// Random numbers for one decision. Each decision has its own, so that no generator must be kept for an instance.
    fn next_rng(&mut self) -> ChaCha8Rng {
        self.decisions += 1;
        rng(self.seed, self.stream, self.decisions)
    }

    /// Moment of the next thing that the machine does.
    fn next_step_at(&self) -> Option<Duration> {
        match &self.run {
            Some(run) => {
                Some(run.stop.min(run.next_slot).min(run.next_license_change.unwrap_or(Duration::MAX)))
            }
            None => self.next_begin,
        }
    }

    fn step(&mut self) {
        match self.run.take() {
            Some(run) => self.go_on(run),
            None => self.begin(),
        }
    }

    /// Begins a run.
    fn begin(&mut self) {
        let Some(now) = self.next_begin.take() else { return };
        let mut rng = self.next_rng();
        let (length, is_graceful, pause) = self.fate(&mut rng);
        let mut run = Run {
            id: Builder::from_random_bytes(rng.random()).into_uuid(),
            release: self.character.release(now),
            sequence: 0,
            last_event: now,
            next_slot: self.character.next_slot(now),
            next_license_change: self.character.next_license_change(now),
            stop: now + length,
            is_graceful,
            pause,
        };
        if let Some(upgrade) = self.character.next_upgrade(now).filter(|upgrade| *upgrade < run.stop) {
            run.stop = upgrade;
            run.is_graceful = true;
            run.pause = Some(between(&mut rng, SECOND * 2, SECOND * 20));
            self.crashes_left = 0;
        }
        if self.character.is_disordered {
            self.send(&mut run, now, Reason::Begin, SECOND * 5);
            self.send(&mut run, now + SECOND * 2, Reason::LicenseStateChange, Duration::ZERO);
        } else {
            self.send(&mut run, now, Reason::Begin, Duration::ZERO);
        }
        self.run = Some(run);
    }

    /// Length of a run, whether it sends `end`, and the time until the next one.
    fn fate(&mut self, rng: &mut ChaCha8Rng) -> (Duration, bool, Option<Duration>) {
        let mut soon = |from: Duration, to: Duration| Some(between(rng, from, to));
        let (length, is_graceful, pause) = match self.character.habit {
            Habit::Steady => (soon(HOUR * 72, HOUR * 720), true, soon(SECOND * 2, MINUTE)),
            Habit::Intermittent => (soon(HOUR * 4, HOUR * 30), true, soon(HOUR * 2, HOUR * 20)),
            Habit::Leaving => (soon(HOUR * 6, HOUR * 60), true, None),
            Habit::Crashing => (soon(HOUR * 3, HOUR * 30), false, soon(SECOND * 5, MINUTE * 20)),
            Habit::Dying => (soon(HOUR * 6, HOUR * 60), false, None),
            Habit::Looping if self.crashes_left > 0 => {
                self.crashes_left -= 1;
                (soon(SECOND * 30, MINUTE * 4), false, soon(SECOND * 5, MINUTE))
            }
            Habit::Looping => {
                self.crashes_left = 12;
                (soon(HOUR * 4, HOUR * 30), false, soon(SECOND * 5, MINUTE))
            }
        };
        (length.unwrap_or(HOUR), is_graceful, pause)
    }

    /// Does what the run does next: stops, or sends an event.
    fn go_on(&mut self, mut run: Run) {
        let now = run.stop.min(run.next_slot).min(run.next_license_change.unwrap_or(Duration::MAX));
        if now == run.stop {
            if run.is_graceful {
                if self.character.is_disordered {
                    self.send(&mut run, now.saturating_sub(SECOND), Reason::Update, SECOND * 4);
                }
                self.send(&mut run, now, Reason::End, Duration::ZERO);
            }
            self.next_begin = run.pause.map(|pause| now + pause);
            return;
        }
        if run.next_license_change == Some(now) {
            run.next_license_change = self.character.next_license_change(now);
            self.send(&mut run, now, Reason::LicenseStateChange, Duration::ZERO);
        } else {
            run.next_slot = self.character.next_slot(now);
            if now >= run.last_event + QUIET {
                self.send(&mut run, now, Reason::Update, Duration::ZERO);
            }
        }
        self.run = Some(run);
    }

    /// Sends an event, which arrives `delay` later than others, twice or not at all.
    fn send(&mut self, run: &mut Run, now: Duration, reason: Reason, delay: Duration) {
        run.sequence += 1;
        run.last_event = now;
        let mut rng = self.next_rng();
        let is_lost = reason == Reason::Update && rng.random_bool(self.character.loss);
        if is_lost {
            return;
        }
        let under_way = between(&mut rng, SECOND / 100, SECOND / 2);
        let character = &self.character;
        // Such an instance begins before its license is known; the event that reports the license overtakes `begin`.
        let is_licensed = !(character.is_disordered && reason == Reason::Begin);
        let license = if is_licensed { character.license(now) } else { License::None };
        let delivery = Delivery {
            at: now + under_way + delay,
            sent_at: now,
            instance: self.index,
            instance_id: character.instance_id,
            run_id: run.id,
            sequence: run.sequence,
            reason,
            frequency: character.frequency,
            skew: character.skew,
            release: run.release,
            license,
            is_named: character.is_named,
            scenario: None,
        };
        self.in_transit.push(delivery);
        if rng.random_bool(character.repeats) {
            self.in_transit
                .push(Delivery { at: delivery.at + between(&mut rng, SECOND, MINUTE * 2), ..delivery });
        }
        self.in_transit.sort_by_key(|delivery| std::cmp::Reverse(delivery.at));
    }
}

impl Iterator for Life {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            let step_at = self.next_step_at();
            match self.in_transit.last() {
                // What a step sends arrives after the step.
                Some(first) if step_at.is_none_or(|at| first.at <= at) => return self.in_transit.pop(),
                None if step_at.is_none() => return None,
                _ => self.step(),
            }
        }
    }
}

/// Random numbers for the decision with this number, of this stream.
fn rng(seed: u64, stream: u64, decision: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    // No decision takes more than 256 words.
    rng.set_word_pos(u128::from(decision) * 256);
    rng
}
