//! What was heard of other instances since a silent one was heard last: it tells whether the receiver, or the way to it,
//! may be the cause.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::moment::Moment;
use crate::receiver::store::{FleetStore, Instance, InstanceFilter, Sight, Sort, State, StoreError};

/// Number of events that are looked at, the latest of the fleet.
const LOOKED_AT: i64 = 500;

/// Number of instances among which a witness is looked for: the nearest of those that were heard, and those of the key that
/// have been up for longest.
const CANDIDATES: i64 = 20;

/// What was heard of others.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Evidence {
    /// Number of the other instances that were heard.
    pub(crate) others: i64,
    /// There may be more: not all events since then were looked at.
    pub(crate) at_least: bool,
    /// When the last of them was heard.
    pub(crate) last_heard_at: Option<Moment>,
    pub(crate) witness: Option<Witness>,
}

/// One of them that is up and well: the nearest to the silent one, of these the one that was heard last.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Witness {
    pub(crate) instance_id: Uuid,
    pub(crate) custom_id: Option<String>,
    pub(crate) heard_at: Moment,
    pub(crate) shares: Shared,
}

/// What two instances have in common, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shared {
    Key,
    Product,
    Nothing,
}

impl Shared {
    /// What an instance with this key and product shares with another one. What is not known is not shared.
    fn of(own: &Instance, key_id: Uuid, product: &str) -> Self {
        if key_id == own.facts.key_id && !key_id.is_nil() {
            Self::Key
        } else if product == own.facts.product && !product.is_empty() {
            Self::Product
        } else {
            Self::Nothing
        }
    }
}

impl Evidence {
    /// Looks for it in the store. `None` where nothing is expected of the instance, or where it is in time.
    pub(super) async fn ask(store: &dyn FleetStore, own: &Instance) -> Result<Option<Self>, StoreError> {
        if !matches!(own.state, State::Down | State::Late) {
            return Ok(None);
        }
        let sights = store.sights(own.last_seen_at, LOOKED_AT).await?;
        let ids = nearest(own, &sights);
        let mut known = Vec::new();
        if !ids.is_empty() {
            let heard = InstanceFilter { ids, ..InstanceFilter::default() };
            known = store.instances(&heard, Sort::Worst, None, CANDIDATES).await?;
        }
        if !own.facts.key_id.is_nil() && known.iter().all(|other| other.facts.key_id != own.facts.key_id) {
            let of_key = InstanceFilter {
                key_id: Some(own.facts.key_id),
                states: vec![State::Up],
                crashed: Some(false),
                restarting: Some(false),
                ..InstanceFilter::default()
            };
            known.extend(store.instances(&of_key, Sort::Silent, None, CANDIDATES).await?);
        }
        Ok(Some(Self::of(own, &sights, &known)))
    }

    /// `sights` are the latest events since `own` was heard, `known` are instances that may be witnesses.
    fn of(own: &Instance, sights: &[Sight], known: &[Instance]) -> Self {
        let mut heard = heard(own, sights);
        for other in known.iter().filter(|other| other.instance_id != own.instance_id) {
            if other.last_seen_at > own.last_seen_at && is_steady(other) {
                let at = heard.entry(other.instance_id).or_insert(other.last_seen_at);
                *at = other.last_seen_at.max(*at);
            }
        }
        let witness = known.iter().filter(|other| is_steady(other)).filter_map(|other| {
            let heard_at = *heard.get(&other.instance_id)?;
            let shares = Shared::of(own, other.facts.key_id, &other.facts.product);
            let custom_id = other.facts.custom_id.clone();
            Some(Witness { instance_id: other.instance_id, custom_id, heard_at: Moment(heard_at), shares })
        });
        Self {
            others: heard.len() as i64,
            at_least: sights.len() as i64 >= LOOKED_AT,
            last_heard_at: heard.values().max().copied().map(Moment),
            witness: witness.min_by_key(|witness| (witness.shares, Reverse(witness.heard_at.0))),
        }
    }
}

/// Whether it is heard in time by one process that does not die: what it says of the way to the receiver can be relied on.
fn is_steady(instance: &Instance) -> bool {
    let flags = instance.flags;
    instance.state == State::Up && !flags.crashed && !flags.restarting && !flags.cloned
}

/// The others that were heard since, and when they were heard last.
fn heard(own: &Instance, sights: &[Sight]) -> HashMap<Uuid, Timestamp> {
    let mut heard = HashMap::new();
    let others = sights.iter().filter(|sight| sight.instance_id != own.instance_id && !sight.is_imported);
    for sight in others.filter(|sight| sight.at > own.last_seen_at) {
        let at = heard.entry(sight.instance_id).or_insert(sight.at);
        *at = sight.at.max(*at);
    }
    heard
}

/// The ids of the others that share most with it, of these the ones that were heard last.
fn nearest(own: &Instance, sights: &[Sight]) -> Vec<Uuid> {
    let heard = heard(own, sights);
    let mut nearest: Vec<&Sight> =
        sights.iter().filter(|sight| heard.get(&sight.instance_id) == Some(&sight.at)).collect();
    nearest.sort_by_key(|sight| (Shared::of(own, sight.key_id, &sight.product), Reverse(sight.at)));
    let mut seen = HashSet::new();
    let ids = nearest.into_iter().map(|sight| sight.instance_id).filter(|id| seen.insert(*id));
    ids.take(CANDIDATES as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::store::{Facts, Flags, Losses};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_608_000 + 60 * minutes).unwrap()
    }

    fn instance(id: u128, state: State, key: u128, product: &str, heard: i64) -> Instance {
        let facts = Facts { key_id: Uuid::from_u128(key), product: product.to_owned(), ..Facts::default() };
        Instance {
            instance_id: Uuid::from_u128(id),
            first_seen_at: at(-1_000),
            last_seen_at: at(heard),
            state,
            state_since: at(-1_000),
            flags: Flags::default(),
            losses: Losses::default(),
            begins_since: None,
            frequency: 3_600,
            facts,
            judged_at: Some(at(0)),
            untold: false,
        }
    }

    /// The silent one, of the key 1 and the product `p`, heard at the minute 0.
    fn own() -> Instance {
        instance(1, State::Down, 1, "p", 0)
    }

    fn sight(id: u128, key: u128, product: &str, minute: i64) -> Sight {
        let (instance_id, key_id) = (Uuid::from_u128(id), Uuid::from_u128(key));
        Sight { instance_id, key_id, product: product.to_owned(), at: at(minute), is_imported: false }
    }

    /// The number of others, and the witness with what it shares and when it was heard.
    fn of(sights: &[Sight], known: &[Instance]) -> (i64, Option<(u128, Shared, Timestamp)>) {
        let found = Evidence::of(&own(), sights, known);
        let witness = found.witness.map(|who| (who.instance_id.as_u128(), who.shares, who.heard_at.0));
        (found.others, witness)
    }

    #[test]
    fn the_nearest_that_is_well_is_the_witness() {
        let sights = [sight(4, 3, "q", 9), sight(3, 2, "p", 8), sight(2, 1, "p", 7), sight(2, 1, "p", 6)];
        let up = |id, key, product, heard| instance(id, State::Up, key, product, heard);
        let known = [up(2, 1, "p", 7), up(3, 2, "p", 8), up(4, 3, "q", 9)];
        assert_eq!(of(&sights, &known), (3, Some((2, Shared::Key, at(7)))));
        let mut crashed = known.clone();
        crashed[0].flags.crashed = true;
        assert_eq!(of(&sights, &crashed), (3, Some((3, Shared::Product, at(8)))));
        crashed[1].state = State::Ended;
        assert_eq!(of(&sights, &crashed), (3, Some((4, Shared::Nothing, at(9)))));
        crashed[2].flags.restarting = true;
        assert_eq!(of(&sights, &crashed), (3, None), "they were heard all the same");
        let ids: Vec<_> = nearest(&own(), &sights).iter().map(Uuid::as_u128).collect();
        assert_eq!(ids, [2, 3, 4]);
    }

    #[test]
    fn what_is_no_sign_of_the_receiver_does_not_count() {
        assert_eq!(of(&[], &[]), (0, None));
        let imported = Sight { is_imported: true, ..sight(2, 1, "p", 5) };
        let before = instance(3, State::Up, 1, "p", -5);
        assert_eq!(of(&[sight(1, 1, "p", 3), imported], &[own(), before]), (0, None));
        // Its events are deleted, but it was heard.
        assert_eq!(of(&[], &[instance(3, State::Up, 1, "p", 5)]), (1, Some((3, Shared::Key, at(5)))));
    }

    #[test]
    fn what_is_not_known_is_not_shared() {
        let own = instance(1, State::Down, 0, "", 0);
        assert_eq!(Shared::of(&own, Uuid::nil(), ""), Shared::Nothing);
        assert_eq!(Shared::of(&super::tests::own(), Uuid::from_u128(1), ""), Shared::Key);
    }

    #[test]
    fn where_not_all_events_are_looked_at_there_may_be_more() {
        let sights: Vec<_> = (0..LOOKED_AT).map(|number| sight(2 + number as u128 % 7, 5, "q", 1)).collect();
        let found = Evidence::of(&own(), &sights, &[]);
        assert_eq!((found.others, found.at_least, found.last_heard_at), (7, true, Some(Moment(at(1)))));
        assert!(!Evidence::of(&own(), &sights[1..], &[]).at_least);
    }
}
