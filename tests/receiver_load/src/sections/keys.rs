//! Keys against each other and against the fleet: two that fight over the same instances, and one that reports more new
//! instances than it may.

use std::time::Duration;

use crate::hostile::{Client, Maker, Must};
use crate::procfs::{MemoryWatch, mib};
use crate::receiver::{Receiver, Store};
use crate::report::Report;
use crate::samples::grouped;
use crate::{Context, Outcome};
use test_support::{TestCluster, becomes_true};

/// Number of new instances an hour of a key for which nothing else is set.
const NEW_PER_HOUR: u128 = 1_000;

/// Growth of memory that is allowed, in KiB.
const MOST_GROWTH: u64 = 16 * 1024;

/// Shows that a key changes nothing of another key's instances, and cannot fill the fleet.
pub(crate) fn run(context: &Context, report: &mut Report) -> Outcome<()> {
    report.begin("Keys", &["what", "requests", "right answers"]);
    let cluster = TestCluster::start_durable();
    let receiver = Receiver::start(&context.program()?, Store::Postgres(cluster.url("postgres")))?;
    fight(context, report, &receiver)?;
    flood(context, report, &receiver)?;
    receiver.stop()
}

fn fight(context: &Context, report: &mut Report, receiver: &Receiver) -> Outcome<()> {
    let mut client = Client::new(receiver.address());
    let mut owner = Maker::new(context.seed, &receiver.webhook);
    let mut stranger = with_new_key(receiver, &mut client, context.seed ^ 1, "other")?;
    let rounds = context.times(10_000, 200);
    let mut wrong = Vec::new();
    for round in 0..rounds as u128 {
        let instance = 1 + round % 100;
        let refused = Must::BeRefused { status: 403, field: Some("instance_id") };
        for case in [owner.event_of(instance, Must::BeStored), stranger.event_of(instance, refused)] {
            wrong.extend(client.try_case(&case).err());
        }
    }
    tell(report, "two keys fight over 100 instances", 2 * rounds, &wrong);
    Ok(())
}

fn flood(context: &Context, report: &mut Report, receiver: &Receiver) -> Outcome<()> {
    let mut client = Client::new(receiver.address());
    let mut maker = with_new_key(receiver, &mut client, context.seed ^ 2, "leaked")?;
    let requests = context.times(100_000, 2_000);
    let watch = MemoryWatch::start(receiver.process_id());
    let mut wrong = Vec::new();
    for number in 0..requests as u128 {
        let must = match number < NEW_PER_HOUR {
            true => Must::BeStored,
            false => Must::BeRefused { status: 429, field: None },
        };
        let case = maker.event_of(1_000_000 + number, must);
        wrong.extend(client.try_case(&case).err());
        if (number + 1).is_multiple_of(20_000) {
            eprintln!("  {} of {requests}", number + 1);
        }
    }
    let memory = watch.stop();
    tell(report, "one key makes new instances without end", requests, &wrong);
    let (first, last) = memory.first_and_last();
    let limit = format!("grows by less than {} MiB from the first third to the last", MOST_GROWTH / 1024);
    let measured = format!("{} MiB, then {} MiB", mib(first), mib(last));
    report.figure("a flood of new instances: memory", limit, measured, last < first + MOST_GROWTH);
    Ok(())
}

/// Requests with a new key, once the receiver knows it: it looks for new keys every two seconds.
fn with_new_key(receiver: &Receiver, client: &mut Client, seed: u64, name: &str) -> Outcome<Maker> {
    let mut maker = Maker::new(seed, &receiver.webhook).with_key(&receiver.another_key(&[name])?);
    let is_known = becomes_true(Duration::from_secs(30), || client.try_case(&maker.probe()).is_ok());
    if is_known { Ok(maker) } else { Err(format!("the key {name} is not known after 30 s")) }
}

fn tell(report: &mut Report, what: &str, requests: usize, wrong: &[String]) {
    let sent = grouped(requests as u64);
    report.row(&[what.to_owned(), sent.clone(), grouped((requests - wrong.len()) as u64)]);
    let example = wrong.first().map(|example| format!("; {example}").replace('|', "/")).unwrap_or_default();
    let measured = format!("{} of {sent}{example}", wrong.len());
    report.promise(&format!("{what}: wrong answers"), "0", measured, wrong.is_empty());
}
