//! Random histories of a fleet, and what one of them has produced so far.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::*;

/// An event, before its time is known.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    instance: u128,
    /// The run, of which number 0 stands for events without a run and a number.
    run: u128,
    sequence: i64,
    reason: &'static str,
    frequency: Option<i32>,
    facts: Facts,
    /// Seconds by which the receiver's clock is ahead.
    clock_ahead: i64,
    /// Whether the number comes with another content than before.
    is_fork: bool,
    new_per_hour: Option<i32>,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Append(Vec<Outline>),
    Judge,
    TakeDigest { is_delivered: bool },
    AddKey { name: &'static str },
    RevokeKey(Index),
    ReplaceSecrets { key: Index, count: usize },
    TouchKey { key: Index, ago: i64 },
    Mark,
    MoveInstance { instance: u128, key: Index },
    NoteFlood(Index),
    DeleteEvent(Index),
    Forget { days: i64 },
    ForgetInstances(Doomed),
    TakeCensus,
}

/// An action, and the seconds that pass before it.
pub(super) type Step = (i64, Action);

fn outlines() -> impl Strategy<Value = Outline> {
    let reasons = prop::sample::select(vec![
        "begin",
        "update",
        "update",
        "update",
        "license-state-change",
        "end",
        "hello",
    ]);
    let frequency =
        prop::sample::select(vec![None, Some(0), Some(60), Some(3_600), Some(3_600), Some(i32::MAX)]);
    let custom_id =
        prop::sample::select(vec![None, Some("site-1"), Some("MÜNCHEN Straße"), Some("İzmir 100%")]);
    let version = prop::sample::select(vec!["1.0", "1.0", "2.0"]);
    let key = prop::sample::select(vec![99_u128, 99, 99, 1, 2]);
    let hash = prop::sample::select(vec![None, Some("0a"), Some("0b")]);
    let facts = (version, prop::bool::weighted(0.8), hash, custom_id, key).prop_map(
        |(version, license_valid, hash, custom_id, key)| Facts {
            license_valid,
            license_key_hash: hash.map(|digits| digits.repeat(32)),
            custom_id: custom_id.map(str::to_owned),
            key_id: of(key),
            ..facts(version)
        },
    );
    let is_fork = prop::bool::weighted(0.1);
    let new_per_hour = prop::option::weighted(0.2, 1..3_i32);
    let clock_ahead = prop_oneof![4 => Just(0), 1 => -100..100_i64];
    (1..=3_u128, 0..=3_u128, 0..12_i64, reasons, frequency, facts, clock_ahead, is_fork, new_per_hour)
        .prop_map(
            |(instance, run, sequence, reason, frequency, facts, clock_ahead, is_fork, new_per_hour)| {
                Outline {
                    instance,
                    run,
                    sequence,
                    reason,
                    frequency,
                    facts,
                    clock_ahead,
                    is_fork,
                    new_per_hour,
                }
            },
        )
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let passes = prop_oneof![3 => 0..10_i64, 3 => 0..5_000_i64, 1 => 0..2 * DAY];
    let action = prop_oneof![
        12 => prop::collection::vec(outlines(), 1..6).prop_map(Action::Append),
        6 => Just(Action::Judge),
        2 => any::<bool>().prop_map(|is_delivered| Action::TakeDigest { is_delivered }),
        2 => prop::sample::select(vec!["a", "b"]).prop_map(|name| Action::AddKey { name }),
        1 => any::<Index>().prop_map(Action::RevokeKey),
        1 => (any::<Index>(), 0..3_usize).prop_map(|(key, count)| Action::ReplaceSecrets { key, count }),
        1 => (any::<Index>(), 0..100_i64).prop_map(|(key, ago)| Action::TouchKey { key, ago }),
        2 => Just(Action::Mark),
        1 => (1..=3_u128, any::<Index>()).prop_map(|(instance, key)| Action::MoveInstance { instance, key }),
        1 => any::<Index>().prop_map(Action::NoteFlood),
        1 => any::<Index>().prop_map(Action::DeleteEvent),
        1 => (2..6_i64).prop_map(|days| Action::Forget { days }),
        1 => doomed().prop_map(Action::ForgetInstances),
        1 => Just(Action::TakeCensus),
    ];
    prop::collection::vec((passes, action), 1..40)
}

fn doomed() -> impl Strategy<Value = Doomed> {
    let matching = |state| {
        Doomed::Matching(Box::new(InstanceFilter { states: vec![state], ..InstanceFilter::default() }))
    };
    prop::sample::select(vec![
        Doomed::One(of(1)),
        Doomed::OfKey(of(99)),
        Doomed::SilentOfKey(of(99), at(DAY)),
        matching(State::Down),
        matching(State::Ended),
        matching(State::Up),
    ])
}

/// What a history has produced so far.
#[derive(Default)]
pub(super) struct History {
    pub(super) now: i64,
    pub(super) step: i64,
    pub(super) events: HashMap<(u128, u128, i64), NewEvent>,
    /// Ids of all events, in the order in which they were sent.
    pub(super) sent: Vec<(Uuid, Uuid)>,
    pub(super) keys: Vec<Uuid>,
    pub(super) outages: Vec<Outage>,
}

impl History {
    /// The event of an outline: the same one, received again, where its run had an event of this number
    /// before.
    pub(super) fn event(&mut self, outline: &Outline) -> NewEvent {
        let Outline { instance, run, sequence, reason, frequency, ref facts, clock_ahead, .. } = *outline;
        let seconds = self.now + clock_ahead;
        let event = NewEvent {
            frequency,
            facts: facts.clone(),
            new_per_hour: outline.new_per_hour,
            ..event(instance, run, sequence, seconds, reason)
        };
        let number = self.sent.len() as u64;
        let event = if run == 0 {
            let sequence = event.received_at.as_microsecond();
            NewEvent {
                id: Uuid::from_u64_pair(u64::MAX - number, 0),
                run_id: Uuid::nil(),
                sequence,
                is_numbered: false,
                ..event
            }
        } else {
            let (received_at, day, key_id) = (event.received_at, event.day, event.facts.key_id);
            let mut again = self.events.entry((instance, run, sequence)).or_insert(event).clone();
            // The same request may come with another key.
            again.facts.key_id = key_id;
            let (half, _) = again.id.as_u64_pair();
            let id = Uuid::from_u64_pair(half, u64::from(outline.is_fork));
            NewEvent { id, received_at, day, ..again }
        };
        self.sent.push((event.instance_id, event.id));
        event
    }
}
