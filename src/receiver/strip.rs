//! The strip of an instance: its state on each of the last days. Pure arithmetic.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::store::{Instance, MOST_CHANGES, Outage, State, Transition, day_of, days_after, start_of};

/// Number of days of the strips in a list, the last of which is today.
pub(crate) const DAYS: usize = 30;

/// Number of days of the strip of one instance by itself.
pub(crate) const LONG_DAYS: usize = 90;

/// The first moment of a strip of so many days.
pub(crate) fn start(now: Timestamp, days: usize) -> Timestamp {
    start_of(first_day(now, days))
}

fn first_day(now: Timestamp, days: usize) -> Date {
    days_after(day_of(now), 1 - days as i64)
}

/// The worst state of each day, the earliest day first. `changes` are the changes of state since [`start`], the
/// earliest first.
///
/// A state is `None` where it is not known: before the instance was first seen, on days on which no receiver was at
/// work, and before the earliest of more changes than are looked at.
pub(crate) fn strip(
    instance: &Instance,
    changes: &[Transition],
    outages: &[Outage],
    now: Timestamp,
    days: usize,
) -> Vec<Option<State>> {
    let periods = periods(instance, changes);
    (0..days as i64)
        .map(|number| {
            let day = days_after(first_day(now, days), number);
            let (from, to) = (start_of(day), start_of(days_after(day, 1)));
            let is_dark = |outage: &Outage| outage.began_at <= from && to <= outage.ended_at;
            if outages.iter().any(is_dark) { None } else { worst(&periods, from, to) }
        })
        .collect()
}

/// Whether the instance was down before it came to be up, however long. `changes` are as those of a [`strip`].
pub(crate) fn is_back(instance: &Instance, changes: &[Transition]) -> bool {
    let is_return = |last: &Transition| {
        last.from.as_deref() == Some(State::Down.as_str()) && last.to == State::Up.as_str()
    };
    instance.state == State::Up && changes.last().is_some_and(is_return)
}

/// For how long it was down before that, where it went down within the same days.
pub(crate) fn back_after(instance: &Instance, changes: &[Transition]) -> Option<SignedDuration> {
    let [.., down, back] = changes else { return None };
    let is_known = is_back(instance, changes) && down.to == State::Down.as_str();
    is_known.then(|| back.at.duration_since(down.at))
}

/// The times from which the instance was in a state, the earliest first; each period lasts until the next.
pub(super) fn periods(instance: &Instance, changes: &[Transition]) -> Vec<(Timestamp, Option<State>)> {
    let Some(first) = changes.first() else {
        return vec![(instance.first_seen_at, Some(instance.state))];
    };
    let before = first.from.as_deref().filter(|_| changes.len() < MOST_CHANGES).and_then(State::parse);
    let mut periods = vec![(instance.first_seen_at, before)];
    periods.extend(changes.iter().map(|change| (change.at, State::parse(&change.to))));
    periods
}

/// The worst state between two times.
fn worst(periods: &[(Timestamp, Option<State>)], from: Timestamp, to: Timestamp) -> Option<State> {
    let before = periods.iter().rev().find(|(since, _)| *since <= from);
    let within = periods.iter().filter(|(since, _)| from < *since && *since < to);
    before.into_iter().chain(within).filter_map(|(_, state)| *state).min_by_key(|state| state.rank())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::receiver::store::{Change, Facts, Flags, Losses};

    const HOURS: i64 = 24 * DAYS as i64;

    fn now() -> Timestamp {
        "2027-01-30T13:00:00Z".parse().unwrap()
    }

    /// The time that is this many hours after the beginning of the strip.
    fn at(hours: i64) -> Timestamp {
        start(now(), DAYS) + SignedDuration::from_hours(hours)
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

    fn change(at: Timestamp, from: Option<State>, to: State) -> Transition {
        let from = from.map(|state| state.as_str().to_owned());
        Transition { at, change: Change::State, from, to: to.as_str().to_owned() }
    }

    #[test]
    fn who_came_back_was_down_before() {
        let (late, down) = (Some(State::Late), Some(State::Down));
        let went_down = change(at(1), late, State::Down);
        let [back, in_time] = [down, late].map(|from| change(at(7), from, State::Up));
        let of = |state, changes: &[Transition]| {
            let instance = instance(at(-1), state);
            (is_back(&instance, changes), back_after(&instance, changes).map(|length| length.as_hours()))
        };
        let both = [went_down.clone(), back.clone()];
        assert_eq!(of(State::Up, &both), (true, Some(6)));
        assert_eq!(of(State::Up, &both[1..]), (true, None), "it went down before these days");
        assert_eq!(of(State::Up, &[change(at(3), Some(State::Up), State::Late), in_time]), (false, None));
        assert_eq!(of(State::Up, &[]), (false, None));
        let later = [went_down, back, change(at(9), Some(State::Up), State::Ended)];
        assert_eq!(of(State::Ended, &later), (false, None));
    }

    #[test]
    fn a_strip_ends_today() {
        assert_eq!(start(now(), DAYS).to_string(), "2027-01-01T00:00:00Z");
        let strip = strip(&instance(at(-1), State::Up), &[], &[], now(), DAYS);
        assert_eq!(strip, [Some(State::Up); DAYS]);
    }

    #[test]
    fn a_day_shows_its_worst_state_and_days_before_the_first_sight_are_not_known() {
        let changes = [
            change(at(48), None, State::Up),
            change(at(73), Some(State::Up), State::Late),
            change(at(95), Some(State::Late), State::Down),
            change(at(96), Some(State::Down), State::Up),
            change(at(5 * 24 + 1), Some(State::Up), State::Ended),
        ];
        let strip = strip(&instance(at(48), State::Ended), &changes, &[], now(), DAYS);
        let (up, down, ended) = (Some(State::Up), Some(State::Down), Some(State::Ended));
        // At the midnight after its third day it was down until that very moment.
        assert_eq!(strip[..8], [None, None, up, down, up, up, ended, ended]);
        assert_eq!(strip[8..], [ended; DAYS - 8]);
    }

    #[test]
    fn what_was_before_the_first_change_is_what_it_changed_from() {
        let changes = [change(at(25), Some(State::Down), State::Up)];
        let strip = strip(&instance(at(-1_000), State::Up), &changes, &[], now(), DAYS);
        assert_eq!(strip[..3], [Some(State::Down), Some(State::Down), Some(State::Up)]);
    }

    #[test]
    fn a_day_without_any_receiver_is_not_known() {
        let outage = Outage { began_at: at(20), ended_at: at(50) };
        let strip = strip(&instance(at(-1), State::Up), &[], &[outage], now(), DAYS);
        assert_eq!(strip[..3], [Some(State::Up), None, Some(State::Up)]);
    }

    #[test]
    fn more_changes_than_are_looked_at_leave_the_time_before_them_unknown() {
        let changes: Vec<_> = (0..MOST_CHANGES as i64)
            .map(|number| {
                let at = at(24) + SignedDuration::from_secs(number);
                change(at, Some(State::Late), if number % 2 == 0 { State::Up } else { State::Late })
            })
            .collect();
        let strip = strip(&instance(at(-1), State::Late), &changes, &[], now(), DAYS);
        assert_eq!(strip[..2], [None, Some(State::Late)]);
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop::sample::select(State::ALL.to_vec())
    }

    proptest! {
        /// The same by looking at every half hour.
        #[test]
        fn each_day_is_the_worst_of_its_half_hours(
            first_seen in -100..HOURS, begin in any_state(),
            later in prop::collection::btree_map(-50..HOURS, any_state(), 0..12),
        ) {
            let later: Vec<_> = later.into_iter().filter(|(hour, _)| *hour > first_seen).collect();
            let state_at = |half_hour: i64| {
                let since = |hour: &i64| hour * 2 <= half_hour;
                let last = later.iter().rev().find(|(hour, _)| since(hour)).map(|(_, state)| *state);
                last.or(since(&first_seen).then_some(begin))
            };
            let mut changes = vec![change(at(first_seen), None, begin)];
            for (hour, state) in &later {
                let from = State::parse(&changes.last().unwrap().to);
                changes.push(change(at(*hour), from, *state));
            }
            let last = later.last().map_or(begin, |(_, state)| *state);
            // The store answers the changes since the beginning of the strip.
            changes.retain(|change| change.at >= at(0));
            let strip = strip(&instance(at(first_seen), last), &changes, &[], now(), DAYS);
            let expected: Vec<_> = (0..DAYS as i64)
                .map(|day| (48 * day..48 * (day + 1)).filter_map(state_at).min_by_key(|state| state.rank()))
                .collect();
            prop_assert_eq!(strip, expected);
        }
    }
}
