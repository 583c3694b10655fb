//! PostgreSQL's own benchmark with a row like those of the receiver: what the database takes with one row per commit.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use postgres::{Client, NoTls};
use test_support::TestCluster;
use uuid::Uuid;

use crate::samples::Samples;
use crate::{Outcome, payload};

/// Transactions per second, and their mean latency.
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) mean_latency: Duration,
}

/// Creates the table, or replaces it.
pub(crate) fn prepare(cluster: &TestCluster) -> Outcome<()> {
    let sql = "drop table if exists baseline;
             create table baseline (instance_id uuid not null, id uuid not null, day date not null,
                 ts timestamptz not null, kind text not null default 'usr',
                 type text not null default 'telemetry.custom', persistent boolean not null default true,
                 reason text not null, run_id uuid not null, sequence bigint not null, frequency integer,
                 data json not null, primary key (instance_id, id, day));
             create index on baseline (ts)";
    execute(cluster, sql)?;
    let script = "\\set instance random(1, 10000)\n\
         \\set sequence random(1, 1000000000)\n\
         insert into baseline (instance_id, id, day, ts, reason, run_id, sequence, frequency, data) values \
         (('00000000-0000-4000-8000-' || lpad(:instance::text, 12, '0'))::uuid, gen_random_uuid(), current_date, \
         now(), 'update', '4915a241-ba4e-4d2c-8f6e-0123456789ab', :sequence, 28800, :payload);\n";
    fs::write(cluster.directory().join("baseline.sql"), script).map_err(|error| error.to_string())
}

/// Lets a server write a checkpoint, so that it uses the machine no more afterwards.
pub(crate) fn rest(cluster: &TestCluster) -> Outcome<()> {
    execute(cluster, "checkpoint")
}

fn execute(cluster: &TestCluster, sql: &str) -> Outcome<()> {
    let mut client = Client::connect(&cluster.url("postgres"), NoTls).map_err(|error| error.to_string())?;
    client.batch_execute(sql).map_err(|error| error.to_string())
}

/// Inserts `per_second` rows per second on a fixed schedule. Returns the latencies.
pub(crate) fn scheduled(
    cluster: &TestCluster,
    clients: usize,
    per_second: f64,
    window: Duration,
) -> Outcome<Samples> {
    let logs = || -> std::io::Result<Vec<_>> {
        let files = fs::read_dir(cluster.directory())?.flatten().map(|entry| entry.path());
        Ok(files.filter(|file| file.to_string_lossy().contains("scheduled.")).collect())
    };
    let read = || -> std::io::Result<Samples> {
        let mut took = Samples::default();
        for file in logs()? {
            let text = fs::read_to_string(&file)?;
            let micros = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            micros.for_each(|micros| took.add(Duration::from_micros(micros)));
            fs::remove_file(file)?;
        }
        Ok(took)
    };
    let rate = per_second.to_string();
    insert(cluster, clients, window, &["-R", &rate, "-l", "--log-prefix", "scheduled"])?;
    read().map_err(|error| error.to_string())
}

/// Inserts as fast as possible.
pub(crate) fn run(cluster: &TestCluster, clients: usize, window: Duration) -> Outcome<Rate> {
    insert(cluster, clients, window, &[])
}

fn insert(cluster: &TestCluster, clients: usize, window: Duration, options: &[&str]) -> Outcome<Rate> {
    // As a variable, the payload is sent with every row, as it is to the receiver.
    let payload = payload::text(&payload::fields(Uuid::nil(), "update"));
    let mut command: Command = cluster.program("pgbench");
    let output = command
        .args(["-n", "-j", "2", "-M", "prepared", "-h", "127.0.0.1", "-U", "postgres"])
        .args(["-p", &cluster.port().to_string(), "-c", &clients.to_string()])
        .args(options)
        .args(["-D", &format!("payload={payload}")])
        .args(["-T", &window.as_secs().max(1).to_string(), "-f", "baseline.sql", "postgres"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("pgbench: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let value = |line: &str| {
        let rest = printed.split(line).nth(1)?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let rate = value("\ntps = ").zip(value("latency average = "));
    let (per_second, millis) =
        rate.ok_or_else(|| format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)))?;
    if !output.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Rate { per_second, mean_latency: Duration::from_secs_f64(millis / 1e3) })
}
