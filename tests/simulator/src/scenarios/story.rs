//! The story of one instance: its processes, what they send, and what happens to it on the way.

use std::ops::Range;
use std::time::Duration;

use deployment_telemetry::Reason;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::Scenario;
use crate::delivery::{Delivery, License};

/// Whole seconds since the beginning of the simulation.
pub type Second = u64;

pub(crate) const MINUTE: Second = 60;
pub(crate) const HOUR: Second = 3600;
pub(crate) const DAY: Second = 24 * HOUR;

/// Time after an event of a process in which the sender skips an update.
const QUIET: Second = MINUTE;

/// Longest time that an event is on its way.
const LONGEST_WAY: Second = 2;

/// Real time at which the simulation of a trial begins: 2026-11-02.
pub const EPOCH: Timestamp = Timestamp::constant(1_793_577_600, 0);

/// Whose key an event is sent with. Each seed has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The key of the fleet.
    Fleet,
    /// A key that is revoked in the course of its story.
    Retired,
    /// A key that other servers use, whose owner means harm.
    Stranger,
}

/// Something that happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When it happens.
    pub at: Second,
    /// What happens.
    pub action: Action,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// An event arrives.
    Post {
        /// The event.
        delivery: Delivery,
        /// Whose key it is sent with.
        key: Role,
        /// The status that the receiver must answer.
        answer: u16,
        /// Whether it says something: it is stored, and it is no repetition.
        is_news: bool,
    },
    /// An operator revokes a key.
    Revoke(Role),
}

/// Everything that happens to one instance, and the part of the truth that its events alone do not tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// What it is a story of.
    pub scenario: Scenario,
    /// The seed that it was drawn from.
    pub seed: u64,
    /// Id of the instance.
    pub instance_id: Uuid,
    /// Seconds between two updates.
    pub frequency: Second,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
    /// When an event arrived under a number that another event of the same run had used.
    pub forks: Vec<Second>,
    /// From the first to the last begin of each crash loop.
    pub loops: Vec<Range<Second>>,
    /// How often the instance went over to another key.
    pub key_changes: usize,
    /// The end of the story: nothing is true of the instance after it.
    pub horizon: Second,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It sends `end`.
    Stops,
    /// It sends nothing.
    Dies,
}

/// One process of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) began: Second,
    /// When and how it ends; `None` where it outlives the story.
    pub(crate) exit: Option<(Second, Exit)>,
    pub(crate) release: u32,
}

impl Process {
    pub(crate) fn lives(began: Second, release: u32) -> Self {
        Self { began, exit: None, release }
    }

    pub(crate) fn stops(began: Second, at: Second, release: u32) -> Self {
        Self { began, exit: Some((at, Exit::Stops)), release }
    }

    pub(crate) fn dies(began: Second, at: Second, release: u32) -> Self {
        Self { began, exit: Some((at, Exit::Dies)), release }
    }
}

/// An event that a process sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) at: Second,
    pub(crate) run_id: Uuid,
    pub(crate) sequence: u64,
    pub(crate) reason: Reason,
    pub(crate) release: u32,
    /// Error of the sender's clock.
    pub(crate) skew: SignedDuration,
}

/// Writes a story.
pub(crate) struct Author {
    pub(crate) story: Story,
    /// The license from each moment on.
    pub(crate) licenses: Vec<(Second, License)>,
    /// When the process that is written first begins.
    pub(crate) start: Second,
    number: u32,
    rng: ChaCha8Rng,
}

impl Author {
    /// The `number` distinguishes the stories of one seed.
    pub(crate) fn new(scenario: Scenario, seed: u64, number: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(number) + 1);
        let instance_id = Builder::from_random_bytes(rng.random()).into_uuid();
        let frequency = [HOUR, 3 * HOUR, 8 * HOUR, DAY][rng.random_range(0..4)];
        let license = [License::None, License::Valid, License::Valid][rng.random_range(0..3)];
        let start = rng.random_range(1..2 * HOUR);
        let story = Story {
            scenario,
            seed,
            instance_id,
            frequency,
            steps: Vec::new(),
            forks: Vec::new(),
            loops: Vec::new(),
            key_changes: 0,
            horizon: 0,
        };
        Self { story, licenses: vec![(0, license)], start, number, rng }
    }

    /// A random number of `range`.
    pub(crate) fn draw(&mut self, range: Range<Second>) -> Second {
        self.rng.random_range(range)
    }

    /// Draw of an event with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    pub(crate) fn new_run(&mut self) -> Uuid {
        Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// Uses a frequency of at least 8 hours, for a story that lasts for days.
    pub(crate) fn report_rarely(&mut self) {
        self.story.frequency = self.story.frequency.max(8 * HOUR);
    }

    /// Ends the story when all has become known that happened until `last`.
    pub(crate) fn end_after(&mut self, last: Second) {
        self.story.horizon = last + 2 * self.story.frequency + self.story.grace() + 2 * HOUR;
    }

    /// A process with all that it sends, in a run of its own.
    pub(crate) fn process(&mut self, process: Process) {
        let run_id = self.new_run();
        let events = self.events(&process, run_id);
        self.post_all(events);
    }

    /// Events that arrive at the receiver, with the key of the fleet.
    pub(crate) fn post_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.post(event);
        }
    }

    /// What a process sends: its begin, an update in each slot, each change of the license, its end.
    pub(crate) fn events(&self, process: &Process, run_id: Uuid) -> Vec<Event> {
        let until = process.exit.map_or(self.story.horizon, |(at, _)| at);
        let life = process.began + 1..until;
        let mut moments: Vec<(Second, Reason)> =
            self.slots(life.clone()).into_iter().map(|at| (at, Reason::Update)).collect();
        let changes = self.licenses.iter().filter(|(at, _)| life.contains(at));
        moments.extend(changes.map(|(at, _)| (*at, Reason::LicenseStateChange)));
        moments.sort_by_key(|(at, _)| *at);
        moments.insert(0, (process.began, Reason::Begin));
        if let Some((at, Exit::Stops)) = process.exit {
            moments.push((at, Reason::End));
        }
        let mut before = None::<Second>;
        moments.retain(|(at, reason)| {
            let is_sent = *reason != Reason::Update || before.is_none_or(|before| at - before >= QUIET);
            before = if is_sent { Some(*at) } else { before };
            is_sent
        });
        let event = |(sequence, (at, reason))| Event {
            at,
            run_id,
            sequence,
            reason,
            release: process.release,
            skew: SignedDuration::ZERO,
        };
        (1..).zip(moments).map(event).collect()
    }

    /// The update slots of the instance, which all its processes share: the phase is that of the sender, the first 8 bytes
    /// of the SHA-256 of the instance's id.
    fn slots(&self, within: Range<Second>) -> Vec<Second> {
        let digest = Sha256::digest(self.story.instance_id.as_bytes());
        let seed = digest[..8].iter().fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte));
        let frequency = self.story.frequency;
        let phase = seed % (frequency * 1000) / 1000;
        let epoch = u64::try_from(EPOCH.as_second()).unwrap_or_default();
        let first = (phase + frequency - epoch % frequency) % frequency;
        let slots = (0..).map(|number| first + number * frequency);
        slots.skip_while(|at| *at < within.start).take_while(|at| *at < within.end).collect()
    }

    /// The same for one event. Returns when it arrives.
    pub(crate) fn post(&mut self, event: Event) -> Second {
        let at = event.at + self.draw(0..LONGEST_WAY + 1);
        self.arrive(event, at, Role::Fleet, 200, true);
        at
    }

    /// An event that arrives at `at`, whatever comes of it.
    pub(crate) fn arrive(&mut self, event: Event, at: Second, key: Role, answer: u16, is_news: bool) {
        let license =
            self.licenses.iter().rev().find(|(from, _)| *from <= event.at).expect("a license from 0 on").1;
        let delivery = Delivery {
            at: Duration::from_secs(at),
            sent_at: Duration::from_secs(event.at),
            instance: u32::try_from(self.story.seed % 10_000).unwrap_or_default() * 100 + self.number,
            instance_id: self.story.instance_id,
            run_id: event.run_id,
            sequence: event.sequence,
            reason: event.reason,
            frequency: Duration::from_secs(self.story.frequency),
            skew: event.skew,
            release: event.release,
            license,
            is_named: true,
            scenario: Some(self.story.scenario.as_str()),
        };
        self.story.steps.push(Step { at, action: Action::Post { delivery, key, answer, is_news } });
    }

    pub(crate) fn finish(mut self) -> Story {
        self.story.steps.retain(|step| step.at <= self.story.horizon);
        self.story.steps.sort_by_key(|step| step.at);
        self.story
    }
}

impl Story {
    /// What arrives with the key of this role.
    pub fn deliveries(self, role: Role) -> impl Iterator<Item = Delivery> {
        self.steps.into_iter().filter_map(move |step| match step.action {
            Action::Post { delivery, key, .. } if key == role => Some(delivery),
            _ => None,
        })
    }

    /// Time by which a report may be overdue.
    pub fn grace(&self) -> Second {
        self.frequency.div_ceil(20).max(5 * MINUTE)
    }
}
