//! Events of a fleet at a given pace, and their outcomes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::fleet::{Event, Fleet};
use crate::samples::Samples;
use crate::wire::{Answer, Traffic, Turn};

/// Maximum time in which all instances of a fleet begin.
const LONGEST_BEGIN: Duration = Duration::from_secs(120);

/// When the next event is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as a connection is free.
    Closed,
    /// At this rate per second, whether or not earlier events are answered. Latency counts from the scheduled time.
    Open(f64),
    /// At this rate per second as far as there are free connections. Latency counts from the time of sending, as for a
    /// sender with a connection of its own.
    Flood(f64),
}

/// Events of a fleet, of each instance in turn.
pub(crate) struct Stream<'a> {
    fleet: &'a Fleet,
    pace: Pace,
    began: Instant,
    /// Moment from which answers are counted.
    counts_from: Instant,
    ends_at: Instant,
    /// Number of events after which it ends early.
    most: u64,
    /// Number of events sent by all streams of this fleet.
    sent: &'a mut u64,
    due: u64,
    pub(crate) tally: Tally,
}

/// Outcomes of events.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) by_status: BTreeMap<u16, u64>,
    pub(crate) unanswered: u64,
    /// Number of answers 503 or 429 without `Retry-After`.
    pub(crate) without_retry_after: u64,
    /// Number of events that were due but found no free connection until the end.
    pub(crate) unsent: u64,
    /// Latencies of the answers 200 that count.
    pub(crate) took: Samples,
    /// Latencies of all other answers.
    pub(crate) refused_took: Samples,
}

impl<'a> Stream<'a> {
    /// A stream that begins now. The streams of a fleet share `sent`, so that no event is sent twice.
    pub(crate) fn new(
        fleet: &'a Fleet,
        sent: &'a mut u64,
        pace: Pace,
        warm_up: Duration,
        window: Duration,
    ) -> Self {
        let began = Instant::now();
        let counts_from = began + warm_up;
        Self {
            fleet,
            pace,
            began,
            counts_from,
            ends_at: counts_from + window,
            most: u64::MAX,
            sent,
            due: 0,
            tally: Tally::default(),
        }
    }

    /// A stream of the first events of all instances that have sent nothing yet.
    pub(crate) fn begins(fleet: &'a Fleet, sent: &'a mut u64) -> Self {
        let mut stream = Self::new(fleet, sent, Pace::Closed, Duration::ZERO, LONGEST_BEGIN);
        stream.most = fleet.count().into();
        stream
    }
}

impl Traffic for Stream<'_> {
    type Event = Event;

    fn next(&mut self, now: Instant, out: &mut Vec<u8>) -> Turn<Event> {
        if now >= self.ends_at || *self.sent >= self.most {
            if let Pace::Open(rate) | Pace::Flood(rate) = self.pace {
                let scheduled = ((self.ends_at - self.began).as_secs_f64() * rate) as u64;
                self.tally.unsent = scheduled.saturating_sub(self.due);
            }
            return Turn::Over;
        }
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Open(rate) | Pace::Flood(rate) => {
                self.began + Duration::from_secs_f64(self.due as f64 / rate)
            }
        };
        if due > now {
            return Turn::Wait(due.min(self.ends_at));
        }
        let since = if let Pace::Flood(_) = self.pace { now } else { due };
        let count = u64::from(self.fleet.count());
        let (instance, round) = (*self.sent % count, *self.sent / count);
        let event = Event { instance: instance as u32, sequence: round as u32 + 1 };
        self.fleet.write(event, out);
        *self.sent += 1;
        self.due += 1;
        Turn::Send(event, since)
    }

    fn answered(&mut self, _: Event, answer: Answer, took: Duration) {
        let now = Instant::now();
        *self.tally.by_status.entry(answer.status).or_default() += 1;
        if matches!(answer.status, 429 | 503) && !answer.has_retry_after {
            self.tally.without_retry_after += 1;
        }
        if now >= self.counts_from && now < self.ends_at {
            match answer.status {
                200 => self.tally.took.add(took),
                _ => self.tally.refused_took.add(took),
            }
        }
    }

    fn unanswered(&mut self, _: Event) {
        self.tally.unanswered += 1;
    }
}

impl Tally {
    /// Number of answers with this status, including those that do not count for latency.
    pub(crate) fn count(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or_default()
    }

    /// Number of answers with any other status.
    pub(crate) fn others(&self, statuses: &[u16]) -> u64 {
        self.by_status.iter().filter(|(status, _)| !statuses.contains(status)).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} unanswered, {} never sent", self.by_status, self.unanswered, self.unsent)
    }
}
