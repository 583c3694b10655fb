//! Forgetting instances, piece by piece, so that nobody waits for long: by hand, by filter, and by the rules of keys.

use std::time::Duration;

use jiff::SignedDuration;

use super::store::{Doomed, StoreError};
use super::store_handle::StoreHandle;
use crate::running::clock::Clock;

/// Time limit of one piece.
const PIECE_LIMIT: Duration = Duration::from_secs(30);

/// Pause after a piece, as a part of the time that the piece took: events that waited for it go first.
const PAUSE: u32 = 1;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// Number of instances that were forgotten.
    pub(crate) count: u64,
    /// Whether none is left.
    pub(crate) is_done: bool,
}

/// Number of instances that would be forgotten.
pub(crate) async fn count(store: &StoreHandle, clock: &Clock, doomed: &Doomed) -> Result<u64, StoreError> {
    let (doomed, now) = (doomed.clone(), clock.timestamp());
    store.ask(PIECE_LIMIT, |store| async move { store.count_doomed(&doomed, now).await }).await
}

/// Forgets instances. After `limit`, no further piece is begun.
pub(crate) async fn forget(
    store: &StoreHandle,
    clock: &Clock,
    doomed: &Doomed,
    with_events: bool,
    limit: Option<Duration>,
) -> Result<Forgotten, StoreError> {
    let began = clock.monotonic();
    let (mut count, mut after) = (0, None);
    loop {
        let (doomed, now, piece_began) = (doomed.clone(), clock.timestamp(), clock.monotonic());
        let piece = store
            .ask(PIECE_LIMIT, |store| async move { store.forget(&doomed, now, after, with_events).await })
            .await?;
        count += piece.forgotten;
        after = piece.next;
        let is_over = |limit| clock.monotonic().duration_since(began) >= limit;
        if after.is_none() || limit.is_some_and(is_over) {
            return Ok(Forgotten { count, is_done: after.is_none() });
        }
        tokio::time::sleep(PAUSE * clock.monotonic().duration_since(piece_began)).await;
    }
}

/// Forgets what keys say is to be forgotten: their instances that have been down or ended for longer than the key allows.
pub(crate) async fn by_rules(store: &StoreHandle, clock: &Clock) -> Result<u64, StoreError> {
    let keys = store.ask(PIECE_LIMIT, |store| async move { store.keys().await }).await?;
    let mut count = 0;
    for (id, hours) in keys.iter().filter_map(|key| Some((key.id, key.forget_after?))) {
        let Ok(before) = clock.timestamp().checked_sub(SignedDuration::from_hours(hours.into())) else {
            continue;
        };
        count += forget(store, clock, &Doomed::SilentOfKey(id, before), false, None).await?.count;
    }
    Ok(count)
}
