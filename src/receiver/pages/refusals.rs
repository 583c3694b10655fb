//! That requests are being refused, for the page of the fleet, from which their servers are missing. Pure.

use jiff::{SignedDuration, Timestamp};

use super::words::{count, span};
use crate::receiver::ingest::refused::{Lately, RefusedRequests};

/// What there is to say of the requests that were refused lately.
#[derive(Debug, PartialEq)]
pub(super) struct Refusals {
    /// The class of the state that it is as bad as: what comes with a key in use is a server of somebody.
    pub(super) class: &'static str,
    pub(super) words: String,
}

impl Refusals {
    /// Those of the last hour; where there are none, of the last day; `None` where there are none either.
    pub(super) fn of(requests: &RefusedRequests, now: Timestamp) -> Option<Self> {
        [(1, "hour"), (24, "day")].into_iter().find_map(|(hours, span)| {
            let since = now.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
            Self::told(requests.since(since), span, now)
        })
    }

    fn told(lately: Lately, within: &str, now: Timestamp) -> Option<Self> {
        let last = span(now.duration_since(lately.last?));
        let least = if lately.at_least { "At least " } else { "" };
        let were = if lately.count == 1 { "was" } else { "were" };
        let requests = count(lately.count as i64, "request");
        let strangers = match lately.of_keys {
            0 => " with a key that is unknown or revoked",
            _ => "",
        };
        Some(Self {
            class: if lately.of_keys > 0 { "late" } else { "ended" },
            words: format!(
                "{least}{requests}{strangers} {were} refused in the last {within}, the last {last} ago."
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_said_with_its_number_and_the_time_of_the_last() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        let last = Some(now - SignedDuration::from_mins(3));
        let told = |lately| Refusals::told(lately, "hour", now).map(|told| (told.class, told.words));
        assert_eq!(told(Lately::default()), None);
        let some = Lately { count: 12, of_keys: 3, at_least: false, last };
        let words = "12 requests were refused in the last hour, the last 3 min ago.";
        assert_eq!(told(some), Some(("late", words.to_owned())));
        let strange = Lately { count: 1, of_keys: 0, at_least: false, last };
        let words = "1 request with a key that is unknown or revoked was refused in the last hour, the last 3 min ago.";
        assert_eq!(told(strange), Some(("ended", words.to_owned())));
        let many = told(Lately { count: 250, of_keys: 250, at_least: true, last }).unwrap().1;
        assert!(many.starts_with("At least 250 requests were refused"), "{many}");
        assert_eq!(Refusals::of(&RefusedRequests::default(), now), None);
    }
}
