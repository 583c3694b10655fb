//! The silence of a server by month, in words.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::words::{exact, number};
use crate::receiver::api::history::SpellsRow;

/// The name of a month, with its year where that is another.
pub(super) fn month_name(month: &Date, now: Timestamp) -> String {
    let is_this_year = month.year() == now.to_zoned(TimeZone::UTC).year();
    month.strftime(if is_this_year { "%B" } else { "%B %Y" }).to_string()
}

/// How often a server was silent, and for how long.
pub(super) fn spells(spells: &SpellsRow) -> String {
    let length = exact(SignedDuration::from_secs(spells.seconds));
    match spells.count {
        ..=0 => "never".to_owned(),
        1 => format!("once, {length}"),
        2 => format!("twice, {length} together"),
        count => format!("{} times, {length} together", number(count)),
    }
}

/// A part of the time in hundredths, never more than it is: what is not all is not shown as all.
pub(super) fn in_time(part: &Option<f64>) -> String {
    match part {
        Some(part) if *part >= 1.0 => "100 %".to_owned(),
        Some(part) => format!("{:.1} %", (part * 1_000.0).floor() / 10.0),
        None => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn silence_is_told_by_month() {
        let now: Timestamp = "2027-01-26T03:14:07Z".parse().unwrap();
        assert_eq!(month_name(&date(2027, 1, 1), now), "January");
        assert_eq!(month_name(&date(2026, 12, 1), now), "December 2026");
        let told = [(0, 0), (1, 31 * 3_600), (2, 23_280), (1_200, 60)]
            .map(|(count, seconds)| spells(&SpellsRow { count, seconds }));
        assert_eq!(
            told,
            ["never", "once, 1 day 7 h", "twice, 6 h 28 min together", "1,200 times, 1 min together"]
        );
        let parts = [Some(1.0), Some(0.99999), Some(0.977), Some(0.0), None].map(|part| in_time(&part));
        assert_eq!(parts, ["100 %", "99.9 %", "97.7 %", "0.0 %", "not known"]);
    }
}
