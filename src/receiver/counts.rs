//! The fleet in numbers: counted by the store, and kept for a moment, so that all who ask meanwhile share one count.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::clock::ReceiverClock;
use super::kept::Kept;
use super::query::flag::Flag;
use super::query::instances::InstanceQuery;
use super::store::{
    FleetStore, Group, Instance, InstanceFilter, KeyCount, License, Sort, State, StoreError, active_since,
    day_of, start_of,
};
use super::store_handle::{QUERY_LIMIT, StoreHandle};

/// Time limit of the count of the muted, which depends on how many mutes there are.
const MUTED_LIMIT: Duration = Duration::from_secs(2);

/// The fleet in numbers, at a moment.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) at: Timestamp,
    pub(crate) groups: Vec<Group>,
}

/// Numbers of servers in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct States {
    pub(crate) down: i64,
    pub(crate) late: i64,
    pub(crate) up: i64,
    pub(crate) ended: i64,
}

impl States {
    /// Counts servers in a state.
    pub(crate) fn add(&mut self, state: State, count: i64) {
        *self.of(state) += count;
    }

    /// Counts none in a state, to count them anew.
    pub(crate) fn clear(&mut self, state: State) {
        *self.of(state) = 0;
    }

    fn of(&mut self, state: State) -> &mut i64 {
        match state {
            State::Down => &mut self.down,
            State::Late => &mut self.late,
            State::Up => &mut self.up,
            State::Ended => &mut self.ended,
        }
    }

    pub(crate) fn in_state(mut self, state: State) -> i64 {
        *self.of(state)
    }

    pub(crate) fn total(&self) -> i64 {
        self.down + self.late + self.up + self.ended
    }
}

impl Tally {
    pub(crate) fn states(&self) -> States {
        let mut states = States::default();
        self.groups.iter().for_each(|group| states.add(group.state, group.count));
        states
    }

    /// Number of those that have not ended and have this license.
    pub(crate) fn not_ended_with(&self, license: License) -> i64 {
        let groups =
            self.groups.iter().filter(|group| group.state != State::Ended && group.license == license);
        groups.map(|group| group.count).sum()
    }
}

/// What there is to say of the fleet besides its numbers, at a moment.
#[derive(Debug)]
pub(crate) struct Details {
    /// Of each state that an instance is in, the one that has been in it for longest.
    pub(crate) longest: Vec<Instance>,
    /// Number of those that ended on this day, in UTC.
    pub(crate) ended_today: i64,
    /// Number of those that have not ended and were not heard within 14 days: they are not active (receiver §2).
    pub(crate) silent_long: i64,
    /// Number of those of which nobody is told. `None` where it takes too long to count them.
    pub(crate) muted: Option<i64>,
}

/// The last counts, shared by clones. Each is made only where it is asked for.
#[derive(Clone)]
pub(crate) struct Counts {
    store: StoreHandle,
    clock: ReceiverClock,
    tally: Kept<Tally>,
    details: Kept<Details>,
    of_keys: Kept<Vec<KeyCount>>,
}

impl Counts {
    pub(crate) fn new(store: StoreHandle, clock: ReceiverClock) -> Self {
        let inner = clock.inner();
        let (tally, details) = (Kept::new(inner.clone()), Kept::new(inner.clone()));
        Self { store, clock, tally, details, of_keys: Kept::new(inner) }
    }

    /// The fleet in numbers.
    pub(crate) async fn tally(&self) -> Result<Arc<Tally>, StoreError> {
        let (store, at) = (self.store.clone(), self.clock.timestamp());
        let count = move || async move {
            let groups = store.ask(QUERY_LIMIT, |store| async move { store.summary(at).await }).await?;
            Ok(Tally { at, groups })
        };
        self.tally.ask(count).await
    }

    /// What there is to say besides.
    pub(crate) async fn details(&self) -> Result<Arc<Details>, StoreError> {
        let (store, at) = (self.store.clone(), self.clock.timestamp());
        let look = move |store: Arc<dyn FleetStore>| async move { details(&*store, at).await };
        self.details.ask(move || async move { store.ask(QUERY_LIMIT + MUTED_LIMIT, look).await }).await
    }

    /// Numbers of the instances of each key.
    pub(crate) async fn of_keys(&self) -> Result<Arc<Vec<KeyCount>>, StoreError> {
        let store = self.store.clone();
        let count = |store: Arc<dyn FleetStore>| async move { store.count_by_key().await };
        self.of_keys.ask(move || async move { store.ask(QUERY_LIMIT, count).await }).await
    }

    /// Forgets the last counts: something is known to have changed.
    pub(crate) fn forget(&self) {
        self.tally.forget();
        self.details.forget();
        self.of_keys.forget();
    }
}

async fn details(store: &dyn FleetStore, at: Timestamp) -> Result<Details, StoreError> {
    let ended_today = store.count_ended(start_of(day_of(at))).await?;
    let mut longest = Vec::new();
    for state in State::ALL {
        let of_state = InstanceFilter { states: vec![state], ..InstanceFilter::default() };
        longest.extend(store.instances(&of_state, Sort::Silent, None, 1).await?);
    }
    let silent_long = InstanceFilter {
        states: vec![State::Down, State::Late, State::Up],
        last_seen_before: Some(active_since(at)),
        ..InstanceFilter::default()
    };
    let silent_long = store.count_by_state(&silent_long).await?.iter().map(|(_, count)| count).sum();
    // That it takes too long is no failure of the store.
    let muted = tokio::time::timeout(MUTED_LIMIT, muted(store, at)).await.ok().transpose()?;
    Ok(Details { longest, ended_today, silent_long, muted })
}

async fn muted(store: &dyn FleetStore, at: Timestamp) -> Result<i64, StoreError> {
    let mutes = store.mutes().await?;
    if mutes.iter().all(|mute| mute.until <= at) {
        return Ok(0);
    }
    let muted = InstanceQuery { flags: vec![Flag::Muted], ..InstanceQuery::default() };
    let counts = store.count_by_state(&muted.filter(at, &mutes)).await?;
    Ok(counts.iter().map(|(_, count)| count).sum())
}
