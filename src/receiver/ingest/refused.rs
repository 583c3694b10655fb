//! The last requests to the webhook that were refused, so that people see a release that sends what cannot be taken, and
//! a server that posts with a key of somebody else (receiver §1).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::receiver::http::problem::Problem;
use crate::receiver::keys::ring::ActiveKey;

/// Number of refused requests that are kept of keys that are known, and of all others. The others are apart, so that
/// anybody who guesses at keys cannot push out the rest.
pub(crate) const MOST_OF_KEYS: usize = 250;
pub(crate) const MOST_OF_OTHERS: usize = 50;

/// Longest text that is kept of a request, in characters.
const LONGEST: usize = 64;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) at: Timestamp,
    /// Id and name of the key; `None` where it is unknown or revoked.
    pub(crate) key: Option<(Uuid, String)>,
    /// Word and status of the cause, and what was said of it.
    pub(crate) cause: &'static str,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
    pub(crate) product: String,
    /// What the body says, as far as it can be read.
    pub(crate) instance_id: Option<String>,
    pub(crate) version: Option<String>,
}

/// What is known of a request by the time it is refused.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) key: Option<Arc<ActiveKey>>,
    pub(crate) product: String,
    pub(crate) body: Vec<u8>,
}

/// What is shown of a body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    instance_id: Option<String>,
    build_version: Option<String>,
}

impl Refused {
    pub(crate) fn of(at: Timestamp, seen: Seen, problem: &Problem) -> Self {
        let shown: Shown = serde_json::from_slice(&seen.body).unwrap_or_default();
        Self {
            at,
            key: seen.key.map(|key| (key.id, key.name.clone())),
            cause: problem.cause.word(),
            status: problem.cause.status().as_u16(),
            detail: problem.to_string(),
            field: problem.blamed().map(str::to_owned),
            product: seen.product,
            instance_id: shown.instance_id.map(shortened),
            version: shown.build_version.map(shortened),
        }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Number of the requests that were refused since a moment, as far as they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lately {
    pub(crate) count: usize,
    /// Those of them that came with a key that is known.
    pub(crate) of_keys: usize,
    /// There were more that are not kept any more, or may have been.
    pub(crate) at_least: bool,
    /// When the last of them was refused.
    pub(crate) last: Option<Timestamp>,
}

/// The requests that were refused last. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusedRequests(Arc<Mutex<Rings>>);

#[derive(Debug, Default)]
struct Rings {
    of_keys: VecDeque<Refused>,
    of_others: VecDeque<Refused>,
    /// Number of all that there were.
    count: u64,
}

impl RefusedRequests {
    pub(crate) fn add(&self, refused: Refused) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rings.count += 1;
        let (ring, most) = match refused.key {
            Some(_) => (&mut rings.of_keys, MOST_OF_KEYS),
            None => (&mut rings.of_others, MOST_OF_OTHERS),
        };
        if ring.len() == most {
            ring.pop_front();
        }
        ring.push_back(refused);
    }

    /// Number of requests that were refused since the start.
    pub(crate) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Those that were refused at a moment or later.
    pub(crate) fn since(&self, moment: Timestamp) -> Lately {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lately = Lately::default();
        for (ring, most) in [(&rings.of_keys, MOST_OF_KEYS), (&rings.of_others, MOST_OF_OTHERS)] {
            let recent = || ring.iter().filter(|refused| refused.at >= moment);
            let count = recent().count();
            lately.count += count;
            lately.at_least |= count == most;
            lately.last = lately.last.max(recent().map(|refused| refused.at).max());
        }
        lately.of_keys = rings.of_keys.iter().filter(|refused| refused.at >= moment).count();
        lately
    }

    /// All that are kept, the latest first.
    pub(crate) fn list(&self) -> Vec<Refused> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Refused> = rings.of_keys.iter().chain(&rings.of_others).cloned().collect();
        drop(rings);
        all.sort_by_key(|refused| std::cmp::Reverse(refused.at));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::WebhookKey;

    fn refused(second: i64, key: Option<Arc<ActiveKey>>, body: &str) -> Refused {
        let at = Timestamp::from_second(second).unwrap();
        let seen = Seen { key, product: "example-server".to_owned(), body: body.as_bytes().to_vec() };
        Refused::of(at, seen, &Problem::bad_field("reason", "text"))
    }

    #[test]
    fn the_latest_are_kept_and_strangers_push_out_no_others() {
        let requests = RefusedRequests::default();
        let key = Some(Arc::new(ActiveKey::of_host(&WebhookKey::generate())));
        requests.add(refused(0, key.clone(), "{}"));
        for second in 1..1_000 {
            requests.add(refused(second, None, "{}"));
        }
        let list = requests.list();
        assert_eq!(list.len(), 1 + MOST_OF_OTHERS);
        let name = |refused: &Refused| refused.key.as_ref().map(|(_, name)| name.clone());
        assert_eq!((list[0].at.as_second(), name(&list[50]).as_deref()), (999, Some("host")));
        for second in 1_000..2_000 {
            requests.add(refused(second, key.clone(), "{}"));
        }
        assert_eq!(requests.list().len(), MOST_OF_KEYS + MOST_OF_OTHERS);
        assert_eq!(requests.count(), 2_000);
    }

    #[test]
    fn those_since_a_moment_are_counted_as_far_as_they_are_kept() {
        let requests = RefusedRequests::default();
        let since = |second| requests.since(Timestamp::from_second(second).unwrap());
        assert_eq!(since(0), Lately::default());
        let key = Some(Arc::new(ActiveKey::of_host(&WebhookKey::generate())));
        for second in 0..10 {
            requests.add(refused(second, None, "{}"));
        }
        requests.add(refused(7, key, "{}"));
        let last = Some(Timestamp::from_second(9).unwrap());
        assert_eq!(since(5), Lately { count: 6, of_keys: 1, at_least: false, last });
        assert_eq!(since(8), Lately { count: 2, of_keys: 0, at_least: false, last });
        for second in 10..10 + MOST_OF_OTHERS as i64 {
            requests.add(refused(second, None, "{}"));
        }
        assert!(since(10).at_least && !since(11).at_least);
        assert_eq!(since(0).count, MOST_OF_OTHERS + 1);
    }

    #[test]
    fn what_is_kept_of_a_body_is_short_and_no_body_makes_it_fail() {
        let long = "ž".repeat(10_000);
        let kept =
            refused(0, None, &format!(r#"{{"instance_id":"{long}","build_version":"2.0","more":[]}}"#));
        assert_eq!(kept.instance_id.unwrap().chars().count(), LONGEST + 1);
        assert_eq!((kept.version.as_deref(), kept.field.as_deref()), (Some("2.0"), Some("reason")));
        assert_eq!((kept.cause, kept.status), ("field", 400));
        for body in ["", "{", "[]", r#"{"instance_id":7}"#, "\u{0}"] {
            assert_eq!(refused(0, None, body).instance_id, None, "{body}");
        }
    }
}
