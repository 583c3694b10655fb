//! More calls than any host makes.

use std::time::Duration;

use sha2::{Digest, Sha256};
use test_support::{Behaviour, FakeDestination, wait_until};

use crate::host::LOG;
use crate::host::flood::key;
use crate::procfs::memory;
use crate::report::{HEAD, Report};
use crate::scene::field;
use crate::subject::{PATIENCE, Settings};
use crate::trial::{Context, Outcome, attempt, ensure, short};

/// One after the other, to see that the second one adds nothing.
const FLOODS_EACH: usize = 2;

/// How long a host is watched at rest, to compare with.
const REST: Duration = Duration::from_secs(2);

/// What floods may leave behind, kibibytes: queues are bounded, and an allocator keeps some for each of the eight threads.
const LEFT_BEHIND: u64 = 24 * 1024;

/// What the second flood may leave behind besides, kibibytes: something that leaks leaves as much each time.
const LEFT_AGAIN: u64 = 6 * 1024;

/// What a message with its key takes while it waits in a mailbox, bytes.
const MESSAGE: u64 = 160;

const FLOODS: [(&str, &str, u64, u64); 3] = [
    ("`license_changed` from one thread", "handle", 1_000_000, 10_000),
    ("messages to `license_recipient()` from 8 threads", "message", 1_000_000, 10_000),
    ("`send_now` from 8 threads, all at once", "send_now", 100_000, 1_000),
];

/// Floods by each way.
pub(crate) fn run(context: &Context, report: &mut Report) {
    report.begin("Floods", &HEAD);
    for (name, way, full, reduced) in FLOODS {
        let calls = if context.is_reduced { reduced } else { full };
        let outcome = attempt(|| flood(context, way, calls));
        let memory = match way {
            "message" => format!("no more memory than the messages of one flood take, at {MESSAGE} B each"),
            _ => format!("less than {} MiB stay, {} of the second", LEFT_BEHIND / 1024, LEFT_AGAIN / 1024),
        };
        let should =
            format!("the last state arrives; {memory}; the host answers all the time, stop within 5.2 s");
        report.row(name, format!("{FLOODS_EACH} floods of {calls} calls"), &should, outcome);
    }
}

fn flood(context: &Context, way: &str, calls: u64) -> Outcome {
    let destination = FakeDestination::start(Behaviour::Ok);
    // Its own log would be most of the flood.
    let settings = Settings::custom("http", &destination.address().to_string(), true).with(LOG, "info");
    let host = settings.start(context);
    host.wait_for_sent(1, PATIENCE)?;
    let pulse = host.pulse();
    std::thread::sleep(if context.is_reduced { REST / 10 } else { REST });
    let rest = pulse.stop()?;
    let before = memory(host.process.id())?;
    let last = match way {
        "send_now" => Last { license: crate::secrets::LICENSE.value.to_owned(), is_valid: false },
        _ => Last { license: key(calls - 1), is_valid: calls.is_multiple_of(2) },
    };

    let pulse = host.pulse();
    let (mut each, mut first, mut after) = (0, before, before);
    for _ in 0..FLOODS_EACH {
        first = after;
        each = host
            .order(&format!("/flood/{way}/{calls}"))?
            .parse::<u64>()
            .map_err(|error| error.to_string())?;
        if way == "send_now" {
            host.order("/license/false")?;
        }
        wait_until("the last state arrives", PATIENCE, || last.arrived(&destination));
        host.wait_for("nothing waits", PATIENCE, |status| status["destinations"][0]["waiting"] == 0)?;
        after = memory(host.process.id())?;
    }
    let beats = pulse.stop()?;
    let status = host.status()?;
    // A mailbox is as long as its senders make it, and the memory stays with the process for the next time.
    let of_mailbox = if way == "message" { calls * MESSAGE / 1024 } else { 0 };
    let stays = after.now.saturating_sub(before.now);
    let again = after.now.saturating_sub(first.now);
    ensure(stays < LEFT_BEHIND + of_mailbox && again < LEFT_AGAIN + of_mailbox, || {
        format!(
            "{} MiB before, {} after one flood, {} after two",
            mib(before.now),
            mib(first.now),
            mib(after.now)
        )
    })?;
    let ended = host.end()?;
    let events = destination.requests();
    ensure(events.last().is_some_and(|event| field(&event.body, "reason") == "end"), || {
        "no `end` arrived".into()
    })?;
    ensure(last.arrived(&destination), || "`end` tells another state".into())?;
    let host = &status["destinations"][0];
    Ok(format!(
        "as expected; {each} ns a call with the making of its message; {} events, {} merged, {} dropped; resident {} MiB before, {} after one, {} after two, at most {}; \
         the host at rest p99 {}, flooded p99 {}, slowest {}; stop {}",
        events.len(),
        status["merged_license_changes"],
        host["dropped"],
        mib(before.now),
        mib(first.now),
        mib(after.now),
        mib(after.peak),
        short(rest.p99()),
        short(beats.p99()),
        short(beats.slowest()),
        short(ended.stop),
    ))
}

fn mib(kibibytes: u64) -> String {
    format!("{:.1}", kibibytes as f64 / 1024.0)
}

/// The license that the last event must tell.
struct Last {
    license: String,
    is_valid: bool,
}

impl Last {
    fn arrived(&self, destination: &FakeDestination) -> bool {
        let hash: String = Sha256::digest(&self.license).iter().map(|byte| format!("{byte:02x}")).collect();
        let validity = format!("\"license_valid\":{}", self.is_valid);
        destination.requests().last().is_some_and(|event| {
            field(&event.body, "license_key_hash") == hash
                && String::from_utf8_lossy(&event.body).contains(&validity)
        })
    }
}
