//! The alert that a server is down: whether somebody was told.

use crate::receiver::api::alerts::LatestAlertRow;
use crate::receiver::api::moment::Moment;
use crate::receiver::store::State;

/// What became of the alert that a server is down.
pub(super) enum Alerted {
    Delivered(Moment),
    /// It was tried, and this is what came of it.
    Failed(String),
    Waiting,
    /// There is no destination of alerts.
    Nowhere,
}

/// What became of the alert that a server is down since this time, which is the `alert` if any. `None` where nothing is
/// known of it.
pub(super) fn alerted(
    since: Moment,
    alert: Option<&LatestAlertRow>,
    has_destination: bool,
) -> Option<Alerted> {
    let is_of_it = |alert: &&LatestAlertRow| {
        let transition = &alert.transition;
        (transition.change, &*transition.to, transition.at.0) == ("state", State::Down.as_str(), since.0)
    };
    match alert.filter(is_of_it) {
        None if has_destination => None,
        None => Some(Alerted::Nowhere),
        Some(LatestAlertRow { delivered_at: Some(at), .. }) => Some(Alerted::Delivered(*at)),
        Some(LatestAlertRow { failure: Some(failure), .. }) => Some(Alerted::Failed(failure.clone())),
        Some(_) => Some(Alerted::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{at, change};
    use super::*;
    use crate::receiver::api::history::TransitionRow;

    fn alert(transition: TransitionRow) -> LatestAlertRow {
        LatestAlertRow { transition, delivered_at: None, failed_at: None, failure: None }
    }

    #[test]
    fn the_alert_of_the_present_silence_is_told() {
        let since = Moment(at(-2.0));
        let waiting = alert(change(-2.0, "state", Some("late"), "down"));
        assert!(matches!(alerted(since, Some(&waiting), true), Some(Alerted::Waiting)));
        let failed = LatestAlertRow { failure: Some("refused".to_owned()), ..waiting };
        assert!(
            matches!(alerted(since, Some(&failed), true), Some(Alerted::Failed(why)) if why == "refused")
        );
        let delivered = LatestAlertRow { delivered_at: Some(Moment(at(-1.0))), ..failed };
        let told = alerted(since, Some(&delivered), true);
        assert!(matches!(told, Some(Alerted::Delivered(when)) if when.0 == at(-1.0)));
        for other in [
            change(-50.0, "state", Some("late"), "down"),
            change(-2.0, "state", Some("down"), "up"),
            change(-2.0, "license", Some("valid"), "invalid"),
        ] {
            assert!(alerted(since, Some(&alert(other)), true).is_none());
        }
        assert!(alerted(since, None, true).is_none());
        assert!(matches!(alerted(since, None, false), Some(Alerted::Nowhere)));
    }
}
