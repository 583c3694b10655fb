//! What a machine whose clock is wrong leaves behind: nothing.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix::Actor;
use jiff::{SignedDuration, Timestamp};

use super::judge::{JudgeActor, JudgeDue};
use super::marking::{Marks, TICK};
use crate::receiver::clock::{NoTime, ReceiverClock};
use crate::receiver::fixture;
use crate::receiver::metrics::Metrics;
use crate::receiver::store::{
    Ingest, NewEvent, Outages, Queries, Schema, SqliteFleetStore, Standing, State, StoreError,
};
use crate::running::clock::fake::FakeClock;
use crate::running::log::Log;

const START: Duration = Duration::from_secs(1_795_608_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAYS: Duration = Duration::from_secs(400 * 86_400);
const OUTAGE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_608_000 + seconds).unwrap()
}

/// A receiver on a file whose machine's clock tests can set.
struct Bench {
    machine: FakeClock,
    clock: ReceiverClock,
    store: Arc<SqliteFleetStore>,
    marks: Marks,
    log: Log,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteFleetStore::new(directory.path().join("fleet.db")));
        store.migrate().await.unwrap();
        let machine = FakeClock::at(UNIX_EPOCH + START);
        let clock = ReceiverClock::of_machine(machine.clock(), false);
        let log = Log::collect();
        Self { machine, clock, store, marks: Marks::default(), log, _directory: directory }
    }

    /// Passes as many seconds, with a mark in each.
    async fn work(&mut self, seconds: u64) -> Result<(), StoreError> {
        for _ in 0..seconds {
            tokio::time::advance(TICK).await;
            self.marks.leave(&*self.store, &self.clock, OUTAGE).await?;
        }
        Ok(())
    }

    /// The receiver is started anew.
    fn restart(&mut self) {
        self.clock = ReceiverClock::of_machine(self.machine.clock(), false);
        self.marks = Marks::default();
    }

    async fn store_event(&self, number: u32) {
        self.store_event_at(number, self.clock.timestamp()).await;
    }

    async fn store_event_at(&self, number: u32, received_at: Timestamp) {
        let event = fixture::event(number, received_at);
        self.store.append(&[NewEvent { received_at, ..event }]).await.unwrap();
    }

    async fn first_seen(&self, number: u32) -> i64 {
        let instance = self.store.instance(fixture::instance_id(number)).await.unwrap().unwrap();
        instance.first_seen_at.duration_since(at(0)).as_secs()
    }

    fn now(&self) -> i64 {
        self.clock.timestamp().duration_since(at(0)).as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_for_a_while_leaves_nothing() {
    for seconds in [1, 4, 100] {
        let mut bench = Bench::new().await;
        bench.work(3).await.unwrap();
        bench.store_event(1).await;
        bench.machine.jump_forward(DAYS);
        bench.work(seconds).await.unwrap();
        assert_eq!(bench.marks.outages.len(), 1, "nobody is late for the time that was skipped");
        bench.store_event(2).await;
        bench.machine.jump_back(DAYS);
        bench.work(1).await.unwrap();
        assert_eq!(bench.marks.outages, []);
        assert_eq!((bench.first_seen(1).await, bench.first_seen(2).await), (3, 4 + seconds as i64));
        assert_eq!(bench.log.count("WARN"), 1, "{:?}", bench.log.lines());
        bench.work(60).await.unwrap();
        assert_eq!(bench.marks.outages, []);
        assert_eq!(bench.log.count("WARN"), 1, "{:?}", bench.log.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_clock_ahead_leaves_nothing_either() {
    let mut bench = Bench::new().await;
    bench.work(3).await.unwrap();
    bench.store_event(1).await;
    bench.restart();
    bench.machine.jump_forward(DAYS);
    bench.work(4).await.unwrap();
    bench.restart();
    bench.machine.jump_back(DAYS);
    bench.work(1).await.unwrap();
    assert_eq!(bench.marks.outages, []);
    let marked = bench.store.mark(bench.clock.reading(), OUTAGE).await.unwrap();
    assert_eq!((marked.standing, marked.mark), (Standing::Right, at(8)));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_for_a_while_changes_nothing() {
    for (by, seconds) in [(HOUR, 3), (HOUR, 3_000), (DAYS, 3)] {
        let mut bench = Bench::new().await;
        bench.store_event_at(1, at(-5_000_000)).await;
        bench.work(3).await.unwrap();
        bench.machine.jump_back(by);
        bench.work(1).await.unwrap();
        let before = bench.now();
        bench.work(seconds).await.unwrap();
        assert_eq!(bench.now(), before + seconds as i64, "it counts on from the mark");
        bench.store_event(2).await;
        bench.machine.jump_forward(by);
        bench.work(1).await.unwrap();
        assert_eq!((bench.marks.outages.len(), bench.first_seen(1).await), (0, -5_000_000));
        assert!((2..=5).contains(&(bench.now() - seconds as i64)), "{}", bench.now());
        assert_eq!(bench.log.count("WARN"), 2, "{:?}", bench.log.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_behind_is_believed_after_the_time_that_it_undoes() {
    let mut bench = Bench::new().await;
    bench.store_event(1).await;
    bench.work(600).await.unwrap();
    bench.machine.jump_back(HOUR);
    bench.work(590).await.unwrap();
    assert!(bench.now() > 1_000);
    bench.work(20).await.unwrap();
    assert_eq!(bench.now(), 1_210 - 3_600);
    assert!(bench.first_seen(1).await <= bench.now());
    assert_eq!(bench.marks.outages, []);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_began_with_a_clock_ahead_is_put_right() {
    let mut bench = Bench::new().await;
    bench.machine.jump_forward(DAYS);
    bench.work(3).await.unwrap();
    bench.machine.jump_back(DAYS);
    bench.work(1).await.unwrap();
    assert_eq!((bench.now(), bench.marks.outages.len()), (4, 0), "nothing was stored yet");

    bench.machine.jump_forward(DAYS);
    bench.restart();
    bench.work(1).await.unwrap();
    bench.store_event(1).await;
    bench.machine.jump_back(DAYS);
    bench.work(1).await.unwrap();
    assert_eq!(bench.first_seen(1).await, 6);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_not_set_writes_nothing_until_it_is() {
    let mut bench = Bench::new().await;
    bench.work(1).await.unwrap();
    bench.machine.jump_back(START);
    let error = bench.work(1).await.unwrap_err();
    assert!(error.to_string().contains("the receiver's clock is not set yet"), "{error}");
    assert_eq!(bench.clock.known().await, Err(NoTime::NotSet));
    bench.machine.jump_forward(START);
    bench.work(1).await.unwrap();
    assert_eq!((bench.now(), bench.marks.outages.len()), (3, 0));
    assert_eq!(bench.clock.known().await, Ok(at(3)));
}

#[actix_web::test]
async fn the_judge_waits_for_a_clock_that_is_set_and_says_so_once() {
    let bench = Bench::new().await;
    let later = bench.clock.timestamp() - SignedDuration::from_secs(1_000);
    bench.store.append(&[fixture::event(1, later)]).await.unwrap();
    bench.machine.jump_back(START);
    let judged = tokio::sync::watch::Sender::default();
    let metrics = Metrics::default();
    let judge =
        JudgeActor::new(bench.store.clone(), bench.clock.clone(), metrics, None, OUTAGE, |_, _| None, judged);
    let judge = judge.start();
    for _ in 0..3 {
        assert!(judge.send(JudgeDue).await.unwrap().is_err());
    }
    let id = fixture::instance_id(1);
    assert_eq!(bench.store.instance(id).await.unwrap().unwrap().judged_at, None);
    assert_eq!(bench.log.count("the receiver's clock is not set yet"), 1, "{:?}", bench.log.lines());
    bench.machine.jump_forward(START);
    judge.send(JudgeDue).await.unwrap().unwrap();
    assert_eq!(bench.store.instance(id).await.unwrap().unwrap().state, State::Up);
    assert_eq!(bench.log.count("judged again"), 1, "{:?}", bench.log.lines());

    // The time that a clock skips makes nobody late, however soon after a mark it is.
    for jump in [FakeClock::jump_forward, FakeClock::jump_back] {
        jump(&bench.machine, DAYS);
        bench.store_event(2).await;
        judge.send(JudgeDue).await.unwrap().unwrap();
        let instance = bench.store.instance(id).await.unwrap().unwrap();
        assert_eq!((instance.state, instance.losses.count), (State::Up, 0));
        assert_eq!(bench.store.transitions(id, 10).await.unwrap().len(), 1);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn of_two_receivers_on_one_database_the_wrong_one_harms_nothing() {
    use crate::receiver::judging::judgement;
    use crate::receiver::store::{Judging, PostgresFleetStore};

    let database = test_support::TestDatabase::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stores = [(); 2].map(|()| PostgresFleetStore::from_url(database.url()).unwrap());
        stores[0].migrate().await.unwrap();
        let began = stores[0].time().await.unwrap().unwrap();
        stores[0].make_room(began).await.unwrap();
        let right = FakeClock::at(began.into());
        let wrong = [
            UNIX_EPOCH,
            UNIX_EPOCH + START * 3,
            UNIX_EPOCH + Duration::from_secs(253_370_000_000),
            (began + SignedDuration::from_hours(400 * 24)).into(),
            (began - SignedDuration::from_hours(1)).into(),
        ];
        for (number, wrong) in (1..).zip(wrong) {
            let clocks = [right.clone(), FakeClock::at(wrong)];
            for (store, machine) in stores.iter().zip(clocks) {
                let clock = ReceiverClock::of_machine(machine.clock(), true);
                let mut marks = Marks::default();
                marks.leave(store, &clock, OUTAGE).await.unwrap();
                assert_eq!(marks.outages, []);
                let now = clock.known().await.unwrap();
                assert!((now.duration_since(began)).as_secs().abs() < 300, "{now} {began}");
                store.append(&[fixture::event(number, now)]).await.unwrap();
                let decide = |instance: &_, runs: &[_]| judgement::decide(instance, runs, &[], now);
                store.judge(now, 100, &decide).await.unwrap();
            }
        }
        let ended = stores[0].time().await.unwrap().unwrap();
        for instance in stores[0].instances(&Default::default(), Default::default(), None, 100).await.unwrap()
        {
            let times = [instance.first_seen_at, instance.last_seen_at, instance.judged_at.unwrap()];
            assert!(times.iter().all(|time| *time <= ended), "{instance:?}");
            assert_eq!(instance.state, State::Up);
        }
    });
}
