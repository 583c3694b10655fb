//! What is expected of a server, and whether it comes: by the rules by which it is judged.

use jiff::{SignedDuration, Timestamp};

use super::super::words::exact;
use crate::receiver::api::history::RunRow;
use crate::receiver::api::moment::Moment;
use crate::receiver::judging::judgement::{deadlines_after, grace};
use crate::receiver::store::{Outage, State};

/// When a server was heard, and when it is to be heard again.
pub(super) struct Expected {
    /// When those of its runs were last heard that did not end; where all ended, when any of them was.
    pub(super) heard_at: Moment,
    /// The time since then, in words, as the next two.
    pub(super) silent_for: String,
    pub(super) every: String,
    pub(super) grace: String,
    pub(super) due_at: Moment,
    /// When it counts as late, or did.
    pub(super) late_at: Moment,
    /// When it counts as down, or did.
    pub(super) down_at: Moment,
}

impl Expected {
    /// What is expected of a server that reports every `frequency` seconds and was last heard at `last_seen_at`.
    pub(super) fn of(
        frequency: i32,
        last_seen_at: Moment,
        runs: &[RunRow],
        outages: &[Outage],
        now: Timestamp,
    ) -> Self {
        let open = runs.iter().filter(|run| run.ended_at.is_none());
        let heard_at = open.map(|run| run.last_seen_at.0).max().unwrap_or(last_seen_at.0);
        let every = SignedDuration::from_secs(i64::from(frequency));
        let deadlines = deadlines_after(heard_at, frequency, outages, now);
        Self {
            heard_at: Moment(heard_at),
            silent_for: exact(now.duration_since(heard_at)),
            every: exact(every),
            grace: exact(grace(every)),
            due_at: Moment(heard_at.saturating_add(every).unwrap_or(Timestamp::MAX)),
            late_at: Moment(deadlines.late),
            down_at: Moment(deadlines.down),
        }
    }
}

/// What a server is, for the title of a tab.
pub(super) fn is_what(state: &State) -> &'static str {
    match state {
        State::Down => "is down",
        State::Late => "is late",
        State::Up => "is up",
        State::Ended => "has ended",
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, now, run};
    use super::*;

    #[test]
    fn a_server_is_expected_when_the_judge_expects_it() {
        let ended = RunRow { ended_at: Some(Moment(at(-2.0))), ..run(2, -9.0, -2.0) };
        let runs = [ended, run(1, -50.0, -18.2)];
        let outage = Outage { began_at: at(-12.0), ended_at: at(-11.0) };
        let expected = Expected::of(8 * 3_600, Moment(at(-2.0)), &runs, &[outage], now());
        assert_eq!(expected.heard_at.0, at(-18.2), "what has ended says nothing of the other");
        assert_eq!(
            (&*expected.silent_for, &*expected.every, &*expected.grace),
            ("18 h 12 min", "8 h", "24 min")
        );
        assert_eq!(expected.due_at.0, at(-10.2));
        assert_eq!((expected.late_at.0, expected.down_at.0), (at(-8.8), at(-0.8)));
    }

    #[test]
    fn where_no_run_is_known_its_last_sight_counts() {
        let expected = Expected::of(60, Moment(at(-1.0)), &[], &[], now());
        assert_eq!((expected.heard_at.0, &*expected.grace), (at(-1.0), "5 min"));
    }
}
