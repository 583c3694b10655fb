//! What befalls machines, clocks and keys.

use deployment_telemetry::Reason;
use jiff::SignedDuration;

use super::Scenario;
use super::story::{Action, Author, DAY, EPOCH, Event, HOUR, MINUTE, Process, Role, Second, Step, Story};
use crate::delivery::License;

/// A virtual machine that is set back to a snapshot: its process uses numbers again, with other content.
pub(super) fn snapshot(author: &mut Author) {
    let taken = author.start + author.draw(10 * MINUTE..2 * HOUR);
    let restored = taken + author.draw(2 * author.story.frequency..4 * author.story.frequency);
    author.end_after(restored + 2 * author.story.frequency);
    let run_id = author.new_run();
    let events = author.events(&Process::lives(author.start, 20), run_id);
    let at_snapshot = events.iter().filter(|event| event.at <= taken).count() as u64;
    let (before, after): (Vec<Event>, Vec<Event>) = events.into_iter().partition(|event| event.at < restored);
    let highest = before.len() as u64;
    author.post_all(before);
    for (sequence, event) in (at_snapshot + 1..).zip(after) {
        let at = author.post(Event { sequence, ..event });
        if sequence <= highest {
            author.story.forks.push(at);
        }
    }
}

/// A virtual machine that is copied with its memory: one run goes on twice.
///
/// The clock of the copy is wrong by at least a second. Two copies that send the same in the same second send the same
/// request, which is a repetition: nobody can tell them from one machine before their licenses or clocks differ.
pub(super) fn memory_clone(author: &mut Author) {
    let cloned = author.start + author.draw(10 * MINUTE..8 * HOUR);
    let behind = author.draw(5..50);
    author.end_after(cloned + 2 * author.story.frequency);
    let run_id = author.new_run();
    for event in author.events(&Process::lives(author.start, 20), run_id) {
        author.post(event);
        if event.at > cloned {
            let at = author.post(Event { at: event.at + behind, ..event });
            author.story.forks.push(at);
        }
    }
}

/// A machine that is stopped and copied with its disk, and so with its id: each of the two starts a process of its own.
pub(super) fn disk_clone(author: &mut Author) {
    let stopped = author.start + author.draw(10 * MINUTE..8 * HOUR);
    let (began, copied) = (stopped + author.draw(5..HOUR), stopped + author.draw(5..DAY));
    author.end_after(began.max(copied) + author.story.frequency);
    author.process(Process::stops(author.start, stopped, 20));
    author.process(Process::lives(began, 20));
    author.process(Process::lives(copied, 20));
}

/// An instance whose id is changed while it runs: the old id ends, and the new one begins in the same run.
pub(super) fn changed_id(seed: u64, number: u32) -> Vec<Story> {
    let mut old = Author::new(Scenario::ChangedId, seed, number);
    let mut new = Author::new(Scenario::ChangedId, seed, number + 1);
    new.story.frequency = old.story.frequency;
    new.licenses = old.licenses.clone();
    let changed = old.start + old.draw(10 * MINUTE..DAY);
    old.end_after(changed);
    new.end_after(changed);
    let run_id = old.new_run();
    let events = old.events(&Process::stops(old.start, changed, 20), run_id);
    let numbered = events.len() as u64;
    old.post_all(events);
    for event in new.events(&Process::lives(changed, 20), run_id) {
        new.post(Event { sequence: event.sequence + numbered, ..event });
    }
    vec![old.finish(), new.finish()]
}

/// A machine whose clock shows 1970 or 2038, is ahead or behind, or jumps.
pub(super) fn wrong_clock(author: &mut Author) {
    let shown = |year_begins: i64| SignedDuration::from_secs(year_begins - EPOCH.as_second());
    let hours = SignedDuration::from_hours(author.draw(1..3000) as i64);
    let clocks = [shown(0), shown(2_147_483_000), hours, -hours];
    let constant = clocks[author.draw(0..4) as usize];
    let jumps = author.happens(0.3);
    let stopped = author.start + author.draw(HOUR..2 * DAY);
    author.end_after(stopped);
    let run_id = author.new_run();
    for event in author.events(&Process::stops(author.start, stopped, 20), run_id) {
        let skew = if jumps { clocks[author.draw(0..4) as usize] } else { constant };
        author.post(Event { skew, ..event });
    }
}

/// A proxy that sends requests again, at once or up to three days later.
pub(super) fn repeated(author: &mut Author) {
    let stopped = author.start + author.draw(HOUR..DAY);
    let began = stopped + author.draw(10..HOUR);
    author.end_after(began + DAY);
    for process in [Process::stops(author.start, stopped, 20), Process::lives(began, 21)] {
        let run_id = author.new_run();
        for event in author.events(&process, run_id) {
            let at = author.post(event);
            while author.happens(0.5) {
                let longest = [3, HOUR, 3 * DAY][author.draw(0..3) as usize];
                let again = at + author.draw(1..longest);
                author.arrive(event, again, Role::Fleet, 200, false);
            }
        }
    }
}

/// Somebody with another key who sends events of the instance: another version, a bad license, an end.
pub(super) fn hostile_key(author: &mut Author) {
    let attacked = author.start + author.draw(10 * MINUTE..DAY);
    author.end_after(attacked);
    let run_id = author.new_run();
    let events = author.events(&Process::lives(author.start, 20), run_id);
    let next = events.iter().filter(|event| event.at <= attacked).count() as u64 + 1;
    author.post_all(events);
    let forged = |run_id, sequence, reason| Event {
        at: attacked,
        run_id,
        sequence,
        reason,
        release: 66,
        skew: SignedDuration::ZERO,
    };
    let own_run = author.new_run();
    for event in [forged(own_run, 1, Reason::Begin), forged(run_id, next, Reason::End)] {
        let at = attacked + author.draw(3..MINUTE);
        author.arrive(event, at, Role::Stranger, 403, false);
    }
}

/// A key that is revoked, after which the fleet reports with another one.
pub(super) fn key_replaced(author: &mut Author) {
    let revoked = author.start + author.draw(HOUR..DAY);
    let changed = revoked + author.draw(HOUR..2 * DAY);
    author.end_after(changed);
    author.story.key_changes = 1;
    author.story.steps.push(Step { at: revoked, action: Action::Revoke(Role::Retired) });
    for (process, key) in [
        (Process::stops(author.start, changed, 20), Role::Retired),
        (Process::lives(changed + 10, 20), Role::Fleet),
    ] {
        let run_id = author.new_run();
        for event in author.events(&process, run_id) {
            let at = event.at + author.draw(0..2);
            let is_refused = key == Role::Retired && at >= revoked;
            let answer = if is_refused { 404 } else { 200 };
            author.arrive(event, at, key, answer, !is_refused);
        }
    }
}

/// An event with the highest number there is, among those with ordinary ones.
pub(super) fn number_far_ahead(author: &mut Author) {
    let disturbed = author.start + author.draw(10 * MINUTE..HOUR);
    let expired: Second = disturbed + author.draw(HOUR..DAY);
    let stopped = expired + author.draw(HOUR..DAY);
    author.licenses = vec![(0, License::Valid), (expired, License::Invalid)];
    author.end_after(stopped);
    let run_id = author.new_run();
    let events = author.events(&Process::stops(author.start, stopped, 20), run_id);
    author.post_all(events);
    author.post(Event {
        at: disturbed,
        run_id,
        sequence: i64::MAX.unsigned_abs(),
        reason: Reason::Update,
        release: 20,
        skew: SignedDuration::ZERO,
    });
}
