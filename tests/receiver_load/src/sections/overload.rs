//! Twice the load that the receiver can take, and a database that does not answer: memory must stay bounded, everything that
//! cannot be taken must be answered with `503`, and afterwards the receiver must work as before.

use std::time::{Duration, Instant};

use test_support::TestCluster;

use crate::fleet::Fleet;
use crate::procfs::{Memory, MemoryWatch, mib};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Samples, grouped, millis, rate};
use crate::stored::Stored;
use crate::traffic::{Pace, Stream, Tally};
use crate::wire::Wire;
use crate::{Context, Outcome};

/// Number of connections, larger than the number of events that the receiver lets wait; in a reduced run few enough for
/// any limit of open files.
fn connections(context: &Context) -> usize {
    context.times(10_000, 1_000)
}

/// Growth of memory that is allowed at its bound, in KiB. The buffers of the connections vary by more than half of it;
/// refused events would take more than a GiB if they were kept.
const MOST_GROWTH: u64 = 128 * 1024;

/// Time after which a sender gives up.
const MOST_P99: Duration = Duration::from_secs(5);

/// Time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Maximum time from the end of the trouble until an event is taken again.
const MOST_RECOVERY: Duration = Duration::from_secs(10);

/// Minimum rate afterwards, as a part of the rate before.
const LEAST_AFTERWARDS: f64 = 0.6;

/// Events per second while the database does not answer.
const RATE_WHILE_PAUSED: f64 = 2_000.0;

/// Measures both troubles.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let mut cluster = TestCluster::start_durable();
    let url = cluster.url("postgres");
    let mut receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    let fleet = Fleet::new(context.instances(), context.seed, receiver.address(), &receiver.webhook);
    let mut sent = 0;
    let mut trial = Trial { context, receiver: &receiver, fleet: &fleet, sent: &mut sent, taken: 0 };
    let head = [
        "what",
        "due a second",
        "200",
        "503",
        "other",
        "no answer",
        "never sent",
        "200: a second",
        "p99 ms",
        "503: p99 ms",
        "MiB first",
        "MiB last",
        "MiB peak",
    ];
    report.begin(&format!("Too much, over {} connections", connections(context)), &head);

    trial.begins()?;
    trial.twice_the_load(report)?;
    cluster.pause();
    let (mut paused, memory) = trial.while_paused()?;
    cluster.resume();
    promise_p99(report, "a database that does not answer: p99 of 503", &mut paused.refused_took);
    judge(report, "a database that does not answer", &paused, &memory, false);
    row(report, "PostgreSQL paused", Some(RATE_WHILE_PAUSED), trial.paused_window(), paused, &memory);
    let recovery = trial.recovers()?;
    promise_recovery(report, "a database that does not answer", recovery);

    let taken = trial.taken;
    let is_alive = receiver.is_alive();
    let measured = if is_alive { "it does" } else { "it died" };
    report.promise("the receiver lives", "all the time", measured, is_alive);
    receiver.stop()?;
    judge_stored(report, &Stored::of(&Store::Postgres(url), &fleet)?, taken);
    Ok(())
}

/// Judges the events in the database.
fn judge_stored(report: &mut Report, stored: &Stored, taken: u64) {
    let limit = "no fewer than were answered 200, none twice, none that was not sent";
    let measured = format!(
        "{} for {}, {} twice, {} foreign",
        grouped(stored.count()),
        grouped(taken),
        stored.twice,
        stored.foreign
    );
    report.promise(
        "stored events",
        limit,
        measured,
        stored.count() >= taken && stored.twice + stored.foreign == 0,
    );
}

struct Trial<'a> {
    context: &'a Context,
    receiver: &'a Receiver,
    fleet: &'a Fleet,
    sent: &'a mut u64,
    /// Number of events answered with 200.
    taken: u64,
}

impl Trial<'_> {
    /// Sends the first event of each instance, which is more work for the receiver than any other.
    fn begins(&mut self) -> Outcome<()> {
        let mut stream = Stream::begins(self.fleet, self.sent);
        let wire = Wire {
            address: self.receiver.address(),
            connections: connections(self.context),
            patience: PATIENCE,
        };
        wire.run(&mut stream).map_err(|error| error.to_string())?;
        self.taken += stream.tally.count(200);
        Ok(())
    }

    /// Measures the receiver at its limit, at twice the load, and afterwards.
    fn twice_the_load(&mut self, report: &mut Report) -> Outcome<()> {
        // Long enough that every connection has all its buffers.
        let window = self.context.time(40, 5);
        let (before, memory) = self.send(Pace::Closed, connections(self.context), window)?;
        let capacity = before.took.count() as f64 / window.as_secs_f64();
        if capacity == 0.0 {
            return Err(format!("nothing was taken within {} s", window.as_secs()));
        }
        row(report, "as much as it takes", None, window, before, &memory);

        let window = self.context.time(45, 3);
        let (mut during, memory) =
            self.send(Pace::Flood(2.0 * capacity), connections(self.context), window)?;
        promise_p99(report, "twice the load it can take: p99 of 200", &mut during.took);
        promise_p99(report, "twice the load it can take: p99 of 503", &mut during.refused_took);
        judge(report, "twice the load it can take", &during, &memory, true);
        row(report, "twice as much", Some(2.0 * capacity), window, during, &memory);

        let recovery = self.recovers()?;
        promise_recovery(report, "twice the load it can take", recovery);
        let window = self.context.time(8, 1);
        let (after, memory) = self.send(Pace::Closed, connections(self.context), window)?;
        let again = after.took.count() as f64 / window.as_secs_f64();
        row(report, "afterwards, as much as it takes", None, window, after, &memory);
        let measured = format!("{} of {}", rate(again), rate(capacity));
        let limit = format!("at least {LEAST_AFTERWARDS} of the rate before");
        report.figure(
            "after twice the load: its rate",
            limit,
            measured,
            again >= LEAST_AFTERWARDS * capacity,
        );
        Ok(())
    }

    fn paused_window(&self) -> Duration {
        self.context.time(20, 3)
    }

    /// Sends while the database does not answer.
    fn while_paused(&mut self) -> Outcome<(Tally, Memory)> {
        self.send(Pace::Flood(RATE_WHILE_PAUSED), connections(self.context), self.paused_window())
    }

    fn send(&mut self, pace: Pace, connections: usize, window: Duration) -> Outcome<(Tally, Memory)> {
        let watch = MemoryWatch::start(self.receiver.process_id());
        let mut stream = Stream::new(self.fleet, self.sent, pace, Duration::ZERO, window);
        let wire = Wire { address: self.receiver.address(), connections, patience: PATIENCE };
        let done = wire.run(&mut stream).map_err(|error| error.to_string());
        let tally = stream.tally;
        self.taken += tally.count(200);
        let memory = watch.stop();
        done.map(|()| (tally, memory))
    }

    /// Time until an event is taken.
    fn recovers(&mut self) -> Outcome<Duration> {
        let began = Instant::now();
        while began.elapsed() < 6 * MOST_RECOVERY {
            let (tally, _) = self.send(Pace::Open(100.0), 4, Duration::from_millis(20))?;
            if tally.count(200) > 0 {
                return Ok(began.elapsed());
            }
        }
        Err("no event is taken any more".to_owned())
    }
}

fn promise_p99(report: &mut Report, what: &str, samples: &mut Samples) {
    let p99 = samples.spread().map(|spread| spread.p99);
    let limit = format!("under {} ms", millis(MOST_P99));
    let measured =
        p99.map_or_else(|| "nothing was answered so".to_owned(), |p99| format!("{} ms", millis(p99)));
    report.figure(what, limit, measured, p99.is_none_or(|p99| p99 < MOST_P99));
}

fn promise_recovery(report: &mut Report, trouble: &str, recovery: Duration) {
    let limit = format!("within {} s", MOST_RECOVERY.as_secs());
    let measured = format!("{} ms", millis(recovery));
    report.figure(&format!("after {trouble}: an event is taken"), limit, measured, recovery <= MOST_RECOVERY);
}

fn judge(report: &mut Report, trouble: &str, tally: &Tally, memory: &Memory, takes_some: bool) {
    let (taken, refused) = (tally.count(200), tally.count(503));
    let others = tally.others(&[200, 503]) + tally.unanswered;
    let is_kept = others == 0 && tally.without_retry_after == 0 && (taken > 0) == takes_some;
    let limit = match takes_some {
        true => "200, or 503 with Retry-After",
        false => "503 with Retry-After",
    };
    let measured = format!(
        "{} times 200, {} times 503, {} without Retry-After, {} other or none",
        grouped(taken),
        grouped(refused),
        tally.without_retry_after,
        others
    );
    report.promise(&format!("{trouble}: answers"), limit, measured, is_kept);
    let (first, last) = memory.first_and_last();
    let limit = format!("grows by less than {} MiB from the first third to the last", MOST_GROWTH / 1024);
    let measured = format!("{} MiB, then {} MiB", mib(first), mib(last));
    report.figure(&format!("{trouble}: memory"), limit, measured, last < first + MOST_GROWTH);
}

fn row(
    report: &mut Report,
    what: &str,
    due: Option<f64>,
    window: Duration,
    mut tally: Tally,
    memory: &Memory,
) {
    let p99 =
        |spread: Option<crate::samples::Spread>| spread.map_or(String::new(), |spread| millis(spread.p99));
    let (first, last) = memory.first_and_last();
    report.row(&[
        what.to_owned(),
        due.map_or(String::new(), rate),
        grouped(tally.count(200)),
        grouped(tally.count(503)),
        grouped(tally.others(&[200, 503])),
        grouped(tally.unanswered),
        grouped(tally.unsent),
        rate(tally.took.count() as f64 / window.as_secs_f64()),
        p99(tally.took.spread()),
        p99(tally.refused_took.spread()),
        mib(first),
        mib(last),
        mib(memory.peak()),
    ]);
}
