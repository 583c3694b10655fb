//! Leaving the mark, and what it tells of the clock: the part of a pass that comes before judging.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::receiver::clock::{NoTime, ReceiverClock};
use crate::receiver::store::{FleetStore, Marked, Outage, Reading, Standing, StoreError, within};

/// Time between two marks.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Time limit of one step of a pass.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(6);

/// Time limit of mending, which may look through all runs.
const MEND_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Shortest and longest time for which a clock that is behind the mark is not believed.
const DOUBT: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 60 * 60)];

/// Time after a mending at which the store is looked through again: a request may have waited with a time of before.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What this receiver knows from its marks.
#[derive(Clone, Default)]
pub(super) struct Marks {
    /// When the mark was last left, and the time that was judged by then.
    last: Option<(Instant, Timestamp)>,
    pub(super) outages: Vec<Outage>,
    /// When the store is to be looked through for times in the future; at once where it never was.
    mends: Option<Option<Instant>>,
    /// Since when the clock has been behind the mark, and how long it is not believed.
    behind: Option<(Instant, Duration)>,
}

impl Marks {
    /// Leaves the mark, unless that was just done and the clock did not jump since. Returns the time to judge by: no
    /// other than the mark knows of. Fails where nobody is to be judged.
    pub(super) async fn leave(
        &mut self,
        store: &dyn FleetStore,
        clock: &ReceiverClock,
        outage_after: Duration,
    ) -> Result<Timestamp, StoreError> {
        // News may come ten times a second; the mark is worth one a second.
        let (moment, now) = (clock.monotonic(), clock.timestamp());
        let is_same = |at: Timestamp| now >= at && now.duration_since(at).unsigned_abs() < TICK;
        if self.last.is_some_and(|(last, at)| moment.duration_since(last) < TICK && is_same(at)) {
            return Ok(now);
        }
        let (mut reading, mut marked) = mark(store, clock, outage_after).await?;
        if let Some(is_believed) = self.look(clock, outage_after, reading, &marked)? {
            self.mend(store, clock, outage_after, reading, is_believed).await?;
            (reading, marked) = mark(store, clock, outage_after).await?;
            self.look(clock, outage_after, reading, &marked)?;
        }
        let now = clock.time_of(&marked);
        self.outages = marked.outages;
        self.last = Some((clock.monotonic(), now));
        Ok(now)
    }

    /// Whether the store is to be mended, and then whether the clock is believed.
    fn look(
        &mut self,
        clock: &ReceiverClock,
        outage_after: Duration,
        reading: Reading,
        marked: &Marked,
    ) -> Result<Option<bool>, StoreError> {
        let now = clock.monotonic();
        match marked.standing {
            Standing::NotSet => Err(StoreError::Unavailable(NoTime::NotSet.to_string())),
            Standing::Ahead => Ok(Some(true)),
            Standing::Behind { .. } if reading.is_given => Ok(None),
            // Less than an outage: it harms nothing to be mended at once.
            Standing::Behind { .. }
                if marked.mark.duration_since(marked.at).unsigned_abs() <= outage_after =>
            {
                Ok(Some(true))
            }
            Standing::Behind { lived } => {
                let (since, doubt) = *self.behind.get_or_insert_with(|| {
                    let doubt = lived.clamp(DOUBT[0], DOUBT[1]);
                    tracing::warn!(
                        "[receiver] the clock shows {}, which is before the last mark, {}: until it is put right, time is counted on from the mark; after {doubt:.0?} the clock is believed",
                        marked.at,
                        marked.mark
                    );
                    (now, doubt)
                });
                Ok((now.duration_since(since) >= doubt).then_some(true))
            }
            Standing::Right => {
                if self.behind.take().is_some() {
                    tracing::warn!("[receiver] the clock is no longer behind the last mark; it counts again");
                }
                let looks = match self.mends {
                    None => true,
                    Some(at) => at.is_some_and(|at| now >= at),
                };
                Ok(looks.then_some(false))
            }
        }
    }

    /// Mends the store, and leaves marks meanwhile: it may take long, and is no outage.
    async fn mend(
        &mut self,
        store: &dyn FleetStore,
        clock: &ReceiverClock,
        outage_after: Duration,
        reading: Reading,
        is_believed: bool,
    ) -> Result<(), StoreError> {
        // By the clock, not by what was counted in place of it.
        let reading = Reading { counted: None, ..reading };
        let mending = within(MEND_LIMIT, store.mend(reading, outage_after, is_believed));
        tokio::pin!(mending);
        let count = loop {
            tokio::select! {
                mended = &mut mending => break mended?,
                () = tokio::time::sleep(TICK) => {
                    let _ = within(STEP_LIMIT, store.mark(clock.reading(), outage_after)).await;
                }
            }
        };
        self.behind = None;
        self.mends = Some(None);
        if count > 0 {
            self.mends = Some(Some(clock.monotonic() + LOOK_AGAIN));
            tracing::warn!(
                "[receiver] a clock was ahead: {count} rows with times in the future were put back, and what they are about is judged again"
            );
        }
        Ok(())
    }
}

async fn mark(
    store: &dyn FleetStore,
    clock: &ReceiverClock,
    outage_after: Duration,
) -> Result<(Reading, Marked), StoreError> {
    let reading = clock.reading();
    let marked = within(STEP_LIMIT, store.mark(reading, outage_after)).await?;
    clock.marked(reading, &marked);
    Ok((reading, marked))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use jiff::SignedDuration;

    use super::*;
    use crate::receiver::fixture;
    use crate::receiver::store::{Ingest, NewEvent, Outages, Queries, Schema, SqliteFleetStore, State};
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
        use actix::Actor;

        use crate::receiver::judging::judge::{JudgeActor, JudgeDue};
        use crate::receiver::metrics::Metrics;

        let bench = Bench::new().await;
        let later = bench.clock.timestamp() - SignedDuration::from_secs(1_000);
        bench.store.append(&[fixture::event(1, later)]).await.unwrap();
        bench.machine.jump_back(START);
        let judged = tokio::sync::watch::Sender::default();
        let metrics = Metrics::default();
        let judge = JudgeActor::new(
            bench.store.clone(),
            bench.clock.clone(),
            metrics,
            None,
            OUTAGE,
            |_, _| None,
            judged,
        );
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
            for instance in
                stores[0].instances(&Default::default(), Default::default(), None, 100).await.unwrap()
            {
                let times = [instance.first_seen_at, instance.last_seen_at, instance.judged_at.unwrap()];
                assert!(times.iter().all(|time| *time <= ended), "{instance:?}");
                assert_eq!(instance.state, State::Up);
            }
        });
    }
}
