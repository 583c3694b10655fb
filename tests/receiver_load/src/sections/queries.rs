//! Latency of the pages and the API with a large fleet that has a long history.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use test_support::TestCluster;

use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Samples, grouped, millis};
use crate::{Context, Outcome};

/// Days of history, the last of which is today.
const DAYS: i32 = 40;

const CALLS: usize = 50;

/// Pause after which the fleet is counted again instead of taking the last count.
const UNTIL_COUNTED_AGAIN: Duration = Duration::from_secs(3);

const CALLS_WITH_PAUSES: usize = 20;

const MOST_P99: Duration = Duration::from_millis(50);

const SUMMARY: &str = "/api/fleet";

/// Names and paths of the queries, and whether there is a promise about their latency.
const QUERIES: [(&str, &str, bool); 8] = [
    ("fleet summary", SUMMARY, true),
    ("instances, first page", "/api/instances", true),
    ("instances that are down", "/api/instances?state=down", false),
    ("instances by a part of their name", "/api/instances?search=site-0000000f", false),
    ("events, first page", "/api/events", true),
    ("events of an instance", "/api/events?instance=00000000-0000-4000-8000-000000000007", false),
    ("page Fleet", "/", true),
    ("page Instance", "/instances/00000000-0000-4000-8000-000000000007", false),
];

/// Loads a history into the database itself, then queries the receiver.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let (instances, events) = (context.times(100_000, 1_000), context.times(10_000_000, 20_000));
    // Not durable: nothing is measured while the history is written.
    let cluster = TestCluster::start();
    let url = cluster.url("postgres");
    let receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    load(&url, instances, events).map_err(|error| format!("the history cannot be loaded: {error}"))?;
    let head = ["what", "first ms", "p50 ms", "p99 ms", "answer, KiB"];
    let title = format!("{} instances, {} events", grouped(instances as u64), grouped(events as u64));
    report.begin(&title, &head);
    for (what, path, is_promised) in QUERIES {
        let mut took = Samples::default();
        let (first, length) = get(&receiver, path)?;
        for _ in 0..CALLS {
            took.add(get(&receiver, path)?.0);
        }
        let spread = took.spread().ok_or("no query was made")?;
        report.row(&[
            format!("{what}: `{path}`"),
            millis(first),
            millis(spread.median),
            millis(spread.p99),
            format!("{:.1}", length as f64 / 1024.0),
        ]);
        if is_promised {
            let limit = format!("under {} ms", millis(MOST_P99));
            let measured = format!("{} ms", millis(spread.p99));
            report.figure(&format!("{title}, {what}: p99"), limit, measured, spread.p99 < MOST_P99);
        }
    }
    let mut took = Samples::default();
    for _ in 0..context.times(CALLS_WITH_PAUSES, 1) {
        thread::sleep(UNTIL_COUNTED_AGAIN);
        took.add(get(&receiver, SUMMARY)?.0);
    }
    let spread = took.spread().ok_or("no query was made")?;
    report.row(&[
        "fleet summary, counted anew".to_owned(),
        String::new(),
        millis(spread.median),
        millis(spread.p99),
        String::new(),
    ]);
    let limit = format!("under {} ms", millis(MOST_P99));
    let measured = format!("{} ms", millis(spread.median));
    let what = format!("{title}, fleet summary, counted anew: median");
    report.figure(&what, limit, measured, spread.median < MOST_P99);
    receiver.stop()
}

pub(super) fn get(receiver: &Receiver, path: &str) -> Outcome<(Duration, usize)> {
    let ask = || -> std::io::Result<(Duration, Vec<u8>)> {
        let mut stream = TcpStream::connect(receiver.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let began = Instant::now();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", receiver.address())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok((began.elapsed(), answer))
    };
    let (took, answer) = ask().map_err(|error| format!("{path}: {error}"))?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        let answer: String = String::from_utf8_lossy(&answer).chars().take(300).collect();
        return Err(format!("{path}: {answer}"));
    }
    Ok((took, answer.len()))
}

pub(super) fn load(url: &str, instances: usize, events: usize) -> Result<(), postgres::Error> {
    let began = Instant::now();
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute(&format!(
        "create function load_id(number bigint) returns uuid immutable language sql as
             $$ select ('00000000-0000-4000-8000-' || lpad(to_hex(number), 12, '0'))::uuid $$;
         insert into telemetry_instance (instance_id, first_seen_at, last_seen_at, run_id, state_rank,
             state_since, crashed, several_runs, restarting, frequency, check_at, judged_at, build_version,
             build_commit, build_time, build_mode, build_os, build_arch, license_key_hash, license_valid, custom_id,
             searched, release, release_key)
         select load_id(n), now() - interval '{DAYS} days', now() - random() * interval '8 hours', load_id(n),
             case when n % 20 = 0 then 0 when n % 33 = 0 then 1 when n % 50 = 0 then 3 else 2 end,
             now() - random() * interval '{DAYS} days', n % 400 = 0, n % 900 = 0, n % 700 = 0, 28800,
             now() + interval '30 days', now(), '2.' || n % 60 || '.0', '4379644', '2026-02-16T23:06:23+02:00',
             'licenced', 'linux', 'amd64', encode(sha256(n::text::bytea), 'hex'), n % 17 <> 0,
             'site-' || lpad(to_hex(n), 12, '0'), 'site-' || lpad(to_hex(n), 12, '0'), '2.' || n % 60,
             lpad('2', 20, '0') || '.' || lpad((n % 60)::text, 20, '0') || '.' || lpad('0', 20, '0') || '-'
         from generate_series(0, {instances} - 1) n;
         insert into telemetry_run (instance_id, run_id, first_seen_at, last_seen_at, begun, last_sequence, last_sequence_at,
             frequency, frequency_at, updates, first_update_at, last_update_at, facts_at, fingerprint, build_version,
             build_commit, build_time, build_mode, build_os, build_arch, license_key_hash, license_valid, custom_id)
         select instance_id, run_id, first_seen_at, last_seen_at, true, 120, last_seen_at, 28800, last_seen_at, 119, first_seen_at,
             last_seen_at, last_seen_at, 0, build_version, build_commit, build_time, build_mode, build_os, build_arch,
             license_key_hash, license_valid, custom_id
         from telemetry_instance"
    ))?;
    let a_day = events as i64 / i64::from(DAYS);
    for day in (0..DAYS).rev() {
        let date = client.query_one(&format!("select to_char(utc.day, 'YYYY-MM-DD'), to_char(utc.day, '\"telemetry_event_\"YYYY_MM_DD'), to_char(utc.day + 1, 'YYYY-MM-DD')
            from (select (now() at time zone 'UTC')::date - {day} as day) utc"), &[])?;
        let (date, partition, next): (String, String, String) = (date.get(0), date.get(1), date.get(2));
        client.batch_execute(&format!(
            "create table if not exists {partition} partition of telemetry_event for values from ('{date}') to ('{next}');
             insert into telemetry_event (instance_id, id, day, ts, reason, run_id, sequence, frequency, data)
             select load_id(n % {instances}), gen_random_uuid(), '{date}',
                 start.at + (n - {a_day} * {day}) * (least(start.at + interval '1 day', now()) - start.at) / {a_day},
                 case n % 50 when 0 then 'begin' when 1 then 'end' else 'update' end, load_id(n % {instances}), n, 28800,
                 ('{{\"build_version\":\"2.0.0\",\"build_commit\":\"4379644\",\"build_time\":\"2026-02-16T23:06:23+02:00\",\"build_mode\":\"licenced\",\"build_os\":\"linux\",\"build_arch\":\"amd64\",\"instance_id\":\"' || load_id(n % {instances}) || '\",\"license_key_hash\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"license_valid\":true,\"reason\":\"update\",\"checksum\":\"0123456789abcdef\"}}')::json
             from generate_series({a_day} * {day}, {a_day} * ({day} + 1) - 1) n,
                 (values ('{date} 00:00:00Z'::timestamptz)) as start (at)",
        ))?;
        if day % 4 == 0 {
            let loaded = a_day * i64::from(DAYS - day);
            eprintln!("  {} events loaded after {} s", grouped(loaded as u64), began.elapsed().as_secs());
        }
    }
    client.batch_execute("vacuum analyze")
}
