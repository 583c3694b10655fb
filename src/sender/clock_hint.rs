//! The clock of this machine as the likely cause of a refusal (spec §4).

use std::time::{Duration, SystemTime};

use super::config::format_duration;
use crate::outgoing::Answer;

/// Difference of the clocks up to which receivers accept a signature.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Explanation of a `401` by a clock that differs from the destination's by more than [`TOLERANCE`].
pub(super) fn clock_hint(answer: Answer, now: SystemTime) -> Option<String> {
    let date = answer.date.filter(|_| answer.status == 401)?;
    let (difference, direction) = match now.duration_since(date) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    (difference > TOLERANCE).then(|| {
        // Whole minutes are enough for a person.
        format!(
            "the clock of this machine is {} {direction} the clock of the destination; set it, because a signature \
             or a token may count as expired",
            format_duration(Duration::from_secs(difference.as_secs().next_multiple_of(60)))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::clock::fake::start_of_tests;

    #[test]
    fn only_a_401_with_a_date_far_from_our_clock_is_explained() {
        let now = start_of_tests();
        let seconds = Duration::from_secs;
        let hint = |status, date| clock_hint(Answer { status, date }, now);
        assert!(hint(401, Some(now + seconds(301))).unwrap().contains("6m behind the clock"));
        assert!(hint(401, Some(now - seconds(86_400))).unwrap().contains("24h ahead of the clock"));
        for (status, date) in [
            (401, None),
            (401, Some(now + seconds(300))),
            (401, Some(now - seconds(300))),
            (403, Some(now + seconds(3600))),
            (200, Some(now + seconds(3600))),
        ] {
            assert_eq!(hint(status, date), None, "{status} {date:?}");
        }
    }
}
