//! What `license_changed` costs the host's thread that calls it.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use deployment_telemetry::{License, Telemetry};
use test_support::{Behaviour, FakeDestination};

use crate::samples::{Samples, short};
use crate::stopwatch::{now, time};
use crate::subject::{self, MemoryStore, license};
use crate::table::Table;

const BURST_LIMIT: Duration = Duration::from_nanos(200);
const IDLE_LIMIT: Duration = Duration::from_micros(20);

const CALLS: u32 = 1_000_000;
const BURSTS: usize = 5;
const CHUNK: u32 = 1_000;

const SINGLE_CALLS: usize = 200;
const BETWEEN_CALLS: Duration = Duration::from_millis(20);

/// Shorter, so that the machine's caches have not forgotten everything meanwhile.
const BETWEEN_WARM_CALLS: Duration = Duration::from_millis(1);

/// Measures calls in a burst, and calls that wake an idle subsystem.
pub(crate) fn measure(table: &mut Table) {
    let destination = FakeDestination::start(Behaviour::Ok);
    let telemetry = subject::start_custom(MemoryStore, &destination.url());
    subject::wait_for_begin(&telemetry);
    bursts(table, &telemetry);
    thread::sleep(Duration::from_secs(1));
    single_calls(table, &telemetry);
}

fn bursts(table: &mut Table, telemetry: &Telemetry) {
    let equal = Burst::median(|_| license(true), |message| telemetry.license_changed(message));
    let changing = Burst::median(|n| license(n % 2 == 0), |message| telemetry.license_changed(message));
    let built_inside = Burst::median(|n| n, |n| telemetry.license_changed(license(n % 2 == 0)));

    let address = Idler::start_on_a_thread();
    let do_send = Burst::median(|n| Plain(license(n % 2 == 0)), |message| address.do_send(message));
    let inbox = Mutex::new(None);
    let replace = Burst::median(
        |n| license(n % 2 == 0),
        |message| drop(inbox.lock().expect("nobody panics").replace(message)),
    );

    for (figure, burst) in [
        ("license_changed in a burst, equal states", &equal),
        ("license_changed in a burst, changing states", &changing),
    ] {
        table.judge(figure, burst, short(BURST_LIMIT), burst.mean < BURST_LIMIT);
    }
    table.inform("  the same, building the message and its key", &built_inside);
    table.inform("  to compare: Addr::do_send of the same message", &do_send);
    table.inform("  to compare: Mutex<Option<_>>::replace of it", &replace);
    let ratio = |other: &Burst| changing.mean.as_secs_f64() / other.mean.as_secs_f64();
    table.inform(
        "  license_changed against these two",
        format!("{:.2} times, {:.2} times", ratio(&do_send), ratio(&replace)),
    );
}

fn single_calls(table: &mut Table, telemetry: &Telemetry) {
    let mut valid = true;
    let mut next = || {
        valid = !valid;
        license(valid)
    };
    let after = |pause: Duration, call: &mut dyn FnMut() -> Duration| {
        Samples::take(SINGLE_CALLS, || {
            thread::sleep(pause);
            call()
        })
    };
    let one_by_one = |call: &mut dyn FnMut() -> Duration| after(BETWEEN_CALLS, call);
    let mut prepared_call = || {
        let message = next();
        time(|| telemetry.license_changed(message))
    };
    let prepared = one_by_one(&mut prepared_call);
    let warm = after(BETWEEN_WARM_CALLS, &mut prepared_call);
    let built_inside = one_by_one(&mut || time(|| telemetry.license_changed(next())));
    let address = Idler::start_on_a_thread();
    let do_send = one_by_one(&mut || {
        let message = Plain(next());
        time(|| address.do_send(message))
    });
    let (channel, waiting) = mpsc::channel();
    let sleeper = thread::spawn(move || waiting.iter().for_each(drop::<Plain>));
    let floor = one_by_one(&mut || {
        let message = Plain(next());
        time(|| channel.send(message).expect("somebody waits"))
    });
    drop(channel);
    sleeper.join().expect("waiting does not panic");
    let is_met = prepared.median() < IDLE_LIMIT;
    let figure = "license_changed that wakes an idle subsystem";
    table.judge(figure, prepared.median_and_p99(), short(IDLE_LIMIT), is_met);
    table.inform("  the same, building the message and its key", built_inside.median_and_p99());
    table.inform("  the same, 1 ms apart instead of 20", warm.median_and_p99());
    table.inform("  to compare: Addr::do_send to an idle actor", do_send.median_and_p99());
    table.inform("  to compare: std's channel to a sleeping thread", floor.median_and_p99());
}

/// A million calls, one directly after the other.
struct Burst {
    mean: Duration,
    chunks: Samples,
}

impl Burst {
    /// The middle one of a few.
    fn median<M>(prepare: impl Fn(u32) -> M, call: impl Fn(M)) -> Self {
        let mut bursts: Vec<Self> = (0..BURSTS).map(|_| Self::run(&prepare, &call)).collect();
        bursts.sort_by_key(|burst| burst.mean);
        bursts.swap_remove(BURSTS / 2)
    }

    fn run<M>(prepare: impl Fn(u32) -> M, call: impl Fn(M)) -> Self {
        let mut messages = (0..CALLS).map(prepare).collect::<Vec<M>>().into_iter();
        let mut chunks = Vec::with_capacity((CALLS / CHUNK) as usize);
        let began = now();
        while messages.len() > 0 {
            chunks.push(time(|| messages.by_ref().take(CHUNK as usize).for_each(&call)) / CHUNK);
        }
        Self { mean: began.elapsed() / CALLS, chunks: chunks.into_iter().collect() }
    }
}

impl std::fmt::Display for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mean {}, p99 of 1000s {}", short(self.mean), short(self.chunks.p99()))
    }
}

/// The plain message that the handle's is compared with.
#[derive(Message)]
#[rtype(result = "()")]
struct Plain(#[expect(dead_code, reason = "carried as a host's message would carry it")] License);

/// Does nothing with a [`Plain`].
struct Idler;

impl Idler {
    /// Its thread lives as long as the program.
    fn start_on_a_thread() -> Addr<Self> {
        let (started, address) = mpsc::channel();
        thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let _ = started.send(Idler.start());
                std::future::pending::<()>().await;
            });
        });
        address.recv().expect("an actor can be started")
    }
}

impl Actor for Idler {
    type Context = Context<Self>;
}

impl Handler<Plain> for Idler {
    type Result = ();

    fn handle(&mut self, _: Plain, _: &mut Self::Context) {}
}
