//! An instance, run after run: an iterator over what arrives from it, in the order of arrival.

use std::time::Duration;

use deployment_telemetry::Reason;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use super::character::{Character, HOUR, MINUTE, Temper, between};
use super::delivery::{Delivery, License};

const SECOND: Duration = Duration::from_secs(1);

/// The real sender passes over a slot so soon after another event.
const QUIET: Duration = MINUTE;

/// Everything that arrives from one instance, in order, without end but where it leaves.
pub struct Instance {
    own: Life,
    /// What runs on a copy of it, if it was copied.
    copy: Option<Box<Life>>,
    next_own: Option<Delivery>,
    next_of_copy: Option<Delivery>,
}

impl Instance {
    pub(crate) fn new(seed: u64, index: u32) -> Self {
        let stream = u64::from(index) * 2;
        let character = Character::draw(&mut dice(seed, stream, 0));
        let mut own = Life::new(seed, stream, index, character, character.appears);
        let mut copy = character.cloned_at.filter(|at| *at > character.appears + HOUR).map(|at| {
            let mut copied = character;
            copied.temper = Temper::Leaving;
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

/// One machine's part of an instance.
struct Life {
    seed: u64,
    stream: u64,
    index: u32,
    character: Character,
    /// How often the dice were cast.
    casts: u64,
    run: Option<Run>,
    /// When the next run begins, while there is none.
    next_begin: Option<Duration>,
    /// So many crashes in a row are still to come.
    loops_left: u32,
    /// What is on its way, the first to arrive last.
    mail: Vec<Delivery>,
}

struct Run {
    id: Uuid,
    release: u32,
    sequence: u64,
    last_event: Duration,
    next_slot: Duration,
    next_license_change: Option<Duration>,
    stop: Duration,
    /// It says `end`.
    is_graceful: bool,
    /// So long after its stop the next one begins; never again where there is none.
    pause: Option<Duration>,
}

impl Life {
    fn new(seed: u64, stream: u64, index: u32, character: Character, begins: Duration) -> Self {
        Self {
            seed,
            stream,
            index,
            character,
            casts: 0,
            run: None,
            next_begin: Some(begins),
            loops_left: 0,
            mail: Vec::new(),
        }
    }

    /// Numbers of their own for each decision, so that what is remembered of an instance stays small.
    fn dice(&mut self) -> ChaCha8Rng {
        self.casts += 1;
        dice(self.seed, self.stream, self.casts)
    }

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
            Some(run) => self.live(run),
            None => self.begin(),
        }
    }

    fn begin(&mut self) {
        let Some(now) = self.next_begin.take() else { return };
        let mut rng = self.dice();
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
            self.loops_left = 0;
        }
        if self.character.is_disordered {
            self.send(&mut run, now, Reason::Begin, SECOND * 5);
            self.send(&mut run, now + SECOND * 2, Reason::LicenseStateChange, Duration::ZERO);
        } else {
            self.send(&mut run, now, Reason::Begin, Duration::ZERO);
        }
        self.run = Some(run);
    }

    /// How long a run lasts, whether it says so at its end, and when the next begins.
    fn fate(&mut self, rng: &mut ChaCha8Rng) -> (Duration, bool, Option<Duration>) {
        let mut soon = |from: Duration, to: Duration| Some(between(rng, from, to));
        let (length, is_graceful, pause) = match self.character.temper {
            Temper::Steady => (soon(HOUR * 72, HOUR * 720), true, soon(SECOND * 2, MINUTE)),
            Temper::Intermittent => (soon(HOUR * 4, HOUR * 30), true, soon(HOUR * 2, HOUR * 20)),
            Temper::Leaving => (soon(HOUR * 6, HOUR * 60), true, None),
            Temper::Crashing => (soon(HOUR * 3, HOUR * 30), false, soon(SECOND * 5, MINUTE * 20)),
            Temper::Dying => (soon(HOUR * 6, HOUR * 60), false, None),
            Temper::Looping if self.loops_left > 0 => {
                self.loops_left -= 1;
                (soon(SECOND * 30, MINUTE * 4), false, soon(SECOND * 5, MINUTE))
            }
            Temper::Looping => {
                self.loops_left = 12;
                (soon(HOUR * 4, HOUR * 30), false, soon(SECOND * 5, MINUTE))
            }
        };
        (length.unwrap_or(HOUR), is_graceful, pause)
    }

    fn live(&mut self, mut run: Run) {
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

    fn send(&mut self, run: &mut Run, now: Duration, reason: Reason, delay: Duration) {
        run.sequence += 1;
        run.last_event = now;
        let mut rng = self.dice();
        let is_lost = reason == Reason::Update && rng.random_bool(self.character.loss);
        if is_lost {
            return;
        }
        let under_way = between(&mut rng, SECOND / 100, SECOND / 2);
        let character = &self.character;
        // There, `begin` comes before the license is known, and after the event that says how it stands.
        let is_licensed = !(character.is_disordered && reason == Reason::Begin);
        let license = if is_licensed { character.license(now) } else { License::None };
        let delivery = Delivery {
            at: now + under_way + delay,
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
        };
        self.mail.push(delivery);
        if rng.random_bool(character.repeats) {
            self.mail.push(Delivery { at: delivery.at + between(&mut rng, SECOND, MINUTE * 2), ..delivery });
        }
        self.mail.sort_by_key(|delivery| std::cmp::Reverse(delivery.at));
    }
}

impl Iterator for Life {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        loop {
            let step_at = self.next_step_at();
            match self.mail.last() {
                // Whatever a step sends arrives after it.
                Some(first) if step_at.is_none_or(|at| first.at <= at) => return self.mail.pop(),
                None if step_at.is_none() => return None,
                _ => self.step(),
            }
        }
    }
}

fn dice(seed: u64, stream: u64, cast: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    // More numbers than any one decision takes.
    rng.set_word_pos(u128::from(cast) * 256);
    rng
}
