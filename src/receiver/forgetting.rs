//! Forgetting instances, piece by piece, so that nobody waits for long: by hand, by filter, and by the rules of keys.

use std::time::Duration;

use jiff::SignedDuration;

use super::clock::ReceiverClock;
use super::store::{Doomed, StoreError};
use super::store_handle::StoreHandle;

/// Time limit of one piece.
const PIECE_LIMIT: Duration = Duration::from_secs(30);

/// Pause after a piece, as a multiple of the time that the piece took: nine of ten events meet no piece at all.
const PAUSE: u32 = 9;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// Number of instances that were forgotten.
    pub(crate) count: u64,
    /// Whether none is left.
    pub(crate) is_done: bool,
}

/// Number of instances that would be forgotten.
pub(crate) async fn count(
    store: &StoreHandle,
    clock: &ReceiverClock,
    doomed: &Doomed,
) -> Result<u64, StoreError> {
    let (doomed, now) = (doomed.clone(), clock.timestamp());
    store.ask(PIECE_LIMIT, |store| async move { store.count_doomed(&doomed, now).await }).await
}

/// Forgets instances. After `limit`, no further piece is begun.
pub(crate) async fn forget(
    store: &StoreHandle,
    clock: &ReceiverClock,
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
pub(crate) async fn by_rules(store: &StoreHandle, clock: &ReceiverClock) -> Result<u64, StoreError> {
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

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use jiff::Timestamp;

    use super::*;
    use crate::receiver::fixture::{event, instance_id};
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::{Facts, FleetStore, Instance, NewEvent, Run, SqliteFleetStore};
    use crate::receiver::{Keys, NewKey, Storage};
    use crate::running::clock::Clock;

    #[actix_rt::test]
    async fn the_rule_of_a_key_forgets_what_has_been_down_for_longer() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn FleetStore> = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let keys = Keys::of(Storage(store.clone()));
        let short = NewKey { forget_after: Some(2), ..NewKey::named("of the CI") };
        let (short, long) =
            (keys.create(short).await.unwrap().id, keys.create(NewKey::named("other")).await.unwrap().id);
        let began = Timestamp::from_second(1_795_608_000).unwrap();
        let by = |number, key_id| {
            let event = event(number, began);
            NewEvent { facts: Facts { key_id, ..event.facts.clone() }, ..event }
        };
        store.append(&[by(1, short), by(2, long)]).await.unwrap();
        // Down two hours and five minutes after the last word.
        let after = |hours| began + SignedDuration::from_hours(hours);
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], after(3));
        assert_eq!(store.judge(after(3), 10, &decide).await.unwrap(), 2);
        let handle = StoreHandle::alone(store.clone());
        let at_hour = |hours| {
            let time = UNIX_EPOCH + Duration::from_secs(after(hours).as_second().unsigned_abs());
            ReceiverClock::of_simulation(Clock::of(move || time))
        };
        assert_eq!(by_rules(&handle, &at_hour(4)).await.unwrap(), 0);
        assert_eq!(by_rules(&handle, &at_hour(5)).await.unwrap(), 1);
        assert!(store.instance(instance_id(1)).await.unwrap().is_none());
        assert!(store.instance(instance_id(2)).await.unwrap().is_some());
    }
}
