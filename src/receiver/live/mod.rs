//! What changes in the fleet while somebody looks: looked for once a second, once for all pages that are open, and only
//! while there are any. Each receiver looks into the store, so that it tells what another one has judged, too.

mod latest;
mod tidings;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) use tidings::{News, Tidings};

use super::counts::Counts;
use super::ingest::refused::RefusedRequests;
use super::store::{ChangeFilter, StoreError};
use super::store_handle::{QUERY_LIMIT, StoreHandle};
use latest::{LOOKED_AT, Latest};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Number of looks for which nobody listens before the looking ends: an answer ends now and then, and the page that it was
/// for asks again a second later.
const LOOKS_ALONE: u32 = 10;

/// Time between telling one page of news and telling the next.
const BETWEEN_PAGES: Duration = Duration::from_micros(500);

/// Maximum number of pages that listen at a time.
const MOST_LISTENERS: usize = 1_024;

/// Tells open pages what changes. Clones share it.
#[derive(Clone)]
pub(crate) struct Live {
    store: StoreHandle,
    counts: Counts,
    refused: RefusedRequests,
    /// That of the receiver's thread.
    runtime: Handle,
    news: watch::Sender<News>,
    /// Whether the fleet is being looked at.
    is_watched: Arc<Mutex<bool>>,
    /// Number of pages that have listened.
    listeners: Arc<AtomicU32>,
}

impl Live {
    pub(crate) fn new(store: StoreHandle, counts: Counts, refused: RefusedRequests, runtime: Handle) -> Self {
        let (news, is_watched, listeners) = (watch::Sender::default(), Arc::default(), Arc::default());
        Self { store, counts, refused, runtime, news, is_watched, listeners }
    }

    /// Listens to what changes from now on, and the time after which this page is to be told of news: pages that are told all
    /// at once hold up the events that arrive meanwhile. `None` where too many listen, or where it was closed.
    pub(crate) fn listen(&self) -> Option<(watch::Receiver<News>, Duration)> {
        let mut is_watched = self.watched();
        if self.news.borrow().is_over || self.news.receiver_count() >= MOST_LISTENERS {
            return None;
        }
        let heard = self.news.subscribe();
        if !std::mem::replace(&mut *is_watched, true) {
            let live = self.clone();
            self.runtime.spawn(async move {
                let _watch = Watch(live.clone());
                live.watch().await;
            });
        }
        let place = self.listeners.fetch_add(1, Ordering::Relaxed) % self.news.receiver_count().max(1) as u32;
        Some((heard, BETWEEN_PAGES * place))
    }

    /// Ends what everybody listens to, for good.
    pub(crate) fn close(&self) {
        self.news.send_modify(|news| news.is_over = true);
    }

    async fn watch(&self) {
        let (mut latest, mut alone) = (None, 0);
        loop {
            // A store that does not answer is logged where it is asked.
            let _ = self.look(&mut latest).await;
            tokio::time::sleep(LOOK).await;
            alone = if self.news.receiver_count() == 0 { alone + 1 } else { 0 };
            if alone >= LOOKS_ALONE && self.ends() {
                return;
            }
        }
    }

    /// Tells what changed since the last look.
    async fn look(&self, latest: &mut Option<Latest>) -> Result<(), StoreError> {
        let tally = self.counts.tally().await?;
        let all = ChangeFilter::default();
        let found = self
            .store
            .ask(QUERY_LIMIT, move |store| async move { store.latest_changes(&all, None, LOOKED_AT).await });
        let (now, changes) = Latest::of(found.await?, latest.take());
        *latest = Some(now);
        let tidings = Tidings::new(&tally, changes, self.refused.count());
        self.news.send_if_modified(|news| news.add(tidings));
        Ok(())
    }

    /// Ends the looking, unless somebody has come. Then nothing is kept: it would be told to whoever comes next.
    fn ends(&self) -> bool {
        let mut is_watched = self.watched();
        let is_left = self.news.receiver_count() == 0;
        if is_left {
            *is_watched = false;
            self.news.send_modify(News::clear);
        }
        is_left
    }

    fn watched(&self) -> MutexGuard<'_, bool> {
        self.is_watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next listener watch anew where a look panicked.
struct Watch(Live);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.watched() = false;
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::receiver::Receiver;
    use crate::receiver::fixture::{Fixture, instance_id};
    use crate::receiver::judging::judgement::decide;
    use crate::receiver::store::{FleetStore, Instance, Run};

    /// A page asks again after the end of each answer.
    #[actix_rt::test]
    async fn what_changes_while_nobody_listens_for_a_moment_is_kept() {
        let fixture = Fixture::with(3).await;
        let receiver = Receiver::builder(fixture.storage()).start().unwrap();
        let live = receiver.app.live.clone();
        let (mut heard, _) = live.listen().unwrap();
        let limit = Duration::from_secs(60);
        let first = tokio::time::timeout(limit, heard.changed()).await.expect("it is looked at");
        assert!(first.is_ok() && heard.borrow().last().unwrap().changes.is_empty());
        drop(heard);

        let store: Arc<dyn FleetStore> = fixture.storage().0;
        let later = fixture.now + jiff::SignedDuration::from_hours(1_001);
        let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], later);
        assert!(store.judge(later, 10, &decide).await.unwrap() > 0);
        let is_kept = || {
            let news = live.news.borrow();
            news.after(0).any(|told| told.changes.iter().any(|change| change.instance_id == instance_id(3)))
        };
        let wait = async {
            while !is_kept() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, wait).await.expect("it is looked at while nobody listens");
    }

    #[actix_rt::test]
    async fn pages_are_told_one_after_the_other_and_the_only_one_at_once() {
        let fixture = Fixture::with(0).await;
        let receiver = Receiver::builder(fixture.storage()).start().unwrap();
        let heard: Vec<_> = (0..4).map(|_| receiver.app.live.listen().unwrap()).collect();
        let turns: Vec<Duration> = heard.iter().map(|(_, turn)| *turn).collect();
        assert_eq!(turns, [0, 1, 2, 3].map(|place| BETWEEN_PAGES * place));
        drop(heard);
        assert_eq!(receiver.app.live.listen().unwrap().1, Duration::ZERO);
    }
}
