//! The pulse of the receiver itself: whether what the pages say is true at the moment.

use std::time::Duration;

use jiff::Timestamp;

use super::words::{Icon, clock, icon, span};
use crate::receiver::health::HealthState;

/// Time without a judgement after which nothing is known of the fleet. A judgement is made once a second.
const BLIND_AFTER: Duration = Duration::from_secs(30);

/// Whether the fleet is being watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    /// It was judged at this time.
    Live(Timestamp),
    /// It was not judged yet since the receiver started.
    Starting,
    /// It was judged last at this time, too long ago, or never.
    Blind(Option<Timestamp>),
}

impl Pulse {
    pub(super) fn of(health: HealthState, judged_at: Option<Timestamp>, now: Timestamp) -> Self {
        let is_fresh = |at: &Timestamp| now.duration_since(*at).unsigned_abs() < BLIND_AFTER;
        match (health, judged_at) {
            (HealthState::Running, None) => Self::Starting,
            (HealthState::Running, Some(at)) if is_fresh(&at) => Self::Live(at),
            (_, judged_at) => Self::Blind(judged_at),
        }
    }

    /// The class of the state that it looks like.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Live(_) => "up",
            Self::Starting => "ended",
            Self::Blind(_) => "down",
        }
    }

    pub(super) fn icon(self) -> Icon {
        icon(match self {
            Self::Live(_) => "s-up",
            Self::Starting => "s-ended",
            Self::Blind(_) => "s-down",
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Live(_) => "Live",
            Self::Starting => "Starting",
            Self::Blind(_) => "Blind",
        }
    }

    /// Whether nothing is known of the fleet by now.
    pub(super) fn is_blind(self) -> bool {
        matches!(self, Self::Blind(_))
    }

    /// What it means for what the pages show, where they do not show the truth.
    pub(super) fn remark(self, now: Timestamp) -> Option<String> {
        let Self::Blind(judged_at) = self else { return None };
        Some(match judged_at {
            Some(at) => {
                let at = clock(at, now);
                format!("The receiver is blind since {at} UTC: what is shown is what was known then.")
            }
            None => {
                "The receiver is blind: it has judged nothing since its start, and what is shown may be old."
                    .to_owned()
            }
        })
    }

    pub(super) fn detail(self, now: Timestamp) -> String {
        match self {
            Self::Live(at) => format!("judged {} ago", span(now.duration_since(at))),
            Self::Starting => "nothing judged yet".to_owned(),
            Self::Blind(Some(at)) => format!("since {} UTC", clock(at, now)),
            Self::Blind(None) => "nothing was judged".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_receiver_that_judged_nothing_for_a_while_is_blind() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        let at = |seconds| Some(now - SignedDuration::from_secs(seconds));
        let pulse = |health, judged_at| {
            let pulse = Pulse::of(health, judged_at, now);
            format!("{} {}", pulse.word(), pulse.detail(now))
        };
        assert_eq!(pulse(HealthState::Running, at(1)), "Live judged 1 s ago");
        assert_eq!(pulse(HealthState::Running, at(29)), "Live judged 29 s ago");
        assert_eq!(pulse(HealthState::Running, at(30)), "Blind since 03:13 UTC");
        assert_eq!(pulse(HealthState::Running, None), "Starting nothing judged yet");
        assert_eq!(pulse(HealthState::Frozen, at(3_847)), "Blind since 02:10 UTC");
        assert_eq!(pulse(HealthState::Down, None), "Blind nothing was judged");
        let remark = |judged_at| Pulse::of(HealthState::Down, judged_at, now).remark(now).unwrap();
        assert!(remark(at(3_847)).ends_with("since 02:10 UTC: what is shown is what was known then."));
        assert!(remark(None).ends_with("nothing since its start, and what is shown may be old."));
    }
}
