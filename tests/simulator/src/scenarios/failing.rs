//! Processes that die or fall silent, of which a receiver must tell.

use std::ops::Range;

use super::Scenario;
use super::story::{Author, DAY, HOUR, MINUTE, Process, Second, Story};

/// A single process that dies once and is started again. The story goes on until the crash is no longer shown.
pub(super) fn single_crash(author: &mut Author) {
    author.report_rarely();
    let died = author.start + author.draw(30 * MINUTE..DAY);
    let began = died + author.draw(5..20 * MINUTE);
    author.end_after(began + 8 * DAY);
    author.process(Process::dies(author.start, died, 20));
    author.process(Process::lives(began, 20));
}

/// A single process that dies and is not started again.
pub(super) fn single_death(author: &mut Author) {
    let died = author.start + author.draw(MINUTE..DAY);
    author.end_after(died);
    author.process(Process::dies(author.start, died, 20));
}

/// One of several replicas that dies and is replaced.
pub(super) fn replica_dies(author: &mut Author) {
    let died = author.start + author.draw(10 * MINUTE..DAY);
    let replaced = died + author.draw(5..10 * MINUTE);
    author.end_after(replaced);
    author.process(Process::dies(author.start, died, 20));
    for replica in 1..author.draw(2..5) {
        author.process(Process::lives(author.start + replica, 20));
    }
    author.process(Process::lives(replaced, 20));
}

/// A process that dies without having been heard since another one began, and that one stops: nobody is left, although the
/// last word was `end`.
pub(super) fn death_behind_an_end(author: &mut Author) {
    author.report_rarely();
    let began = author.start + author.draw(5..50);
    let stopped = began + author.draw(10..2 * MINUTE);
    author.end_after(stopped);
    author.process(Process::dies(author.start, began + 2, 20));
    author.process(Process::stops(began, stopped, 20));
}

/// A machine that loses its power, with all replicas on it.
pub(super) fn all_die(author: &mut Author) {
    let died = author.start + author.draw(10 * MINUTE..DAY);
    author.end_after(died);
    for replica in 0..author.draw(1..5) {
        author.process(Process::dies(author.start + replica, died, 20));
    }
}

/// The same, after which all replicas begin again.
pub(super) fn all_die_and_return(author: &mut Author) {
    let died = author.start + author.draw(10 * MINUTE..DAY);
    let back = died + author.draw(MINUTE..3 * author.story.frequency);
    author.end_after(back);
    for replica in 0..author.draw(1..5) {
        author.process(Process::dies(author.start + replica, died, 20));
        author.process(Process::lives(back + replica, 20));
    }
}

/// A process that dies soon after each start, for more than an hour: at least one begin every ten minutes.
pub(super) fn crash_loop(author: &mut Author) {
    crash(author, 4 * MINUTE, 10 * MINUTE, 75 * MINUTE..100 * MINUTE);
}

/// The same, with a begin every minute or two.
pub(super) fn fast_crash_loop(author: &mut Author) {
    crash(author, MINUTE, 150, 75 * MINUTE..100 * MINUTE);
}

/// A process that dies soon after each start, for half a night.
pub(super) fn long_crash_loop(author: &mut Author) {
    crash(author, 5 * MINUTE, 10 * MINUTE, 3 * HOUR..6 * HOUR);
}

fn crash(author: &mut Author, shortest: Second, longest: Second, lengths: Range<Second>) {
    let mut began = author.start + author.draw(HOUR..DAY);
    let mut processes = Vec::new();
    if author.happens(0.5) {
        processes.push(Process::dies(author.start, began - 10, 20));
    }
    let (first, length) = (began, author.draw(lengths));
    while began - first < length {
        let pause = author.draw(shortest..longest - 4);
        processes.push(Process::dies(began, began + pause / 2, 20));
        began += pause;
    }
    let last = began;
    processes.push(Process::lives(last, 20));
    author.end_after(last + 4 * HOUR);
    author.story.loops.push(first..last);
    processes.into_iter().for_each(|process| author.process(process));
}

/// A machine that sleeps for a while and goes on.
pub(super) fn suspended(author: &mut Author) {
    let sleeps = author.start + author.draw(HOUR..DAY);
    let wakes = sleeps + author.draw(MINUTE..4 * author.story.frequency);
    author.end_after(wakes);
    let run_id = author.new_run();
    let events = author.events(&Process::lives(author.start, 20), run_id);
    let sent = events.into_iter().filter(|event| !(sleeps..wakes).contains(&event.at));
    for (sequence, event) in (1..).zip(sent) {
        author.post(super::story::Event { sequence, ..event });
    }
}

/// A network that loses some of the updates.
pub(super) fn lossy(author: &mut Author) {
    author.end_after(author.start + 12 * author.story.frequency.min(8 * HOUR));
    let run_id = author.new_run();
    for event in author.events(&Process::lives(author.start, 20), run_id) {
        if event.sequence == 1 || !author.happens(0.3) {
            author.post(event);
        }
    }
}

/// Short-lived instances, such as the jobs of a build server, that go without `end`.
pub(super) fn jobs(seed: u64, number: u32) -> Vec<Story> {
    let job = |offset| {
        let mut author = Author::new(Scenario::Jobs, seed, number + offset);
        let died = author.start + author.draw(10..40 * MINUTE);
        author.end_after(died);
        author.process(Process::dies(author.start, died, 20));
        author.finish()
    };
    (0..3).map(job).collect()
}
