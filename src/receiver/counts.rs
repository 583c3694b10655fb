//! The fleet in numbers: counted by the store, and kept for a moment, so that all who ask meanwhile share one count.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::ReceiverClock;
use super::kept::Kept;
use super::query::flag::Flag;
use super::query::instances::InstanceQuery;
use super::store::{FleetStore, Group, Instance, InstanceFilter, Sort, State, StoreError, day_of, start_of};
use super::store_handle::{QUERY_LIMIT, StoreHandle};

/// Time limit of the count of the muted, which depends on how many mutes there are.
const MUTED_LIMIT: Duration = Duration::from_secs(2);

/// The fleet in numbers, at a moment.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) at: Timestamp,
    pub(crate) groups: Arc<[Group]>,
    /// Of each state that an instance is in, the one that has been in it for longest.
    pub(crate) longest: Vec<Instance>,
    /// Number of those that ended on this day, in UTC.
    pub(crate) ended_today: i64,
    /// Number of those of which nobody is told. `None` where it takes too long to count them.
    pub(crate) muted: Option<i64>,
}

/// The last count, shared by clones.
#[derive(Clone)]
pub(crate) struct Counts {
    store: StoreHandle,
    clock: ReceiverClock,
    last: Kept<Tally>,
}

impl Counts {
    pub(crate) fn new(store: StoreHandle, clock: ReceiverClock) -> Self {
        let last = Kept::new(clock.inner());
        Self { store, clock, last }
    }

    /// The groups of the fleet, and when they were counted.
    pub(crate) async fn ask(&self) -> Result<(Arc<[Group]>, Timestamp), StoreError> {
        self.tally().await.map(|tally| (tally.groups.clone(), tally.at))
    }

    /// The fleet in numbers.
    pub(crate) async fn tally(&self) -> Result<Arc<Tally>, StoreError> {
        let counts = self.clone();
        self.last.ask(move || async move { counts.count().await }).await
    }

    async fn count(&self) -> Result<Tally, StoreError> {
        let at = self.clock.timestamp();
        let count = |store: Arc<dyn FleetStore>| async move {
            let groups = store.summary(at).await?;
            let ended_today = store.count_ended(start_of(day_of(at))).await?;
            let mut longest = Vec::new();
            for state in State::ALL {
                let of_state = InstanceFilter { states: vec![state], ..InstanceFilter::default() };
                longest.extend(store.instances(&of_state, Sort::Silent, None, 1).await?);
            }
            Ok((Arc::from(groups), longest, ended_today))
        };
        let (groups, longest, ended_today) = self.store.ask(QUERY_LIMIT, count).await?;
        let muted = |store: Arc<dyn FleetStore>| async move {
            let mutes = store.mutes().await?;
            if mutes.iter().all(|mute| mute.until <= at) {
                return Ok(0);
            }
            let muted = InstanceQuery { flags: vec![Flag::Muted], ..InstanceQuery::default() };
            let counts = store.count_by_state(&muted.filter(at, &mutes)).await?;
            Ok(counts.iter().map(|(_, count)| count).sum())
        };
        let muted = self.store.ask(MUTED_LIMIT, muted).await.ok();
        Ok(Tally { at, groups, longest, ended_today, muted })
    }

    /// Forgets the last count: something is known to have changed.
    pub(crate) fn forget(&self) {
        self.last.forget();
    }
}
