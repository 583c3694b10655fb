//! The one clock of a receiver: every time that it stores, judges by or shows comes from here.
//!
//! On a database that has a clock of its own, that clock counts for all receivers: each mark brings its time, and between
//! two marks the receiver counts on by its monotonic clock. Elsewhere the clock of the machine counts. A clock that is
//! behind the mark is not believed at once: the receiver counts on from the mark. The clock of a simulation always counts.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::store::{Marked, Reading, SET_SINCE, Standing, TOLERANCE};
use crate::running::clock::Clock;

/// How long a request waits for the time where it is not known.
const WAIT: Duration = Duration::from_secs(4);

/// Difference between two answers of the database that may come from the way to it.
const JITTER: SignedDuration = SignedDuration::from_secs(1);

/// Whose clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Simulation,
    Machine,
    Database,
}

/// Clones share what is known of the time.
#[derive(Clone)]
pub(crate) struct ReceiverClock {
    clock: Clock,
    whose: Whose,
    known: watch::Sender<Known>,
}

/// What the last mark told of the time.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    anchor: Option<Anchor>,
    /// How far the machine's clock is ahead of the database's.
    difference: Option<SignedDuration>,
    /// The difference was logged.
    is_told: bool,
}

/// A moment on all clocks.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// The time that counts.
    at: Timestamp,
    machine: Timestamp,
    monotonic: Instant,
    /// The clock that counts is behind the mark, and not believed.
    is_behind: bool,
}

/// Why a time is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTime {
    #[error("the receiver's clock is not set yet: it shows a time before 2025")]
    NotSet,
    #[error("the store did not tell the time in time; the receiver's log may have the reason")]
    NotKnown,
}

impl ReceiverClock {
    fn of(clock: Clock, whose: Whose) -> Self {
        Self { clock, whose, known: watch::Sender::default() }
    }

    /// The clock of a simulation.
    pub(crate) fn of_simulation(clock: Clock) -> Self {
        Self::of(clock, Whose::Simulation)
    }

    /// The clock of a receiver: that of the database, where it has one, else the machine's.
    pub(crate) fn of_receiver(database_has_one: bool) -> Self {
        Self::of_machine(Clock::system(), database_has_one)
    }

    /// The same on a machine with this clock.
    pub(crate) fn of_machine(clock: Clock, database_has_one: bool) -> Self {
        Self::of(clock, if database_has_one { Whose::Database } else { Whose::Machine })
    }

    /// The time now, as well as it is known.
    pub(crate) fn timestamp(&self) -> Timestamp {
        let machine = self.clock.timestamp();
        let anchor = self.known.borrow().anchor;
        time(self.whose, anchor, machine, self.clock.monotonic())
    }

    /// The same.
    pub(crate) fn now(&self) -> SystemTime {
        self.timestamp().into()
    }

    pub(crate) fn monotonic(&self) -> Instant {
        self.clock.monotonic()
    }

    /// The clock for durations.
    pub(crate) fn inner(&self) -> Clock {
        self.clock.clone()
    }

    /// Whether a simulation gave the clock.
    pub(crate) fn is_given(&self) -> bool {
        self.whose == Whose::Simulation
    }

    /// The time now, if it can be relied on.
    fn certain(&self) -> Option<Timestamp> {
        let (machine, monotonic) = (self.clock.timestamp(), self.clock.monotonic());
        let anchor = self.known.borrow().anchor;
        is_certain(self.whose, anchor, machine, monotonic)
            .then(|| time(self.whose, anchor, machine, monotonic))
    }

    /// The time now. Where it is not known, or the machine's clock jumped since the last mark, waits for the next one.
    pub(crate) async fn known(&self) -> Result<Timestamp, NoTime> {
        let mut changes = self.known.subscribe();
        let certain = async {
            loop {
                changes.borrow_and_update();
                match self.certain() {
                    Some(now) => break now,
                    None if changes.changed().await.is_err() => std::future::pending().await,
                    None => {}
                }
            }
        };
        let now = match self.set_or_not() {
            Err(not_set) => return Err(not_set),
            Ok(()) => tokio::time::timeout(WAIT, certain).await.map_err(|_| NoTime::NotKnown)?,
        };
        self.set_or_not().map(|()| now)
    }

    /// Fails where the clock that counts is known not to be set.
    pub(crate) fn set_or_not(&self) -> Result<(), NoTime> {
        let anchor = self.known.borrow().anchor;
        let shown = match self.whose {
            Whose::Simulation => return Ok(()),
            Whose::Machine => Some(self.clock.timestamp()),
            Whose::Database => anchor.map(|anchor| anchor.at),
        };
        if shown.is_some_and(|shown| shown.as_second() < SET_SINCE) { Err(NoTime::NotSet) } else { Ok(()) }
    }

    /// What a mark is to be left by.
    pub(crate) fn reading(&self) -> Reading {
        let behind = self.known.borrow().anchor.filter(|anchor| anchor.is_behind);
        let counted = behind.map(|anchor| count(&anchor, self.clock.monotonic()));
        Reading { at: self.clock.timestamp(), is_given: self.is_given(), counted }
    }

    /// Takes up the time that the database answered at the start.
    pub(crate) fn learn(&self, at: Timestamp) {
        if self.whose == Whose::Database {
            let (machine, monotonic) = (self.clock.timestamp(), self.clock.monotonic());
            let anchor = Anchor { at, machine, monotonic, is_behind: false };
            self.known.send_modify(|known| known.anchor = Some(anchor));
        }
    }

    /// Takes up what the mark that was left by `reading` told.
    pub(crate) fn marked(&self, reading: Reading, marked: &Marked) {
        if self.is_given() {
            return;
        }
        let (machine, monotonic) = (self.clock.timestamp(), self.clock.monotonic());
        let is_behind = matches!(marked.standing, Standing::Behind { .. });
        let counted =
            self.known.borrow().anchor.map(|anchor| time(self.whose, Some(anchor), machine, monotonic));
        let at = match self.whose {
            _ if is_behind => counted.unwrap_or(marked.mark).max(marked.mark),
            Whose::Database => without_jitter(counted, marked.at),
            _ => machine,
        };
        let difference = (self.whose == Whose::Database).then(|| difference(marked.at, reading.at, machine));
        self.known.send_modify(|known| {
            // A jump while the mark was being left shows as one.
            known.anchor = Some(Anchor { at, machine: reading.at, monotonic, is_behind });
            known.difference = difference;
            let is_off = difference.is_some_and(|difference| difference.abs() > TOLERANCE);
            tell(difference.unwrap_or_default(), is_off, std::mem::replace(&mut known.is_told, is_off));
        });
    }

    /// The time now, by the clock that counts and `marked` knows.
    pub(crate) fn time_of(&self, marked: &Marked) -> Timestamp {
        let is_counted = self.known.borrow().anchor.is_some_and(|anchor| anchor.is_behind);
        if self.whose == Whose::Database || is_counted { self.timestamp() } else { marked.at }
    }

    /// How far the machine's clock is ahead of the database's; negative where it is behind.
    pub(crate) fn difference(&self) -> Option<SignedDuration> {
        self.known.borrow().difference
    }
}

/// Logs that the machine's clock differs, and that it no longer does.
fn tell(difference: SignedDuration, is_off: bool, was_told: bool) {
    match (is_off, was_told) {
        (true, false) => tracing::warn!(
            "[receiver] the clock of this machine is {:#} {} the database's, by which all receivers go; set it by NTP",
            difference.abs(),
            if difference.is_negative() { "behind" } else { "ahead of" }
        ),
        (false, true) => {
            tracing::warn!("[receiver] the clock of this machine agrees with the database's again")
        }
        _ => {}
    }
}

/// The time that counts.
fn time(whose: Whose, anchor: Option<Anchor>, machine: Timestamp, monotonic: Instant) -> Timestamp {
    match anchor {
        Some(anchor) if whose == Whose::Database || anchor.is_behind => count(&anchor, monotonic),
        _ => machine,
    }
}

/// The time that the monotonic clock shows, counted from the anchor.
fn count(anchor: &Anchor, monotonic: Instant) -> Timestamp {
    let passed = monotonic.saturating_duration_since(anchor.monotonic);
    anchor.at.saturating_add(SignedDuration::try_from(passed).unwrap_or_default()).unwrap_or(Timestamp::MAX)
}

/// Whether the machine's clock went on since the last mark as the monotonic clock did. If not, it was set, or the machine
/// slept: only the next mark knows the time.
fn is_certain(whose: Whose, anchor: Option<Anchor>, machine: Timestamp, monotonic: Instant) -> bool {
    if whose == Whose::Simulation {
        return true;
    }
    anchor.is_some_and(|anchor| {
        let passed = monotonic.saturating_duration_since(anchor.monotonic);
        let passed = SignedDuration::try_from(passed).unwrap_or_default();
        (machine.duration_since(anchor.machine) - passed).abs() <= TOLERANCE
    })
}

/// The database's time, or what was counted where that is ahead by as much as the way to the database explains: the time
/// does not go back for it.
fn without_jitter(counted: Option<Timestamp>, at: Timestamp) -> Timestamp {
    match counted {
        Some(counted) if counted > at && counted.duration_since(at) < JITTER => counted,
        _ => at,
    }
}

/// How far the machine's clock, which showed `asked` before the database answered `at` and `answered` after it, is ahead.
fn difference(at: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    if asked > at {
        asked.duration_since(at)
    } else if answered < at {
        answered.duration_since(at)
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::running::clock::fake::FakeClock;
    use crate::running::log::Log;

    const START: Duration = Duration::from_secs(1_795_608_000);
    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_608_000 + seconds).unwrap()
    }

    fn marked(at: Timestamp, mark: Timestamp, standing: Standing) -> Marked {
        Marked { at, mark, standing, outages: Vec::new() }
    }

    fn right(clock: &ReceiverClock, at: Timestamp) {
        clock.marked(clock.reading(), &marked(at, at, Standing::Right));
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    /// Seconds since the start of the tests.
    fn shown(clock: &ReceiverClock) -> i64 {
        clock.timestamp().duration_since(at(0)).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_databases_clock_counts_whatever_the_machines_shows() {
        let log = Log::collect();
        for wrong in [UNIX_EPOCH, UNIX_EPOCH + START + YEAR, UNIX_EPOCH + START - Duration::from_secs(3_600)]
        {
            let machine = FakeClock::at(wrong);
            let clock = ReceiverClock::of_machine(machine.clock(), true);
            right(&clock, at(0));
            pass(30).await;
            assert_eq!(shown(&clock), 30, "it counts on");
            machine.jump_forward(YEAR);
            assert_eq!(shown(&clock), 30);
            right(&clock, at(31));
            assert_eq!(clock.known().await, Ok(at(31)));
        }
        assert_eq!(log.count("WARN"), 3, "{:?}", log.lines());
    }

    #[tokio::test(start_paused = true)]
    async fn a_difference_is_told_once_and_once_that_it_is_over() {
        let log = Log::collect();
        let machine = FakeClock::at(UNIX_EPOCH + START);
        let clock = ReceiverClock::of_machine(machine.clock(), true);
        let differences: Vec<i64> = [0_i64, 4, 6, 3_600, -3_600, 5, 0, -6]
            .iter()
            .map(|ahead| {
                right(&clock, at(-ahead));
                clock.difference().unwrap().as_secs()
            })
            .collect();
        assert_eq!(differences, [0, 4, 6, 3_600, -3_600, 5, 0, -6]);
        assert_eq!((log.count("WARN"), log.count("agrees")), (3, 1), "{:?}", log.lines());
        assert_eq!(log.count("is 6s ahead of the database's"), 1, "{:?}", log.lines());
        assert_eq!(ReceiverClock::of_receiver(false).difference(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_way_to_the_database_does_not_turn_time_back() {
        let machine = FakeClock::at(UNIX_EPOCH + START);
        let clock = ReceiverClock::of_machine(machine.clock(), true);
        right(&clock, at(100));
        pass(1).await;
        right(&clock, at(101) - SignedDuration::from_millis(900));
        assert_eq!(clock.timestamp(), at(101));
        right(&clock, at(95));
        assert_eq!(clock.timestamp(), at(95), "the database's clock was put back");
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_other_the_machines_clock_counts_unless_it_is_behind_the_mark() {
        let machine = FakeClock::at(UNIX_EPOCH + START);
        let clock = ReceiverClock::of_machine(machine.clock(), false);
        right(&clock, at(0));
        machine.jump_back(Duration::from_secs(3_600));
        let behind = Standing::Behind { lived: Duration::from_secs(3_600) };
        clock.marked(clock.reading(), &marked(at(-3_600), at(0), behind));
        pass(10).await;
        assert_eq!(shown(&clock), 10);
        let reading = clock.reading();
        assert_eq!((reading.at, reading.counted), (at(-3_590), Some(at(10))));
        clock.marked(reading, &marked(at(-3_590), at(10), behind));
        pass(10).await;
        assert_eq!(shown(&clock), 20);
        machine.jump_forward(Duration::from_secs(3_700));
        right(&clock, at(120));
        assert_eq!((shown(&clock), clock.reading().counted), (120, None));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_jump_the_time_is_not_known_until_the_next_mark() {
        for database_has_one in [false, true] {
            let machine = FakeClock::at(UNIX_EPOCH + START);
            let clock = ReceiverClock::of_machine(machine.clock(), database_has_one);
            assert_eq!(clock.known().await, Err(NoTime::NotKnown), "before the first mark");
            right(&clock, clock.timestamp());
            assert_eq!(clock.known().await, Ok(clock.timestamp()));
            for jump in [FakeClock::jump_forward, FakeClock::jump_back] {
                jump(&machine, YEAR);
                assert_eq!(clock.known().await, Err(NoTime::NotKnown));
                let (asked, marks) = (clock.clone(), clock.clone());
                let waits = tokio::spawn(async move { asked.known().await });
                pass(1).await;
                right(&marks, marks.timestamp());
                assert_eq!(waits.await.unwrap(), Ok(marks.timestamp()));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_before_2025_is_not_set_and_one_that_is_set_later_counts() {
        let machine = FakeClock::at(UNIX_EPOCH);
        let clock = ReceiverClock::of_machine(machine.clock(), false);
        assert_eq!(clock.known().await, Err(NoTime::NotSet));
        machine.jump_forward(START);
        right(&clock, clock.timestamp());
        assert_eq!(clock.known().await, Ok(clock.timestamp()));
        machine.jump_back(START);
        assert_eq!(clock.known().await, Err(NoTime::NotSet));

        let database = ReceiverClock::of_machine(machine.clock(), true);
        database.learn(Timestamp::UNIX_EPOCH);
        assert_eq!(database.set_or_not(), Err(NoTime::NotSet));
        database.learn(at(0));
        assert_eq!(database.known().await, Ok(at(0)));
        let given = ReceiverClock::of_simulation(machine.clock());
        assert_eq!(given.known().await, Ok(given.timestamp()), "a simulation may be in any year");
    }
}
