//! Ordinary deployments, of which a receiver may say nothing bad.

use super::story::{Author, DAY, HOUR, MINUTE, Process};
use crate::delivery::License;

/// A process that is stopped and started again now and then, mostly for a new release.
pub(super) fn restarted(author: &mut Author) {
    let mut began = author.start;
    let mut processes = Vec::new();
    for release in 0..author.draw(1..5) as u32 {
        let stopped = began + author.draw(10 * MINUTE..DAY);
        processes.push(Process::stops(began, stopped, 20 + release / 2));
        began = stopped + author.draw(5..10 * MINUTE);
    }
    author.end_after(began);
    if author.happens(0.7) {
        processes.push(Process::lives(began, 22));
    }
    processes.into_iter().for_each(|process| author.process(process));
}

/// Several processes that live beside each other, and are sometimes all stopped.
pub(super) fn replicas(author: &mut Author) {
    let stopped = author.start + author.draw(HOUR..DAY);
    let is_stopped = author.happens(0.5);
    author.end_after(stopped);
    for _ in 0..author.draw(2..7) {
        let began = author.start + author.draw(0..5 * MINUTE);
        let stopped = stopped + author.draw(0..30);
        author.process(match is_stopped {
            true => Process::stops(began, stopped, 20),
            false => Process::lives(began, 20),
        });
    }
}

/// A deployment of many replicas, which all begin within half an hour.
pub(super) fn first_deployment(author: &mut Author) {
    author.end_after(author.start + 30 * MINUTE);
    for _ in 0..author.draw(12..30) {
        let began = author.start + author.draw(0..30 * MINUTE);
        author.process(Process::lives(began, 20));
    }
}

/// A rolling update that starts each new process before it stops an old one.
pub(super) fn rolling_surge(author: &mut Author) {
    let (updated, step) = (author.start + author.draw(HOUR..DAY), author.draw(2 * MINUTE..5 * MINUTE));
    let replicas = author.draw(1..7);
    author.end_after(updated + replicas * step);
    for replica in 0..replicas {
        let began = updated + replica * step;
        let stopped = began + author.draw(5..MINUTE);
        author.process(Process::stops(author.start + replica, stopped, 20));
        author.process(Process::lives(began, 21));
    }
}

/// A rolling update that stops each old process before it starts a new one.
pub(super) fn rolling(author: &mut Author) {
    let (updated, step) = (author.start + author.draw(HOUR..DAY), author.draw(2 * MINUTE..5 * MINUTE));
    let replicas = author.draw(1..9);
    author.end_after(updated + replicas * step);
    for replica in 0..replicas {
        let stopped = updated + replica * step;
        let began = stopped + author.draw(5..2 * MINUTE);
        author.process(Process::stops(author.start + replica, stopped, 20));
        author.process(Process::lives(began, 21));
    }
}

/// A new deployment beside the old one, which is kept warm for a while.
pub(super) fn blue_green(author: &mut Author) {
    let switched = author.start + author.draw(HOUR..DAY);
    let kept_warm = author.draw(MINUTE..DAY);
    author.end_after(switched + kept_warm);
    for replica in 0..author.draw(1..5) {
        author.process(Process::stops(author.start + replica, switched + kept_warm, 20));
        author.process(Process::lives(switched + replica, 21));
    }
}

/// Replicas that an autoscaler starts and stops.
///
/// Two of its steps up are always more than ten minutes apart. An instance whose history shows no replicas, and to which
/// one process is added every ten minutes or faster for 40 minutes or longer, cannot be told from one in a crash loop: each
/// process is new, and none of those before has been heard since. Its next update shows the difference.
pub(super) fn autoscaled(author: &mut Author) {
    author.report_rarely();
    let (mut now, mut last) = (author.start + HOUR, 0);
    let mut processes = vec![Process::lives(author.start, 20)];
    for _ in 0..author.draw(2..7) {
        now += author.draw(11 * MINUTE..5 * HOUR);
        let stays = author.draw(30 * MINUTE..10 * HOUR);
        last = last.max(now + stays);
        processes.extend(
            (0..author.draw(1..4)).map(|replica| Process::stops(now + replica, now + replica + stays, 20)),
        );
    }
    author.end_after(last);
    processes.into_iter().for_each(|process| author.process(process));
}

/// One process of a new release beside those of the old one, which is stopped again.
pub(super) fn canary(author: &mut Author) {
    let began = author.start + author.draw(HOUR..DAY);
    let rolled_back = began + author.draw(2 * MINUTE..DAY);
    author.end_after(rolled_back);
    for replica in 0..author.draw(1..5) {
        author.process(Process::lives(author.start + replica, 20));
    }
    author.process(Process::stops(began, rolled_back, 21));
}

/// A license that expires and is renewed, with one process or with two.
pub(super) fn license_changes(author: &mut Author) {
    let expired = author.start + author.draw(HOUR..DAY);
    let renewed = expired + author.draw(10 * MINUTE..DAY);
    author.licenses = vec![(0, License::Valid), (expired, License::Invalid), (renewed, License::Valid)];
    author.end_after(renewed);
    for replica in 0..author.draw(1..3) {
        author.process(Process::lives(author.start + replica, 20));
    }
}
