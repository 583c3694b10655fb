//! How often a server that keeps being started began lately.

use jiff::{SignedDuration, Timestamp};

use super::super::words::count;
use crate::receiver::api::history::MarkRow;
use crate::receiver::api::instance::SHOWN_EVENTS;

/// The time within which begins are counted.
const WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The number of begins within the last hour, among the latest events of a server; `None` where none is known. A server
/// counts as restarting for a while after its last begin.
pub(super) fn begins_within_an_hour(events: &[MarkRow], now: Timestamp) -> Option<String> {
    let since = now.saturating_sub(WITHIN).unwrap_or(Timestamp::MIN);
    let is_within = |event: &MarkRow| event.ts.0 >= since;
    let begins = events.iter().filter(|event| event.reason == "begin" && is_within(event)).count() as i64;
    let are_cut = events.len() as i64 >= SHOWN_EVENTS && events.last().is_some_and(is_within);
    let least = if are_cut { "at least " } else { "" };
    (begins > 0).then(|| format!("{least}{}", count(begins, "begin")))
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, now, run_id};
    use super::*;
    use crate::receiver::api::moment::Moment;

    /// Events that came these hours before now.
    fn events(reason: &str, hours: impl IntoIterator<Item = f64>) -> Vec<MarkRow> {
        let event = |hours: f64| MarkRow {
            id: run_id(1),
            ts: Moment(at(-hours)),
            run_id: run_id(1),
            sequence: 1,
            reason: reason.to_owned(),
        };
        hours.into_iter().map(event).collect()
    }

    #[test]
    fn begins_of_the_last_hour_are_counted() {
        let words = |events: &[MarkRow]| begins_within_an_hour(events, now());
        assert_eq!(words(&events("begin", [0.1, 0.5, 0.9, 1.1])).as_deref(), Some("3 begins"));
        assert_eq!(words(&events("begin", [0.1])).as_deref(), Some("1 begin"));
        assert_eq!(words(&events("begin", [1.1, 1.2, 1.3])), None, "the last was longer ago");
        assert_eq!(words(&events("update", [0.1])), None);
    }

    #[test]
    fn of_more_events_than_are_looked_at_there_are_at_least_so_many() {
        let at_once = |hours| events("begin", std::iter::repeat_n(hours, SHOWN_EVENTS as usize));
        let words = |events: &[MarkRow]| begins_within_an_hour(events, now());
        assert_eq!(words(&at_once(0.5)).as_deref(), Some("at least 500 begins"));
        let mut earlier = at_once(0.5);
        earlier.pop();
        assert_eq!(words(&earlier).as_deref(), Some("499 begins"));
        earlier.extend(events("begin", [1.5]));
        assert_eq!(words(&earlier).as_deref(), Some("499 begins"), "those of the last hour are all there");
    }
}
