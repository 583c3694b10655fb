//! Whether a process keeps dying: a chain of runs, each of which begins in place of the one before.
//!
//! Begins alone do not show it: a deployment of many replicas begins as often. Two things tell them
//! apart. A deployment is over sooner than a loop that goes on for most of an hour. And runs that live
//! beside each other give evidence of it: one is heard, be it by its `end`, after another began. Where
//! there is such evidence, only runs that were lost are counted.

use jiff::{SignedDuration, Timestamp};

use super::judged::Judged;
use super::silence::later;
use crate::receiver::store::{Instance, Run};

/// Longest time between two begins of a chain.
const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(10);

/// Time from the first to the last begin from which on a chain is a loop.
const SHORTEST_LOOP: SignedDuration = SignedDuration::from_mins(40);

/// Time for which a loop is shown after its last begin, or after the last loss in it.
const SHOWN: SignedDuration = SignedDuration::from_hours(1);

/// A chain of begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// The first begin of the chain, which may be older than the runs that are known.
    pub(super) since: Timestamp,
    /// The chain is long enough to be a loop.
    pub(super) is_loop: bool,
    /// When the loop is over if nothing more begins.
    pub(super) until: Timestamp,
}

/// The chain that ends with the latest begin.
pub(super) fn find(instance: &Instance, runs: &[Judged<'_>], now: Timestamp) -> Option<Loop> {
    let has_replicas = live_beside_each_other(runs);
    let mut links: Vec<&Judged<'_>> = runs
        .iter()
        .filter(|run| match has_replicas {
            true => run.lost_at(now).is_some(),
            false => run.is_open(),
        })
        .collect();
    links.sort_unstable_by_key(|run| run.run.first_seen_at);
    let last = links.last()?.run.first_seen_at;
    let mut since = last;
    let mut is_whole = true;
    for link in links.iter().rev() {
        let began_at = link.run.first_seen_at;
        if since.duration_since(began_at) > LONGEST_GAP {
            is_whole = false;
            break;
        }
        since = began_at;
    }
    // The chain goes on from one that was seen when more of its runs were known.
    if let Some(before) = instance.begins_since
        && is_whole
        && before < since
        && since.duration_since(instance.last_seen_at) <= LONGEST_GAP
    {
        since = before;
    }
    let last_loss = links.iter().filter_map(|run| run.lost_at(now)).max();
    let until = later(last_loss.map_or(last, |lost_at| lost_at.max(last)), SHOWN);
    Some(Loop { since, is_loop: last.duration_since(since) >= SHORTEST_LOOP, until })
}

/// Whether one run was heard after another began: replicas, or an update that starts the new before
/// it stops the old.
fn live_beside_each_other(runs: &[Judged<'_>]) -> bool {
    let overlap = |one: &Run, other: &Run| {
        one.first_seen_at < other.first_seen_at && one.last_seen_at > other.first_seen_at
    };
    runs.iter().any(|one| runs.iter().any(|other| overlap(one.run, other.run)))
}
