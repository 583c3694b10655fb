//! Senders that repeat an event until it is stored, while the way to the store is disturbed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::{join, join_all};
use test_support::wait_until;
use tokio::time::{MissedTickBehavior, interval};

use crate::receiver::judging::judgement::decide;
use crate::receiver::store::suite::{at, event, runtime};
use crate::receiver::store::{Ingest, Instance, Judging, PostgresFleetStore, Run, within};

/// How often a sender sends.
const PAUSE: Duration = Duration::from_millis(4);

/// Time limit for what a test waits for.
const LIMIT: Duration = Duration::from_secs(60);

/// The senders, and what became of their events.
pub(super) struct Load {
    url: String,
    /// How long a sender waits for an answer.
    patience: Duration,
    /// Number of events of each sender that were acknowledged.
    acknowledged: Vec<AtomicUsize>,
    tries: AtomicUsize,
    errors: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Load {
    /// Sends to the database at `url` on a thread of its own while `disturb` runs.
    pub(super) fn run(url: &str, senders: usize, patience: Duration, disturb: impl FnOnce(&Self)) -> Self {
        let load = Self {
            url: url.to_owned(),
            patience,
            acknowledged: (0..senders).map(|_| AtomicUsize::new(0)).collect(),
            tries: AtomicUsize::new(0),
            errors: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            scope.spawn(|| runtime().block_on(load.send()));
            // The senders end also where the test fails.
            let _end = End(&load.is_over);
            disturb(&load);
        });
        load
    }

    /// Number of events that were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Number of times that an event was sent.
    pub(super) fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }

    /// Waits until this many more events are acknowledged.
    pub(super) fn wait_for_more(&self, count: usize) {
        let before = self.acknowledged();
        let what = format!("{count} more events are acknowledged after {before}");
        wait_until(&what, LIMIT, || self.acknowledged() >= before + count);
    }

    async fn send(&self) {
        let store = PostgresFleetStore::from_url(&self.url).unwrap();
        let senders = (0..self.acknowledged.len()).map(|sender| self.send_of(&store, sender));
        let judge = async {
            let decide = |instance: &Instance, runs: &[Run]| decide(instance, runs, &[], at(1));
            let mut pause = interval(Duration::from_millis(50));
            while !self.is_over.load(Ordering::Relaxed) {
                pause.tick().await;
                let _ = within(self.patience, store.judge(at(1), 100, &decide)).await;
            }
        };
        join(join_all(senders), judge).await;
    }

    async fn send_of(&self, store: &PostgresFleetStore, sender: usize) {
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let id = sender as u128 + 1;
        while !self.is_over.load(Ordering::Relaxed) {
            pause.tick().await;
            let next = self.acknowledged[sender].load(Ordering::Relaxed) as i64 + 1;
            let next = event(id, id, next, 0, if next == 1 { "begin" } else { "update" });
            self.tries.fetch_add(1, Ordering::Relaxed);
            match within(self.patience, store.append(&[next])).await {
                Ok(_) => drop(self.acknowledged[sender].fetch_add(1, Ordering::Relaxed)),
                Err(error) => self.errors.lock().unwrap().push(crate::running::causes::in_one_line(&error)),
            }
        }
    }

    /// What the store answered where it did not acknowledge.
    pub(super) fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap().clone()
    }

    /// Checks that each acknowledged event is in the database at `url`, and each stored event once. The last event of a
    /// sender may be stored without an answer.
    pub(super) fn assert_stored_once(&self, url: &str) {
        let sql = "select count(*), count(distinct event.id), max(event.sequence), max(run.updates)::bigint
                   from telemetry_event event join telemetry_run run using (instance_id, run_id)
                   group by event.instance_id order by event.instance_id";
        let store = PostgresFleetStore::from_url(url).unwrap();
        let rows = runtime().block_on(async { store.connect().await.unwrap().rows(sql, &[]).await.unwrap() });
        assert_eq!(rows.len(), self.acknowledged.len());
        for (row, acknowledged) in rows.iter().zip(&self.acknowledged) {
            let (stored, different, highest, updates): (i64, i64, i64, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            let acknowledged = acknowledged.load(Ordering::Relaxed) as i64;
            assert!(
                (acknowledged..=acknowledged + 1).contains(&stored),
                "{acknowledged} acknowledged, {stored} stored"
            );
            assert_eq!((different, highest, updates), (stored, stored, stored - 1));
        }
    }
}

/// Ends the senders when dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
