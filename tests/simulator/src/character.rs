//! What an instance is like. It is drawn once, from the seed.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use crate::delivery::{BETWEEN_RELEASES, License};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Release that is the newest when the simulation starts.
const FIRST_RELEASE: u32 = 20;

/// What an instance is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Character {
    pub(crate) instance_id: Uuid,
    /// Whether its operator gave it a name.
    pub(crate) is_named: bool,
    /// Time between two updates.
    pub(crate) frequency: Duration,
    /// Moment within each frequency at which its update is due.
    pub(crate) phase: Duration,
    /// When it is installed and started for the first time.
    pub(crate) appears: Duration,
    pub(crate) habit: Habit,
    upgrades: Upgrades,
    licensing: Licensing,
    /// Error of its clock.
    pub(crate) skew: SignedDuration,
    /// Probability that an update is lost on the way.
    pub(crate) loss: f64,
    /// Probability that an event arrives twice.
    pub(crate) repeats: f64,
    /// Whether later events may overtake earlier ones on the way.
    pub(crate) is_disordered: bool,
    /// When it is copied to a second machine, on which it runs too from then on.
    pub(crate) cloned_at: Option<Duration>,
}

/// How its runs end, apart from upgrades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Rarely, by a restart.
    Steady,
    /// It is switched off and on.
    Intermittent,
    /// It is switched off for good.
    Leaving,
    /// It crashes from time to time and is started again.
    Crashing,
    /// It crashes once and is not started again.
    Dying,
    /// It crashes from time to time, and then shortly after each of the next starts.
    Looping,
}

/// When its operator installs new releases.
#[derive(Clone, Copy, Debug)]
enum Upgrades {
    /// This long after each release.
    After(Duration),
    /// Never; it stays on this release.
    Stuck(u32),
}

/// How its license changes.
#[derive(Clone, Copy, Debug)]
enum Licensing {
    Same(License),
    /// Valid and invalid in turn, each for this long.
    Changing(Duration),
}

impl Character {
    /// Draws an instance.
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let instance_id = Builder::from_random_bytes(rng.random()).into_uuid();
        let frequency = HOUR * pick(rng, &[(64, 8), (8, 1), (6, 2), (6, 4), (4, 6), (6, 12), (6, 24)]);
        let habit = pick(
            rng,
            &[
                (72, Habit::Steady),
                (9, Habit::Intermittent),
                (5, Habit::Leaving),
                (7, Habit::Crashing),
                (4, Habit::Dying),
                (3, Habit::Looping),
            ],
        );
        let licensing = match pick(rng, &[(78, 0), (9, 1), (6, 2), (7, 3)]) {
            0 => Licensing::Same(License::Valid),
            1 => Licensing::Same(License::None),
            2 => Licensing::Same(License::Invalid),
            _ => Licensing::Changing(between(rng, HOUR * 10, HOUR * 60)),
        };
        let is_newcomer = rng.random_bool(0.15);
        let is_wrong = rng.random_bool(0.05);
        let wrong = between(rng, MINUTE * 2, HOUR * 72).as_secs() as i64;
        let wrong = SignedDuration::from_secs(if rng.random() { wrong } else { -wrong });
        let is_cloned = rng.random_bool(0.04) && habit == Habit::Steady;
        let cloned_at = between(rng, HOUR * 4, HOUR * 50);
        Self {
            instance_id,
            is_named: rng.random_bool(0.3),
            frequency,
            phase: between(rng, Duration::ZERO, frequency),
            appears: between(rng, Duration::ZERO, if is_newcomer { HOUR * 72 } else { HOUR }),
            habit,
            upgrades: match rng.random_bool(0.1) {
                true => Upgrades::Stuck(rng.random_range(9..FIRST_RELEASE)),
                false => Upgrades::After(between(rng, HOUR, HOUR * 48)),
            },
            licensing,
            skew: if is_wrong { wrong } else { SignedDuration::ZERO },
            loss: if rng.random_bool(0.1) { rng.random_range(0.05..0.5) } else { 0.0 },
            repeats: if rng.random_bool(0.1) { rng.random_range(0.05..0.5) } else { 0.0 },
            is_disordered: rng.random_bool(0.06),
            cloned_at: is_cloned.then_some(cloned_at),
        }
    }

    /// Release that it runs when it is started at `time`.
    pub(crate) fn release(&self, time: Duration) -> u32 {
        match self.upgrades {
            Upgrades::Stuck(release) => release,
            // Before its first upgrade it runs the release before the first.
            Upgrades::After(delay) => FIRST_RELEASE - 1 + releases(time, delay),
        }
    }

    /// Moment of its next upgrade after `now`.
    pub(crate) fn next_upgrade(&self, now: Duration) -> Option<Duration> {
        match self.upgrades {
            Upgrades::Stuck(_) => None,
            Upgrades::After(delay) => Some(delay + BETWEEN_RELEASES * releases(now, delay)),
        }
    }

    /// Its license at `time`.
    pub(crate) fn license(&self, time: Duration) -> License {
        match self.licensing {
            Licensing::Same(license) => license,
            Licensing::Changing(period) if turns(time, period).is_multiple_of(2) => License::Valid,
            Licensing::Changing(_) => License::Invalid,
        }
    }

    /// Moment of the next change of its license after `now`.
    pub(crate) fn next_license_change(&self, now: Duration) -> Option<Duration> {
        match self.licensing {
            Licensing::Same(_) => None,
            Licensing::Changing(period) => Some(period * (turns(now, period) + 1)),
        }
    }

    /// Moment at which the next update after `now` is due.
    pub(crate) fn next_slot(&self, now: Duration) -> Duration {
        match now.checked_sub(self.phase) {
            None => self.phase,
            Some(since) => self.phase + self.frequency * (turns(since, self.frequency) + 1),
        }
    }
}

/// Number of releases installed by `time`, each `delay` after it came out.
fn releases(time: Duration, delay: Duration) -> u32 {
    time.checked_sub(delay).map_or(0, |since| turns(since, BETWEEN_RELEASES) + 1)
}

/// Number of whole periods in `time`.
fn turns(time: Duration, period: Duration) -> u32 {
    (time.as_millis() / period.as_millis().max(1)) as u32
}

/// A random time from `from` to `to`, in whole milliseconds.
pub(crate) fn between(rng: &mut ChaCha8Rng, from: Duration, to: Duration) -> Duration {
    Duration::from_millis(rng.random_range(from.as_millis() as u64..to.as_millis() as u64))
}

/// One of `choices`, at random in proportion to their weights.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, choices: &[(u32, T)]) -> T {
    let mut left = rng.random_range(0..choices.iter().map(|(weight, _)| weight).sum());
    for (weight, choice) in choices {
        if left < *weight {
            return *choice;
        }
        left -= weight;
    }
    unreachable!("the number drawn is less than the sum of all weights")
}
