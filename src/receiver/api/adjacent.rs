//! The events of a run before and after one of them.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::events::{EventPage, EventQuery, EventRow};
use crate::receiver::app::App;
use crate::receiver::http::problem::Problem;

/// Number of events of the server among which the ones of the run are looked for.
const LOOKED_AT: i64 = 100;

/// Times after an event within which the next one is looked for, one after another. A server may report every second, and
/// may report once a month. Where one time has no event of a server that reports evenly, the next has fewer than are
/// looked at.
const WITHIN: [SignedDuration; 4] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(50),
    SignedDuration::from_hours(32 * 24),
];

/// The events before and after one of them, of the same run.
#[derive(Default)]
pub(crate) struct AdjacentEvents {
    pub(crate) before: Option<EventRow>,
    pub(crate) after: Option<EventRow>,
}

impl AdjacentEvents {
    pub(crate) async fn ask(app: &App, event: &EventRow) -> Result<Self, Problem> {
        let mut earlier = EventQuery::latest_of(event.instance_id, LOOKED_AT);
        earlier.to = soon_after(event.ts.0, SignedDuration::from_micros(1));
        let found = EventPage::ask(app, &earlier).await?.events;
        let before = found.into_iter().find(|other| is_of_run(other, event) && place(other) < place(event));
        Ok(Self { before, after: after(app, event).await? })
    }
}

async fn after(app: &App, event: &EventRow) -> Result<Option<EventRow>, Problem> {
    for within in WITHIN {
        let mut later = EventQuery::latest_of(event.instance_id, LOOKED_AT);
        (later.from, later.to) = (Some(event.ts.0), soon_after(event.ts.0, within));
        let found = EventPage::ask(app, &later).await?;
        let mut of_run =
            found.events.into_iter().filter(|other| is_of_run(other, event) && place(other) > place(event));
        // The earliest of them is the last, unless there are more than were looked at.
        match (of_run.next_back(), found.next) {
            (_, Some(_)) => return Ok(None),
            (None, None) => {}
            (next, None) => return Ok(next),
        }
    }
    Ok(None)
}

fn soon_after(at: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    at.checked_add(by).ok()
}

fn is_of_run(other: &EventRow, event: &EventRow) -> bool {
    other.run_id == event.run_id
}

/// The place of an event in the order of pages.
fn place(event: &EventRow) -> (Timestamp, Uuid) {
    (event.ts.0, event.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_time_has_no_event_the_next_has_fewer_than_are_looked_at() {
        for pair in WITHIN.windows(2) {
            assert!(pair[1].as_secs() / pair[0].as_secs() < LOOKED_AT, "{pair:?}");
        }
    }
}
