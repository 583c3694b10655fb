//! Latency of adoption and of the strips of a list, with a large fleet, a long history and a census of a year.

use std::time::Instant;

use postgres::{Client, NoTls};
use test_support::TestCluster;

use super::queries;
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::{Samples, grouped, millis};
use crate::{Context, Outcome};

/// Days of the census, the last of which is today.
const DAYS: i32 = 400;

/// Groups of a day: ten keys, five releases, two patches of each, two architectures.
const GROUPS: i32 = 200;

/// Changes of state of each instance within the last 40 days.
const CHANGES: i32 = 20;

const CALLS: usize = 50;

/// Names and paths of the queries, and the promised median in milliseconds.
const QUERIES: [(&str, &str, Option<u64>); 7] = [
    ("adoption, 90 days", "/api/adoption", Some(20)),
    ("adoption, 90 days by version", "/api/adoption?by=version", Some(20)),
    ("adoption, 90 days of a key", "/api/adoption?key=00000000-0000-4000-8000-000000000007", Some(20)),
    ("adoption, a year", "/api/adoption?from={year}", None),
    ("instances, first page", "/api/instances", None),
    ("instances, first page with strips", "/api/instances?strip=true", Some(5)),
    ("instances older than a version", "/api/instances?older-than=2.3", None),
];

/// Loads a history and a census into the database itself, then queries the receiver.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    let (instances, events) = (context.times(100_000, 1_000), context.times(10_000_000, 20_000));
    // Not durable: nothing is measured while the history is written.
    let cluster = TestCluster::start();
    let url = cluster.url("postgres");
    let mut receiver = Receiver::start(&context.program()?, Store::Postgres(url.clone()))?;
    // Otherwise it would count what is about to be loaded.
    wait_for_census(&url).map_err(|error| format!("no census was taken: {error}"))?;
    let loaded = queries::load(&url, instances, events).and_then(|()| load(&url, instances));
    let year = loaded.map_err(|error| format!("the history cannot be loaded: {error}"))?;
    let title = format!(
        "{} instances, {} events, {} changes, a census of {DAYS} days with {GROUPS} groups",
        grouped(instances as u64),
        grouped(events as u64),
        grouped(instances as u64 * CHANGES.unsigned_abs() as u64)
    );
    report.begin(&title, &["what", "first ms", "p50 ms", "p99 ms", "answer, KiB"]);
    for (what, path, limit) in QUERIES {
        let path = path.replace("{year}", &year);
        let mut took = Samples::default();
        let (first, length) = queries::get(&receiver, &path)?;
        for _ in 0..CALLS {
            took.add(queries::get(&receiver, &path)?.0);
        }
        let spread = took.spread().ok_or("no query was made")?;
        report.row(&[
            format!("{what}: `{path}`"),
            millis(first),
            millis(spread.median),
            millis(spread.p99),
            format!("{:.1}", length as f64 / 1024.0),
        ]);
        if let Some(limit) = limit {
            let measured = format!("{} ms", millis(spread.median));
            let is_kept = spread.median.as_millis() < u128::from(limit);
            report.figure(&format!("{what}: median"), format!("under {limit} ms"), measured, is_kept);
        }
    }
    report.row(&count(
        &mut receiver,
        &url,
        "delete from telemetry_census_upgrade",
        "a first census, of 41 days",
    )?);
    let today = "delete from telemetry_census_upgrade where day = (now() at time zone 'UTC')::date";
    report.row(&count(&mut receiver, &url, today, "a census, with the start of the receiver")?);
    receiver.stop()
}

/// The time that a receiver takes for a census after its start, when this much was forgotten.
fn count(receiver: &mut Receiver, url: &str, forget: &str, what: &str) -> Outcome<Vec<String>> {
    receiver.kill();
    let forgotten = Client::connect(url, NoTls).and_then(|mut client| client.batch_execute(forget));
    forgotten.map_err(|error| error.to_string())?;
    let began = Instant::now();
    receiver.start_again();
    wait_for_census(url).map_err(|error| format!("no census was taken: {error}"))?;
    Ok(vec![what.to_owned(), millis(began.elapsed()), String::new(), String::new(), String::new()])
}

/// Waits for a census of today, for a minute at most.
pub(super) fn wait_for_census(url: &str) -> Result<(), postgres::Error> {
    let mut client = Client::connect(url, NoTls)?;
    let sql = "do $$ begin
                   for attempt in 1..6000 loop
                       if exists (select from telemetry_census_upgrade where day = (now() at time zone 'UTC')::date)
                           then return;
                       end if;
                       perform pg_sleep(0.01);
                   end loop;
                   raise 'none within a minute';
               end $$";
    client.batch_execute(sql)
}

/// Returns the first day of the year that ends today.
pub(super) fn load(url: &str, instances: usize) -> Result<String, postgres::Error> {
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute(&format!(
        "insert into telemetry_census (day, key_id, product, build_version, release, release_key, build_time, build_os,
             build_arch, license_valid, count)
         select today.day - ago, load_id(g % 10), 'example-server', '2.' || minor || '.' || patch, '2.' || minor,
             lpad('2', 20, '0') || '.' || lpad(minor::text, 20, '0') || '.' || lpad(patch::text, 20, '0') || '-',
             to_char(today.day - {DAYS} + minor * 45, 'YYYY-MM-DD') || 'T12:00:00Z', 'linux',
             case g / 100 % 2 when 0 then 'amd64' else 'arm64' end, g % 17 <> 0, {instances} / {GROUPS}
         from generate_series(0, {DAYS} - 1) ago, generate_series(0, {GROUPS} - 1) g,
             lateral (select 10 + ({DAYS} - ago) / 45 - g / 10 % 5 as minor, g / 50 % 2 as patch) version,
             (select (now() at time zone 'UTC')::date as day) today;
         insert into telemetry_census_version (day, product, build_version, release, count)
         select day, product, build_version, min(release), sum(count) from telemetry_census group by 1, 2, 3;
         insert into telemetry_census_upgrade (day, key_id, product, count)
         select (now() at time zone 'UTC')::date - ago, load_id(key),
             'example-server', 100
         from generate_series(0, {DAYS} - 1) ago, generate_series(0, 9) key;
         insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
         select load_id(n), now() - interval '2 days' * number - interval '1 s' * (n % 100000), 'state',
             case number % 2 when 0 then 'up' else 'late' end, case number % 2 when 0 then 'late' else 'up' end
         from generate_series(0, {instances} - 1) n, generate_series(0, {CHANGES} - 1) number;
         insert into telemetry_transition (instance_id, at, change, \"from\", \"to\")
         select load_id(n), now() - interval '10 s' * (n % 100000), 'version', '2.17.0', '2.18.0'
         from generate_series(0, {instances} - 1, 10) n"
    ))?;
    // Each as a transaction of its own.
    for table in
        ["telemetry_census", "telemetry_census_version", "telemetry_census_upgrade", "telemetry_transition"]
    {
        client.batch_execute(&format!("vacuum analyze {table}"))?;
    }
    let year = "select to_char((now() at time zone 'UTC')::date - 364, 'YYYY-MM-DD')";
    Ok(client.query_one(year, &[])?.get(0))
}
