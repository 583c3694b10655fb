//! Receiver and database killed at random under load: every event answered with 200 must be stored, and none twice.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use test_support::{TestCluster, becomes_true};

use crate::fleet::{Event, Fleet};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{grouped, millis};
use crate::stored::Stored;
use crate::wire::{Answer, Traffic, Turn, Wire};
use crate::{Context, Outcome};

const INSTANCES: u32 = 1_000;
const CONNECTIONS: usize = 64;

/// Time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum time until every event was answered with 200, once nothing is killed any more.
const LONGEST_END: Duration = Duration::from_secs(10 * 60);

/// Minimum number of events taken between a restart and the next kill.
const BETWEEN_KILLS: u64 = 200;

/// Maximum time of load before a kill.
const LONGEST_LOAD: Duration = Duration::from_millis(1_500);

/// Maximum time between a kill and the restart.
const LONGEST_ABSENCE: Duration = Duration::from_millis(500);

/// Maximum time from the restart until events are taken again.
const MOST_RECOVERY: Duration = Duration::from_secs(60);

/// A database that can be killed.
enum Server {
    Own(Box<TestCluster>),
    /// One of several nodes, by a program.
    Given(PathBuf),
}

impl Server {
    fn kill(&mut self, random: &mut fastrand::Rng) -> Outcome<()> {
        match self {
            Self::Own(cluster) if random.bool() => cluster.kill(),
            Self::Own(cluster) => cluster.stop_at_once(),
            Self::Given(program) => return call(program, "kill"),
        }
        Ok(())
    }

    fn start_again(&mut self) -> Outcome<()> {
        match self {
            Self::Own(cluster) => cluster.start_again(),
            Self::Given(program) => return call(program, "start"),
        }
        Ok(())
    }
}

fn call(program: &Path, argument: &str) -> Outcome<()> {
    let status = Command::new(program).arg(argument).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{} {argument}: {other:?}", program.display())),
    }
}

/// Kills the receiver and its PostgreSQL, then a receiver on SQLite; or the receiver and the nodes of the database that is
/// given.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let head = [
        "store",
        "kills of the receiver",
        "of the database",
        "of both",
        "sent",
        "answered 200",
        "503",
        "no answer",
        "sent again",
        "stored",
        "lost",
        "stored twice",
        "longest recovery ms",
    ];
    report.begin("Killed under load", &head);
    if let (Some(url), Some(harm)) = (&context.database, &context.harm) {
        let server = Server::Given(harm.clone());
        let store = Store::Postgres(url.clone());
        return trial(context, report, "distributed", store, Some(server), context.times(20, 3));
    }
    let cluster = TestCluster::start_durable();
    let store = Store::Postgres(cluster.url("postgres"));
    let server = Server::Own(Box::new(cluster));
    trial(context, report, "PostgreSQL", store, Some(server), context.times(50, 3))?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    trial(context, report, "SQLite", Store::Sqlite(folder.path().to_owned()), None, context.times(50, 3))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Victim {
    Receiver,
    Database,
    Both,
}

/// What the two threads of a trial share.
#[derive(Default)]
struct Signals {
    /// Number of events answered with 200 so far.
    taken: AtomicU64,
    /// Whether only events without an answer are still to be sent.
    is_ending: AtomicBool,
}

/// Number of kills by victim, and the longest recovery.
#[derive(Default)]
struct Harm {
    victims: HashMap<Victim, usize>,
    longest_recovery: Duration,
}

fn trial(
    context: &Context,
    report: &mut Report,
    name: &str,
    store: Store,
    mut server: Option<Server>,
    rounds: usize,
) -> Outcome<()> {
    let mut receiver = Receiver::start(&context.program()?, store.clone())?;
    let address = receiver.address();
    let fleet = Fleet::new(INSTANCES, context.seed, address, &receiver.webhook);
    let signals = Signals::default();
    let mut random = fastrand::Rng::with_seed(context.seed);
    let mut load = Load::new(&fleet, &signals, random.fork());
    let harmed = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let wire = Wire { address, connections: CONNECTIONS, patience: PATIENCE };
            wire.run(&mut load).map_err(|error| error.to_string())
        });
        let harmed = harm_all(&mut receiver, server.as_mut(), rounds, &signals, &mut random);
        signals.is_ending.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| "the load panicked".to_owned())??;
        harmed
    });
    let harm = harmed.map_err(|error| format!("{name}: {error}; the receiver: {}", receiver.last_lines()))?;
    receiver.stop()?;
    let stored = Stored::of(&store, &fleet)?;
    judge(report, name, &harm, &load, &stored);
    Ok(())
}

/// Adds the row of a trial, and whether its promises are kept.
fn judge(report: &mut Report, name: &str, harm: &Harm, load: &Load, stored: &Stored) {
    let rounds: usize = harm.victims.values().sum();
    let lost: Vec<_> = load.taken.iter().filter(|event| !stored.has(**event)).collect();
    let count = |victim| harm.victims.get(&victim).copied().unwrap_or_default().to_string();
    report.row(&[
        name.to_owned(),
        count(Victim::Receiver),
        count(Victim::Database),
        count(Victim::Both),
        grouped(load.sent.into()),
        grouped(load.taken.len() as u64),
        grouped(load.refused),
        grouped(load.unanswered),
        grouped(load.repetitions),
        grouped(stored.count()),
        lost.len().to_string(),
        stored.twice.to_string(),
        millis(harm.longest_recovery),
    ]);
    let example = lost.first().map_or(String::new(), |event| format!(", such as {event:?}"));
    let of = grouped(load.taken.len() as u64);
    report.promise(
        &format!("{name}, {rounds} kills: lost events among those answered 200"),
        0,
        format!("{} of {of}{example}", lost.len()),
        lost.is_empty(),
    );
    report.promise(&format!("{name}, {rounds} kills: stored twice"), 0, stored.twice, stored.twice == 0);
    let others = load.others.len();
    let is_clean = stored.foreign == 0 && load.others.is_empty() && stored.count() == u64::from(load.sent);
    let measured = format!(
        "{} of {}, {} that nobody sent, {others} other answers {:?}",
        grouped(stored.count()),
        grouped(load.sent.into()),
        stored.foreign,
        load.others.iter().take(3).collect::<Vec<_>>()
    );
    report.promise(
        &format!("{name}, {rounds} kills: stored in the end"),
        "each that was sent, nothing else",
        measured,
        is_clean,
    );
}

/// Kills at random in each round.
fn harm_all(
    receiver: &mut Receiver,
    mut server: Option<&mut Server>,
    rounds: usize,
    signals: &Signals,
    random: &mut fastrand::Rng,
) -> Outcome<Harm> {
    let mut harm = Harm::default();
    for round in 1..=rounds {
        let victim = match server {
            Some(_) => random.choice([Victim::Receiver, Victim::Database, Victim::Both]).expect("not empty"),
            None => Victim::Receiver,
        };
        *harm.victims.entry(victim).or_default() += 1;
        let recovery = harm_once(receiver, server.as_deref_mut(), victim, signals, random)
            .map_err(|error| format!("round {round}, {victim:?}: {error}"))?;
        harm.longest_recovery = harm.longest_recovery.max(recovery);
        if round.is_multiple_of(10) {
            eprintln!("  {round} of {rounds}, {} events taken", signals.taken.load(Ordering::Relaxed));
        }
    }
    Ok(harm)
}

/// Waits for load, kills, starts again, and waits until events are taken. Returns the time from the restart until then.
fn harm_once(
    receiver: &mut Receiver,
    mut server: Option<&mut Server>,
    victim: Victim,
    signals: &Signals,
    random: &mut fastrand::Rng,
) -> Outcome<Duration> {
    let taken = || signals.taken.load(Ordering::Relaxed);
    let before = taken();
    if !becomes_true(MOST_RECOVERY, || taken() >= before + BETWEEN_KILLS) {
        return Err(format!("no load: {} events in {} s", taken() - before, MOST_RECOVERY.as_secs()));
    }
    thread::sleep(LONGEST_LOAD.mul_f64(random.f64()));
    let kills_receiver_first = random.bool();
    if victim == Victim::Receiver || (victim == Victim::Both && kills_receiver_first) {
        receiver.kill();
    }
    if let Some(server) = server.as_deref_mut()
        && victim != Victim::Receiver
    {
        server.kill(random)?;
    }
    if victim == Victim::Both && !kills_receiver_first {
        receiver.kill();
    }
    thread::sleep(LONGEST_ABSENCE.mul_f64(random.f64()));
    let starts_receiver_first = random.bool();
    if victim == Victim::Receiver || (victim == Victim::Both && starts_receiver_first) {
        receiver.start_again();
    }
    if let Some(server) = server
        && victim != Victim::Receiver
    {
        server.start_again()?;
    }
    if victim == Victim::Both && !starts_receiver_first {
        receiver.start_again();
    }
    let (began, before) = (Instant::now(), taken());
    if !becomes_true(MOST_RECOVERY, || taken() > before) {
        return Err(format!("no event is taken within {} s", MOST_RECOVERY.as_secs()));
    }
    if !receiver.is_alive() {
        return Err("the receiver died".to_owned());
    }
    Ok(began.elapsed())
}

/// Events as fast as the receiver takes them. Each is sent until it is answered with 200, and some are sent twice.
struct Load<'a> {
    fleet: &'a Fleet,
    signals: &'a Signals,
    random: fastrand::Rng,
    /// Number of different events so far.
    sent: u32,
    repetitions: u64,
    refused: u64,
    unanswered: u64,
    others: Vec<u16>,
    taken: HashSet<Event>,
    /// Events to be sent again.
    again: Vec<Event>,
    /// An event that was taken and is sent again all the same.
    remembered: Option<Event>,
    /// End of the attempts to get an answer to every event.
    gives_up_at: Option<Instant>,
}

impl<'a> Load<'a> {
    fn new(fleet: &'a Fleet, signals: &'a Signals, random: fastrand::Rng) -> Self {
        Self {
            fleet,
            signals,
            random,
            sent: 0,
            repetitions: 0,
            refused: 0,
            unanswered: 0,
            others: Vec::new(),
            taken: HashSet::new(),
            again: Vec::new(),
            remembered: None,
            gives_up_at: None,
        }
    }

    fn choose(&mut self, is_ending: bool) -> Option<Event> {
        let repeats = is_ending || self.random.bool();
        if repeats && !self.again.is_empty() {
            self.repetitions += 1;
            let index = self.random.usize(..self.again.len());
            return Some(self.again.swap_remove(index));
        }
        if is_ending {
            return None;
        }
        if self.random.u32(..50) == 0
            && let Some(event) = self.remembered
        {
            self.repetitions += 1;
            return Some(event);
        }
        let event = Event { instance: self.sent % INSTANCES, sequence: self.sent / INSTANCES + 1 };
        self.sent += 1;
        if self.random.u32(..50) == 0 {
            self.again.push(event);
        }
        Some(event)
    }

    /// Sends an event again; sometimes also one that was taken, since it may be on its way twice.
    fn send_again(&mut self, event: Event) {
        if !self.taken.contains(&event) || self.random.bool() {
            self.again.push(event);
        }
    }
}

impl Traffic for Load<'_> {
    type Event = Event;

    fn next(&mut self, now: Instant, out: &mut Vec<u8>) -> Turn<Event> {
        let is_ending = self.signals.is_ending.load(Ordering::Relaxed);
        if is_ending && now > *self.gives_up_at.get_or_insert(now + LONGEST_END) {
            return Turn::Over;
        }
        let Some(event) = self.choose(is_ending) else { return Turn::Over };
        self.fleet.write(event, out);
        Turn::Send(event, now)
    }

    fn answered(&mut self, event: Event, answer: Answer, _: Duration) {
        match answer.status {
            200 => {
                if self.taken.insert(event) {
                    self.signals.taken.fetch_add(1, Ordering::Relaxed);
                }
                if self.random.u32(..10) == 0 {
                    self.remembered = Some(event);
                }
            }
            503 => {
                self.refused += 1;
                self.send_again(event);
            }
            other => self.others.push(other),
        }
    }

    fn unanswered(&mut self, event: Event) {
        self.unanswered += 1;
        self.send_again(event);
    }
}
