//! Latency of events while a large part of the fleet is forgotten.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use test_support::TestCluster;

use crate::fleet::{Event, Fleet};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Spread, grouped, millis, rate};
use crate::traffic::{Pace, Stream};
use crate::wire::{Answer, Traffic, Turn, Wire};
use crate::{Context, Outcome};

/// Instances that go on sending.
const INSTANCES: u32 = 1_000;

/// Instances that are forgotten.
const FORGOTTEN: usize = 50_000;

/// Events per second meanwhile.
const SCHEDULE: f64 = 500.0;

/// Longest time that all of it may take.
const LONGEST: Duration = Duration::from_secs(300);

/// Maximum of the 99th percentile while instances are forgotten, as a multiple of that before.
const MOST_RATIO: f64 = 2.0;

/// Measures ingest before and while instances are forgotten by one filter, through the API.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let forgotten = context.times(FORGOTTEN, 2_500);
    let cluster = TestCluster::start_durable();
    let url = cluster.url("postgres");
    let receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    let (fleet, mut sent) = (Fleet::new(INSTANCES, context.seed, receiver.address(), &receiver.webhook), 0);
    send(
        &receiver,
        &mut Until { stream: Stream::begins(&fleet, &mut sent), is_over: &AtomicBool::new(false) },
    )?;
    load(&url, forgotten).map_err(|error| format!("the instances cannot be loaded: {error:?}"))?;

    let title = format!("{} instances are forgotten", grouped(forgotten as u64));
    report.begin(&title, &["what", "events a second", "p50 ms", "p99 ms", "max ms", "took s"]);
    let window = context.time(30, 2);
    let is_over = AtomicBool::new(false);
    let idle = Stream::new(&fleet, &mut sent, Pace::Open(SCHEDULE), window / 10, window);
    let idle = measure(&receiver, idle, &is_over)?;
    row(report, "nothing is forgotten", idle, None);

    let address = receiver.address();
    let meanwhile = Stream::new(&fleet, &mut sent, Pace::Open(SCHEDULE), Duration::ZERO, LONGEST);
    let (meanwhile, took) = thread::scope(|scope| {
        let forgetting = scope.spawn(|| {
            let began = Instant::now();
            let count = forget_all(address);
            is_over.store(true, Ordering::Relaxed);
            count.map(|count| (count, began.elapsed()))
        });
        let meanwhile = measure(&receiver, meanwhile, &is_over);
        let (count, took) = forgetting.join().map_err(|_| "the thread that forgets panicked")??;
        if count != forgotten as u64 {
            return Err(format!("{count} instances were forgotten"));
        }
        Ok((meanwhile?, took))
    })?;
    row(report, "instances are forgotten", meanwhile, Some(took));
    receiver.stop()?;

    let ratio = meanwhile.p99.as_secs_f64() / idle.p99.as_secs_f64();
    let measured = format!("{ratio:.2} times: {} and {} ms", millis(meanwhile.p99), millis(idle.p99));
    report.figure(
        &format!("{title}: p99 of events meanwhile, to that before"),
        format!("under {MOST_RATIO} times"),
        measured,
        ratio < MOST_RATIO,
    );
    Ok(())
}

/// Events that end when something else does.
struct Until<'a> {
    stream: Stream<'a>,
    is_over: &'a AtomicBool,
}

impl Traffic for Until<'_> {
    type Event = Event;

    fn next(&mut self, now: Instant, out: &mut Vec<u8>) -> Turn<Event> {
        match self.is_over.load(Ordering::Relaxed) {
            true => Turn::Over,
            false => self.stream.next(now, out),
        }
    }

    fn answered(&mut self, event: Event, answer: Answer, took: Duration) {
        self.stream.answered(event, answer, took);
    }

    fn unanswered(&mut self, event: Event) {
        self.stream.unanswered(event);
    }
}

fn send(receiver: &Receiver, traffic: &mut Until<'_>) -> Outcome<()> {
    let wire = Wire { address: receiver.address(), connections: 64, patience: Duration::from_secs(30) };
    wire.run(traffic).map_err(|error| error.to_string())?;
    let tally = &traffic.stream.tally;
    match tally.others(&[200]) + tally.unanswered {
        0 => Ok(()),
        _ => Err(format!("answers other than 200: {tally}")),
    }
}

fn measure(receiver: &Receiver, stream: Stream<'_>, is_over: &AtomicBool) -> Outcome<Spread> {
    let mut traffic = Until { stream, is_over };
    send(receiver, &mut traffic)?;
    traffic.stream.tally.took.spread().ok_or("nothing was answered".to_owned())
}

fn row(report: &mut Report, what: &str, spread: Spread, took: Option<Duration>) {
    report.row(&[
        what.to_owned(),
        rate(SCHEDULE),
        millis(spread.median),
        millis(spread.p99),
        millis(spread.max),
        took.map_or(String::new(), |took| format!("{:.1}", took.as_secs_f64())),
    ]);
}

/// Repeats the request until nothing is left, as the answer asks for. Returns the number of instances.
fn forget_all(address: std::net::SocketAddr) -> Outcome<u64> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "DELETE /api/instances?state=down HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let mut forgotten = 0;
    loop {
        let answer = ask().map_err(|error| error.to_string())?;
        let number = answer.split("\"forgotten\":").nth(1).and_then(|rest| rest.split(',').next());
        let number: u64 = number.and_then(|text| text.parse().ok()).ok_or_else(|| answer.clone())?;
        forgotten += number;
        if !answer.contains("\"more\":true") {
            return Ok(forgotten);
        }
    }
}

/// Instances that have long been down, each with two runs and some changes.
fn load(url: &str, instances: usize) -> Result<(), postgres::Error> {
    let facts = "build_version, build_commit, build_time, build_mode, build_os, build_arch, license_key_hash, license_valid, custom_id";
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute(&format!(
        "create function load_id(number bigint) returns uuid immutable language sql as
             $$ select (lpad(to_hex(number * 85899), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(number), 12, '0'))::uuid $$;
         insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank, state_since,
             frequency, check_at, judged_at, searched, {facts})
         select load_id(n), now() - interval '40 days', now() - interval '9 days', load_id(n), 0,
             now() - interval '8 days', 28800, now() + interval '300 days', now(), 'site-' || n, '2.0', '4379644',
             '2026-02-16T23:06:23+02:00', 'licenced', 'linux', 'amd64', encode(sha256(n::text::bytea), 'hex'), true,
             'site-' || n
         from generate_series(0, {instances} - 1) n;
         insert into telemetry_run (instance_id, run_id, first_seen_at, last_seen_at, begun, last_sequence,
             last_sequence_at, frequency, frequency_at, updates, facts_at, fingerprint, {facts})
         select instance_id, load_id(other.n), first_seen_at, last_seen_at, true, 120, last_seen_at, 28800, last_seen_at,
             119, last_seen_at, 0, {facts}
         from telemetry_instance, generate_series(1, 2) as other (n) where state_rank = 0;
         insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
         select instance_id, first_seen_at + other.n * interval '1 day', 'state', 'up', 'late'
         from telemetry_instance, generate_series(1, 4) as other (n) where state_rank = 0"
    ))?;
    client.batch_execute("vacuum analyze")?;
    client.batch_execute("checkpoint")
}
