//! The silence of an instance month by month: how often and for how long it was down or late. Pure arithmetic.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::store::{Instance, Outage, State, Transition, day_of, days_after, start_of};
use super::strip::{self, periods};

/// The silence of one month, as far as it lies in the time that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month {
    /// Its first day.
    pub(crate) first_day: Date,
    pub(crate) down: Spells,
    pub(crate) late: Spells,
    /// Seconds for which it was up.
    pub(crate) up_seconds: i64,
}

/// The spells of a state that lie in a month, or reach into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spells {
    pub(crate) count: i64,
    /// Their seconds within the month.
    pub(crate) seconds: i64,
}

impl Month {
    /// The part of the time in which it was up, of that in which it was down, late or up. `None` where there is none of it.
    pub(crate) fn in_time(&self) -> Option<f64> {
        let all = self.down.seconds + self.late.seconds + self.up_seconds;
        (all > 0).then(|| self.up_seconds as f64 / all as f64)
    }
}

/// The months of the last `days` days, the latest first, from the one in which the instance was first seen. `changes` are the
/// changes of state since [`strip::start`], the earliest first.
///
/// The time of outages, in which nothing is known, counts for no state, and neither does what was before the earliest of
/// more changes than are looked at.
pub(crate) fn by_month(
    instance: &Instance,
    changes: &[Transition],
    outages: &[Outage],
    now: Timestamp,
    days: usize,
) -> Vec<Month> {
    let begin = strip::start(now, days).max(instance.first_seen_at);
    let spells = spells(instance, changes, begin, now);
    let mut first_day = day_of(now).first_of_month();
    let mut months = Vec::new();
    while start_of(first_day) < now {
        let next = days_after(first_day.last_of_month(), 1);
        let month = (start_of(first_day).max(begin), start_of(next).min(now));
        if month.1 <= begin {
            break;
        }
        months.push(silence(first_day, month, &spells, outages));
        first_day = days_after(first_day, -1).first_of_month();
    }
    months
}

/// A time from a moment to another.
type Span = (Timestamp, Timestamp);

/// The times in which the instance was in one state, one after the other.
fn spells(
    instance: &Instance,
    changes: &[Transition],
    begin: Timestamp,
    now: Timestamp,
) -> Vec<(Span, Option<State>)> {
    let periods = periods(instance, changes);
    let ends = periods.iter().skip(1).map(|(since, _)| *since).chain([now]);
    let mut spells: Vec<(Span, Option<State>)> = Vec::new();
    for ((since, state), until) in periods.iter().zip(ends) {
        let span = ((*since).max(begin), until.min(now));
        match spells.last_mut() {
            // Two changes that lead to the same state, or a change to the state that it was in.
            Some(((_, last_until), last)) if *last == *state => *last_until = span.1.max(*last_until),
            _ if span.0 < span.1 => spells.push((span, *state)),
            _ => {}
        }
    }
    spells
}

fn silence(first_day: Date, month: Span, spells: &[(Span, Option<State>)], outages: &[Outage]) -> Month {
    let of = |wanted: State| {
        let mut sum = Spells::default();
        for (span, state) in spells {
            let within = (span.0.max(month.0), span.1.min(month.1));
            if *state == Some(wanted) && within.0 < within.1 {
                sum.count += 1;
                sum.seconds += lit_seconds(within, outages);
            }
        }
        sum
    };
    Month { first_day, down: of(State::Down), late: of(State::Late), up_seconds: of(State::Up).seconds }
}

/// The seconds of a span without the outages in it, which do not overlap.
fn lit_seconds(span: Span, outages: &[Outage]) -> i64 {
    let dark = outages
        .iter()
        .map(|outage| (outage.began_at.max(span.0), outage.ended_at.min(span.1)))
        .filter(|(from, to)| from < to)
        .fold(SignedDuration::ZERO, |sum, (from, to)| sum + to.duration_since(from));
    (span.1.duration_since(span.0) - dark).as_secs().max(0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::receiver::store::{Change, Facts, Flags, Losses};

    const DAYS: usize = 90;
    const HOUR: i64 = 3_600;

    fn now() -> Timestamp {
        "2027-03-02T12:00:00Z".parse().unwrap()
    }

    fn instance(first_seen_at: Timestamp, state: State) -> Instance {
        Instance {
            instance_id: uuid::Uuid::nil(),
            first_seen_at,
            last_seen_at: now(),
            state,
            state_since: first_seen_at,
            flags: Flags::default(),
            losses: Losses::default(),
            begins_since: None,
            frequency: 3_600,
            facts: Facts::default(),
            judged_at: Some(now()),
            untold: false,
        }
    }

    fn change(at: &str, from: State, to: State) -> Transition {
        let (from, to) = (Some(from.as_str().to_owned()), to.as_str().to_owned());
        Transition { at: at.parse().unwrap(), change: Change::State, from, to }
    }

    fn spells(count: i64, hours: i64) -> Spells {
        Spells { count, seconds: hours * HOUR }
    }

    #[test]
    fn silence_is_summed_up_by_month() {
        let known = instance("2026-01-01T00:00:00Z".parse().unwrap(), State::Down);
        let changes = [
            change("2027-01-10T00:00:00Z", State::Up, State::Late),
            change("2027-01-10T02:00:00Z", State::Late, State::Up),
            // Over the end of the month.
            change("2027-01-31T20:00:00Z", State::Up, State::Late),
            change("2027-01-31T22:00:00Z", State::Late, State::Down),
            change("2027-02-01T04:00:00Z", State::Down, State::Up),
            change("2027-03-02T10:00:00Z", State::Up, State::Down),
        ];
        let months = by_month(&known, &changes, &[], now(), DAYS);
        let days: Vec<Date> = months.iter().map(|month| month.first_day).collect();
        assert_eq!(days, [date(2027, 3, 1), date(2027, 2, 1), date(2027, 1, 1), date(2026, 12, 1)]);
        let shown: Vec<_> =
            months.iter().map(|month| (month.down, month.late, month.up_seconds / HOUR)).collect();
        assert_eq!(
            shown,
            [
                (spells(1, 2), spells(0, 0), 34),
                (spells(1, 4), spells(0, 0), 28 * 24 - 4),
                (spells(1, 2), spells(2, 4), 31 * 24 - 6),
                // From 3 December on, which is 89 days before today.
                (spells(0, 0), spells(0, 0), 29 * 24),
            ]
        );
        let in_time = months[2].in_time().unwrap();
        assert!((in_time - (744.0 - 6.0) / 744.0).abs() < 1e-9, "{in_time}");
    }

    #[test]
    fn what_is_not_known_counts_for_nothing() {
        let first_seen = "2027-02-10T00:00:00Z".parse().unwrap();
        let changes = [change("2027-02-11T00:00:00Z", State::Up, State::Ended)];
        let outage = Outage {
            began_at: "2027-02-10T06:00:00Z".parse().unwrap(),
            ended_at: "2027-02-10T18:00:00Z".parse().unwrap(),
        };
        let months = by_month(&instance(first_seen, State::Ended), &changes, &[outage], now(), DAYS);
        assert_eq!(months.len(), 2, "it was not there before");
        assert_eq!((months[0].up_seconds, months[0].in_time()), (0, None));
        assert_eq!((months[1].up_seconds, months[1].in_time()), (12 * HOUR, Some(1.0)));
        let new = by_month(&instance(now(), State::Up), &[], &[], now(), DAYS);
        assert_eq!(new, []);
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop::sample::select(State::ALL.to_vec())
    }

    proptest! {
        /// The same by looking at every hour.
        #[test]
        fn the_seconds_are_those_of_all_hours(
            first_seen in -200..2_100_i64, begin in any_state(),
            later in prop::collection::btree_map(0..2_148_i64, any_state(), 0..12),
            dark in prop::option::of((0..2_000_i64, 1..300_i64)),
        ) {
            // Hours since the beginning.
            let at = |hour: i64| strip::start(now(), DAYS) + SignedDuration::from_hours(hour);
            let later: Vec<_> = later.into_iter().filter(|(hour, _)| *hour > first_seen).collect();
            let state_at = |hour: i64| {
                let last = later.iter().rev().find(|(since, _)| *since <= hour).map(|(_, state)| *state);
                last.or((first_seen <= hour).then_some(begin))
            };
            let mut changes = Vec::new();
            let mut from = begin;
            for (hour, state) in &later {
                let (old, new) = (Some(from.as_str().to_owned()), state.as_str().to_owned());
                changes.push(Transition { at: at(*hour), change: Change::State, from: old, to: new });
                from = *state;
            }
            let outage = dark.map(|(hour, hours)| Outage { began_at: at(hour), ended_at: at(hour + hours) });
            let is_dark = |hour: i64| dark.is_some_and(|(from, hours)| (from..from + hours).contains(&hour));
            let outages: Vec<Outage> = outage.into_iter().collect();
            let months = by_month(&instance(at(first_seen), from), &changes, &outages, now(), DAYS);
            let end = now().duration_since(at(0)).as_hours();
            for month in &months {
                let hours = |wanted: State| {
                    let is_one = |hour: &i64| {
                        day_of(at(*hour)).first_of_month() == month.first_day
                            && !is_dark(*hour)
                            && state_at(*hour) == Some(wanted)
                    };
                    (0..end).filter(is_one).count() as i64
                };
                prop_assert_eq!(month.down.seconds, hours(State::Down) * HOUR);
                prop_assert_eq!(month.late.seconds, hours(State::Late) * HOUR);
                prop_assert_eq!(month.up_seconds, hours(State::Up) * HOUR);
                prop_assert!((month.down.seconds == 0) || month.down.count > 0);
            }
            let known = (0..end).any(|hour| state_at(hour).is_some());
            prop_assert_eq!(months.is_empty(), !known);
        }
    }
}
