//! Thirty simulated days with every fault, each for an hour of every day. No day leaves more memory in use, or
//! higher counts, than the day before. The operator's destination is a file, the vendor's a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::rc::Rc;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::fakes::{self, FakeStore, FakeTransport, Fault, settle};
use crate::outgoing::request::Request;
use crate::outgoing::{Answer, Answering, Transport, file};
use crate::running::clock::fake::{FakeClock, start_of_tests};
use crate::sender::config::{Config, ConfigSource, Vendor};
use crate::sender::heartbeat::ONE_MINUTE;
use crate::sender::license_watcher::{Channel, LicenseInbox};
use crate::sender::state::AnyStateStore;
use crate::sender::status::{Health, Status};
use crate::sender::supervisor::{self, Setup, Started};
use crate::sender::watchdog::Command;
use crate::sender::watchdog::Signal;
use crate::wire::license::License;

const DAYS: u32 = 30;
/// Maximum growth of memory from the first day to the last.
const MOST_GROWTH_KIB: i64 = 1024;

/// Number of days in which caches and allocator arenas still fill.
const WARM_UP: usize = 10;

/// Maximum growth of memory after the warm-up.
const MOST_GROWTH_AFTER_KIB: i64 = 256;

/// Fault that lasts for an hour.
#[derive(Clone, Copy, Debug)]
enum HourlyFault {
    Nothing,
    Network(Fault),
    Status(u16),
    Slow,
    Store(Fault),
    /// The directory of the file is gone.
    Disk,
    Clock,
}

/// Hours of a day. Each fault is followed by an hour without one.
const HOURS: [HourlyFault; 24] = {
    use HourlyFault::*;
    [
        Network(Fault::Fail),
        Nothing,
        Network(Fault::Hang),
        Nothing,
        Network(Fault::Panic),
        Nothing,
        Status(503),
        Nothing,
        Status(307),
        Nothing,
        Slow,
        Nothing,
        Store(Fault::Fail),
        Nothing,
        Store(Fault::Hang),
        Nothing,
        Store(Fault::Panic),
        Nothing,
        Clock,
        Nothing,
        Slow,
        Nothing,
        Disk,
        Nothing,
    ]
};

/// Counts of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Day {
    sent: u64,
    failed: u64,
    dropped: u64,
    panics: u64,
    requests: usize,
    readings_of_the_store: usize,
    /// At the end of the day, as are the fields below.
    attempts: usize,
    waiting: usize,
    threads: usize,
}

/// Size up to which the file grows, which some hours suffice for.
const LARGEST_FILE: u64 = 16 * 1024;

/// A file destination that writes at once: a thread that does so in real time would be late in simulated time.
struct AppendingTransport(PathBuf);

impl Transport for AppendingTransport {
    fn send(&self, request: Request, _: Duration) -> Answering {
        let appended = file::append(&self.0, &file::line(&request), LARGEST_FILE);
        Box::pin(std::future::ready(appended.map(|()| Answer { status: 200, date: None })))
    }
}

struct World {
    folder: tempfile::TempDir,
    network: FakeTransport,
    store: FakeStore,
    clock: FakeClock,
    inbox: Arc<LicenseInbox>,
    started: Started,
    alive: blocking::Receiver<Signal>,
}

impl World {
    async fn new() -> Self {
        let clock = FakeClock::at(start_of_tests());
        // The id is fixed, and so is the phase: with a slot at the turn of an hour, a day could have one update more
        // than another.
        let (network, store) = (FakeTransport::new(), FakeStore::new(Some(&format!("\"{}\"", fakes::ID))));
        let inbox = Arc::new(LicenseInbox::default());
        inbox.put(License::none(), Channel::Handle);
        let folder = tempfile::tempdir().unwrap();
        let file = file_in(&folder);
        fs::create_dir(file.parent().unwrap()).unwrap();
        let run = fakes::run();
        let vendor = Vendor::new("http://vendor.example/telemetry");
        let parts = Setup {
            product: run.product,
            build: run.build,
            config: ConfigSource { given: Some(config(&file)), defaults: Config::default() },
            vendor: Some(vendor),
            store: AnyStateStore::new(store.clone()),
            inbox: inbox.clone(),
            run_id: run.id,
            clock: clock.clock(),
        };
        let (signals, alive) = blocking::channel();
        let (start, started) = blocking::channel();
        let to = network.clone();
        actix_rt::spawn(supervisor::run(
            parts,
            move |destination| match destination.target.endpoint.file_path() {
                Some(path) => Rc::new(AppendingTransport(path)) as Rc<dyn Transport>,
                None => Rc::new(to.clone()),
            },
            start,
            signals,
        ));
        settle().await;
        let started =
            started.try_recv().expect("the settings are checked at once").expect("the settings are valid");
        Self { folder, network, store, clock, inbox, started, alive }
    }

    fn inflict(&self, fault: HourlyFault) {
        self.network.fault.set(Fault::None);
        self.network.status.set(200);
        self.network.takes.set(Duration::ZERO);
        self.store.set(Fault::None);
        let _ = fs::create_dir(file_in(&self.folder).parent().unwrap());
        match fault {
            HourlyFault::Nothing => {}
            HourlyFault::Network(fault) => self.network.fault.set(fault),
            HourlyFault::Status(status) => self.network.status.set(status),
            HourlyFault::Slow => self.network.takes.set(Duration::from_secs(4)),
            HourlyFault::Store(fault) => self.store.set(fault),
            HourlyFault::Disk => fs::remove_dir_all(file_in(&self.folder).parent().unwrap()).unwrap(),
            HourlyFault::Clock => self.clock.panic_next(3),
        }
    }

    fn change_license(&self, valid: bool) {
        self.inbox.put(License::new(Some("a key".into()), valid), Channel::Handle);
        self.inbox.ring();
    }

    fn send_now(&self) {
        let (answer, _) = oneshot::channel();
        self.started.send_now.try_send(answer).expect("no other call waits");
    }

    async fn live_a_day(&self) -> Day {
        let before = self.started.board.read();
        for (hour, fault) in HOURS.into_iter().enumerate() {
            self.inflict(fault);
            for minute in 0..60 {
                match minute {
                    20 => self.change_license(hour % 2 == 0),
                    40 => self.send_now(),
                    _ => {}
                }
                let _ = self.started.commands.send(Command::Beat);
                sleep(ONE_MINUTE).await;
                assert_eq!(self.alive.try_recv(), Ok(Signal::Alive), "each beat is answered");
            }
        }
        let after = self.started.board.read();
        assert_eq!(after.health, Health::Running);
        let added = |count: fn(&Status) -> u64| count(&after) - count(&before);
        Day {
            sent: added(|status| status.destinations.iter().map(|to| to.sent).sum()),
            failed: added(|status| status.destinations.iter().map(|to| to.failed).sum()),
            dropped: added(|status| status.destinations.iter().map(|to| to.dropped).sum()),
            panics: added(|status| status.panics),
            requests: self.network.requests.take().len(),
            readings_of_the_store: std::mem::take(&mut *self.store.reads.lock().unwrap()).len(),
            attempts: after.destinations.iter().map(|to| to.attempts.len()).sum(),
            waiting: after.destinations.iter().map(|to| to.waiting).sum(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
        }
    }
}

fn file_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("telemetry/events.jsonl")
}

/// Number of lines of a file, each of which is JSON.
fn lines_of(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.len() as u64 <= LARGEST_FILE, "{}", text.len());
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["body"]["reason"].is_string()).count()
}

fn config(file: &Path) -> Config {
    Config {
        mode: Some("both".into()),
        url: Some(format!("file://{}", file.display()).into()),
        frequency: Some("1h".into()),
        ..Config::default()
    }
}

/// Anonymous memory of this process. Pages of the program are excluded, because the kernel loads and evicts them.
fn memory_kib() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn live() {
    tokio::time::pause();
    let world = World::new().await;
    let mut days: Vec<(Day, i64)> = Vec::new();
    for day in 1..=DAYS {
        let lived = world.live_a_day().await;
        days.push((lived.clone(), memory_kib()));
        if day == 1 || day % 10 == 0 {
            println!("day {day}: {lived:?}, memory {} KiB", days[days.len() - 1].1);
        }
    }
    let (answer, ends) = blocking::channel();
    let deadline = world.clock.clock().monotonic() + Duration::from_secs(5);
    let _ = world.started.commands.send(Command::Stop { deadline, answer });
    settle().await;
    assert_eq!(ends.try_recv().expect("the stop is answered").len(), 2);

    assert!(lines_of(&file_in(&world.folder)) > 0, "the last day is in the file");

    let (first, second, last) = (&days[0], &days[1].0, &days[days.len() - 1]);
    for (day, _) in &days[1..] {
        assert_eq!(day, second, "every day equals the second; the first one includes the start");
    }
    assert!(second.sent > 0 && second.failed > 0 && second.panics > 0, "{second:?}");
    let growth = last.1 - first.1;
    let simulated = world.clock.now().duration_since(start_of_tests()).unwrap();
    println!(
        "thirty days: simulated {:.1} days, {} events sent, {} failed, {} panics contained, memory {growth:+} KiB",
        simulated.as_secs_f64() / 86_400.0,
        days.iter().map(|(day, _)| day.sent).sum::<u64>(),
        days.iter().map(|(day, _)| day.failed).sum::<u64>(),
        days.iter().map(|(day, _)| day.panics).sum::<u64>(),
    );
    assert!(growth <= MOST_GROWTH_KIB, "{growth} KiB");
    let after = last.1 - days[WARM_UP - 1].1;
    assert!(after <= MOST_GROWTH_AFTER_KIB, "{after} KiB after the warm-up");
}

/// The simulation runs in a process of its own, whose memory nothing else uses.
#[test]
fn thirty_days_with_every_fault_leave_nothing_behind() {
    if std::env::var_os("THIRTY_DAYS").is_some() {
        return actix_rt::System::new().block_on(live());
    }
    let mut child = Process::new(std::env::current_exe().unwrap());
    let test = "sender::simulation::thirty_days::thirty_days_with_every_fault_leave_nothing_behind";
    child.args(["--exact", test, "--nocapture"]).env("THIRTY_DAYS", "1").env("RUST_BACKTRACE", "0");
    let output = child.env_remove("DO_NOT_TRACK").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{errors}");
}
