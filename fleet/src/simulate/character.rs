//! What an instance is like, decided once from the seed.

use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use super::delivery::{BETWEEN_RELEASES, License};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The release that is new when the simulation starts.
const FIRST_RELEASE: u32 = 20;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Character {
    pub(crate) instance_id: Uuid,
    pub(crate) is_named: bool,
    pub(crate) frequency: Duration,
    /// Where in each frequency its update is due.
    pub(crate) phase: Duration,
    /// When it is installed.
    pub(crate) appears: Duration,
    pub(crate) temper: Temper,
    upgrades: Upgrades,
    licensing: Licensing,
    pub(crate) skew: SignedDuration,
    /// Of its updates so many get lost in its network.
    pub(crate) loss: f64,
    /// Of its events so many arrive twice.
    pub(crate) repeats: f64,
    /// Something on its way lets later events overtake earlier ones.
    pub(crate) is_disordered: bool,
    /// When it is copied to a second machine that is then alive beside it.
    pub(crate) cloned_at: Option<Duration>,
}

/// How its runs end, besides those that end by an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// They hardly do.
    Steady,
    /// It is switched off and on.
    Intermittent,
    /// It is switched off for good.
    Leaving,
    /// It crashes now and then and is started again.
    Crashing,
    /// It crashes once and nobody starts it again.
    Dying,
    /// It crashes at once after each start, for a while.
    Looping,
}

#[derive(Clone, Copy, Debug)]
enum Upgrades {
    /// So long after each release.
    After(Duration),
    /// Never: this release for good.
    Stuck(u32),
}

#[derive(Clone, Copy, Debug)]
enum Licensing {
    Same(License),
    /// Valid and invalid in turns, each so long.
    Changing(Duration),
}

impl Character {
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let instance_id = Builder::from_random_bytes(rng.random()).into_uuid();
        let frequency = HOUR * pick(rng, &[(64, 8), (8, 1), (6, 2), (6, 4), (4, 6), (6, 12), (6, 24)]);
        let temper = pick(
            rng,
            &[
                (72, Temper::Steady),
                (9, Temper::Intermittent),
                (5, Temper::Leaving),
                (7, Temper::Crashing),
                (4, Temper::Dying),
                (3, Temper::Looping),
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
        let is_cloned = rng.random_bool(0.04) && temper == Temper::Steady;
        let cloned_at = between(rng, HOUR * 4, HOUR * 50);
        Self {
            instance_id,
            is_named: rng.random_bool(0.3),
            frequency,
            phase: between(rng, Duration::ZERO, frequency),
            appears: between(rng, Duration::ZERO, if is_newcomer { HOUR * 72 } else { HOUR }),
            temper,
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

    /// What it runs when it is started at `time`.
    pub(crate) fn release(&self, time: Duration) -> u32 {
        match self.upgrades {
            Upgrades::Stuck(release) => release,
            // Before its first upgrade it runs the release before.
            Upgrades::After(delay) => FIRST_RELEASE - 1 + releases(time, delay),
        }
    }

    /// When its operator upgrades it next.
    pub(crate) fn next_upgrade(&self, now: Duration) -> Option<Duration> {
        match self.upgrades {
            Upgrades::Stuck(_) => None,
            Upgrades::After(delay) => Some(delay + BETWEEN_RELEASES * releases(now, delay)),
        }
    }

    pub(crate) fn license(&self, time: Duration) -> License {
        match self.licensing {
            Licensing::Same(license) => license,
            Licensing::Changing(period) if turns(time, period).is_multiple_of(2) => License::Valid,
            Licensing::Changing(_) => License::Invalid,
        }
    }

    pub(crate) fn next_license_change(&self, now: Duration) -> Option<Duration> {
        match self.licensing {
            Licensing::Same(_) => None,
            Licensing::Changing(period) => Some(period * (turns(now, period) + 1)),
        }
    }

    /// The first update that is due after `now`.
    pub(crate) fn next_slot(&self, now: Duration) -> Duration {
        match now.checked_sub(self.phase) {
            None => self.phase,
            Some(since) => self.phase + self.frequency * (turns(since, self.frequency) + 1),
        }
    }
}

/// How many releases are installed at `time`, each so long after it came out.
fn releases(time: Duration, delay: Duration) -> u32 {
    time.checked_sub(delay).map_or(0, |since| turns(since, BETWEEN_RELEASES) + 1)
}

fn turns(time: Duration, period: Duration) -> u32 {
    (time.as_millis() / period.as_millis().max(1)) as u32
}

/// Milliseconds are fine enough, and no two moments that matter are the same by rounding.
pub(crate) fn between(rng: &mut ChaCha8Rng, from: Duration, to: Duration) -> Duration {
    Duration::from_millis(rng.random_range(from.as_millis() as u64..to.as_millis() as u64))
}

/// One of `choices`, each as often as its weight says.
fn pick<T: Copy>(rng: &mut ChaCha8Rng, choices: &[(u32, T)]) -> T {
    let mut left = rng.random_range(0..choices.iter().map(|(weight, _)| weight).sum());
    for (weight, choice) in choices {
        if left < *weight {
            return *choice;
        }
        left -= weight;
    }
    unreachable!("what is left is less than all weights together")
}
