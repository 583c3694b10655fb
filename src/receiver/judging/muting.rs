//! Who is told of a judgement, where mutes are in force (receiver §3).
//!
//! A muted instance is judged as any other, and its changes are kept. Only nobody is told. One that went down meanwhile
//! and still is down when nothing mutes it any more is told then; one that came back up is not.

use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{Change, Instance, InstanceFilter, Judgement, Mute, Muted, State, Transition};

/// Reads a filter at a moment as the API does. `None` where it cannot be read.
pub(crate) type ReadFilter = fn(&str, Timestamp) -> Option<InstanceFilter>;

/// A mute that has not ended.
pub(crate) struct InForce<'a> {
    pub(crate) mute: &'a Mute,
    of: Scope,
}

enum Scope {
    Instance(Uuid),
    Key(Uuid),
    Filter(Box<InstanceFilter>),
}

impl InForce<'_> {
    fn is_about(&self, instance: &Instance) -> bool {
        match &self.of {
            Scope::Instance(id) => *id == instance.instance_id,
            Scope::Key(id) => *id == instance.facts.key_id,
            Scope::Filter(filter) => filter.matches(instance),
        }
    }
}

/// The mutes that have not ended at `now`. One whose filter cannot be read, as another version may have written it,
/// mutes nothing.
pub(crate) fn in_force(mutes: &[Mute], now: Timestamp, read_filter: ReadFilter) -> Vec<InForce<'_>> {
    let lasting = mutes.iter().filter(|mute| mute.until > now);
    lasting
        .filter_map(|mute| {
            let of = match &mute.of {
                Muted::Instance(id) => Scope::Instance(*id),
                Muted::Key(id) => Scope::Key(*id),
                Muted::Filter(query) => Scope::Filter(Box::new(read_filter(query, now)?)),
            };
            Some(InForce { mute, of })
        })
        .collect()
}

/// What the mutes select: one filter for all instances that are muted by their ids, and one for each other mute.
pub(crate) fn selection(mutes: &[InForce<'_>]) -> Vec<InstanceFilter> {
    let mut ids = Vec::new();
    let mut filters = Vec::new();
    for in_force in mutes {
        match &in_force.of {
            Scope::Instance(id) => ids.push(*id),
            Scope::Key(id) => {
                filters.push(InstanceFilter { key_id: Some(*id), ..InstanceFilter::default() });
            }
            Scope::Filter(filter) => filters.push(InstanceFilter::clone(filter)),
        }
    }
    if !ids.is_empty() {
        filters.insert(0, InstanceFilter { ids, ..InstanceFilter::default() });
    }
    filters
}

/// The mute of an instance; of several, the one that ends last.
pub(crate) fn mute_of<'a>(mutes: &[InForce<'a>], instance: &Instance) -> Option<&'a Mute> {
    let about = mutes.iter().filter(|mute| mute.is_about(instance));
    about.map(|in_force| in_force.mute).max_by_key(|mute| (mute.until, mute.id))
}

/// Decides who is told of a judgement.
pub(crate) fn settle(judgement: &mut Judgement, instance: &Instance, mutes: &[InForce<'_>]) {
    if judgement.alerts.is_empty() && !instance.untold {
        return;
    }
    let is_down = judgement.state == State::Down;
    let goes_down = judgement.alerts.iter().any(tells_down);
    match mute_of(mutes, &as_judged(judgement, instance)) {
        Some(mute) => {
            judgement.alerts.clear();
            judgement.untold = is_down && (goes_down || instance.untold);
            if judgement.untold {
                judgement.check_at = judgement.check_at.min(mute.until);
            }
        }
        None => {
            if instance.untold {
                // Who was not told that it went down need not hear that it is back.
                judgement.alerts.retain(|alert| alert.change != Change::State || tells_down(alert));
                if is_down && !goes_down {
                    judgement.alerts.insert(0, went_down(judgement.state_since));
                }
            }
            judgement.untold = false;
        }
    }
}

/// The instance as the judgement leaves it.
fn as_judged(judgement: &Judgement, instance: &Instance) -> Instance {
    Instance {
        state: judgement.state,
        state_since: judgement.state_since,
        last_seen_at: instance.last_seen_at.max(judgement.last_seen_at),
        flags: judgement.flags,
        facts: judgement.facts.clone(),
        ..instance.clone()
    }
}

fn tells_down(alert: &Transition) -> bool {
    alert.change == Change::State && alert.to == State::Down.as_str()
}

fn went_down(at: Timestamp) -> Transition {
    let from = Some(State::Late.as_str().to_owned());
    Transition { at, change: Change::State, from, to: State::Down.as_str().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::{Facts, Flags, Losses};

    const KEY: Uuid = Uuid::from_u128(9);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_608_000 + seconds).unwrap()
    }

    fn instance(state: State, untold: bool) -> Instance {
        Instance {
            instance_id: Uuid::from_u128(1),
            first_seen_at: at(0),
            last_seen_at: at(0),
            state,
            state_since: at(0),
            flags: Flags::default(),
            losses: Losses::default(),
            begins_since: None,
            untold,
            frequency: 3_600,
            facts: Facts { key_id: KEY, build_version: "1.0".to_owned(), ..Facts::default() },
            judged_at: Some(at(0)),
        }
    }

    fn change(from: State, to: State) -> Transition {
        let word = |state: State| state.as_str().to_owned();
        Transition { at: at(7), change: Change::State, from: Some(word(from)), to: word(to) }
    }

    /// The judgement by which the instance gets into a state, with these alerts.
    fn judgement(instance: &Instance, state: State, alerts: &[Transition]) -> Judgement {
        Judgement {
            run_id: Uuid::nil(),
            last_seen_at: at(0),
            state,
            state_since: at(7),
            flags: Flags::default(),
            losses: Losses::default(),
            begins_since: None,
            untold: instance.untold,
            lost: Vec::new(),
            frequency: 3_600,
            facts: instance.facts.clone(),
            check_at: Timestamp::MAX,
            transitions: alerts.to_vec(),
            alerts: alerts.to_vec(),
        }
    }

    fn mute(id: u128, of: Muted, until: i64) -> Mute {
        Mute {
            id: Uuid::from_u128(id),
            of,
            reason: "maintenance".to_owned(),
            until: at(until),
            created_at: at(0),
        }
    }

    /// As the API would, of the two filters that are used here.
    fn read(query: &str, _: Timestamp) -> Option<InstanceFilter> {
        let state = query.strip_prefix("state=").and_then(State::parse);
        state.map(|state| InstanceFilter { states: vec![state], ..InstanceFilter::default() })
    }

    fn settled(
        instance: &Instance,
        state: State,
        alerts: &[Transition],
        mutes: &[Mute],
        now: i64,
    ) -> Judgement {
        let mut judgement = judgement(instance, state, alerts);
        settle(&mut judgement, instance, &in_force(mutes, at(now), read));
        judgement
    }

    const DOWN: State = State::Down;

    #[test]
    fn a_mute_is_about_an_instance_a_key_or_what_matches_once_it_is_judged() {
        let up = instance(State::Up, false);
        let down = [change(State::Late, DOWN)];
        let of_instance = |id| Muted::Instance(Uuid::from_u128(id));
        for (of, is_muted) in [
            (of_instance(1), true),
            (of_instance(2), false),
            (Muted::Key(KEY), true),
            (Muted::Key(Uuid::from_u128(8)), false),
            (Muted::Filter("state=down".to_owned()), true),
            (Muted::Filter("state=up".to_owned()), false),
            (Muted::Filter("of=tomorrow".to_owned()), false),
        ] {
            let judged = settled(&up, DOWN, &down, &[mute(1, of.clone(), 100)], 10);
            assert_eq!(judged.alerts.is_empty(), is_muted, "{of:?}");
            assert_eq!(judged.untold, is_muted, "{of:?}");
            assert_eq!(judged.check_at, if is_muted { at(100) } else { Timestamp::MAX }, "{of:?}");
            assert_eq!(judged.transitions, down, "what happened is kept");
        }
    }

    #[test]
    fn a_mute_ends_at_its_end_and_the_last_to_end_counts() {
        let up = instance(State::Up, false);
        let down = [change(State::Late, DOWN)];
        let mutes = [mute(1, Muted::Key(KEY), 100), mute(2, Muted::Instance(Uuid::from_u128(1)), 200)];
        assert_eq!(settled(&up, DOWN, &down, &mutes, 99).check_at, at(200));
        assert!(settled(&up, DOWN, &down, &mutes, 199).untold);
        let judged = settled(&up, DOWN, &down, &mutes, 200);
        assert_eq!((judged.alerts, judged.untold), (down.to_vec(), false));
    }

    #[test]
    fn who_is_down_when_the_mute_ends_is_told_then_once() {
        let untold = instance(DOWN, true);
        let mutes = [mute(1, Muted::Key(KEY), 100)];
        let judged = settled(&untold, DOWN, &[], &mutes, 50);
        assert_eq!((judged.alerts.len(), judged.untold, judged.check_at), (0, true, at(100)));
        let judged = settled(&untold, DOWN, &[], &mutes, 100);
        assert_eq!((judged.alerts, judged.untold), (vec![change(State::Late, DOWN)], false));
        assert_eq!(judged.transitions, [], "nothing happened again");
        let told = instance(DOWN, false);
        assert_eq!(settled(&told, DOWN, &[], &mutes, 101).alerts, []);
    }

    #[test]
    fn who_came_back_is_not_told_unless_its_fall_was() {
        let back = [change(DOWN, State::Up)];
        let license = Transition {
            at: at(8),
            change: Change::License,
            from: Some("valid".to_owned()),
            to: "invalid".to_owned(),
        };
        let both = [back[0].clone(), license.clone()];
        let mutes = [mute(1, Muted::Key(KEY), 100)];
        let judged = settled(&instance(DOWN, true), State::Up, &both, &mutes, 50);
        assert_eq!((judged.alerts, judged.untold), (Vec::new(), false));
        let judged = settled(&instance(DOWN, true), State::Up, &both, &[], 150);
        assert_eq!((judged.alerts, judged.untold), (vec![license], false));
        assert_eq!(settled(&instance(DOWN, false), State::Up, &back, &[], 150).alerts, back);
    }
}
