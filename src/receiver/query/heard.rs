//! How long nothing was heard, as people ask for it: `7d`, `36h`.

use std::fmt;
use std::time::Duration;

/// What a length of silence accepts, for people.
pub(crate) const HEARD_RULE: &str = "a time such as 90m, 36h, 7d or 2w; a number alone is hours";

/// Highest number of a unit.
const HIGHEST: u64 = 9_999;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Longer than this nothing was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    seconds: u64,
}

impl Heard {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = text.trim_end_matches(|last: char| last.is_ascii_lowercase());
        let unit = match text.get(number.len()..)? {
            "m" => MINUTE,
            "" | "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => return None,
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
        let number: u64 = is_plain.then(|| number.parse().ok())??;
        (number <= HIGHEST).then_some(Self { seconds: number * unit })
    }

    pub(crate) fn length(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(7 * DAY, "w"), (DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
        let (unit, name) = units
            .into_iter()
            .find(|(unit, _)| self.seconds.is_multiple_of(*unit) && self.seconds / unit <= HIGHEST)
            .unwrap_or((MINUTE, "m"));
        write!(f, "{}{name}", self.seconds / unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let seconds = |text: &str| Heard::parse(text).map(|heard| heard.length().as_secs());
        for (text, expected) in [
            ("90m", 5_400),
            ("1h", 3_600),
            ("36h", 129_600),
            ("168", 604_800),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("9999w", 6_047_395_200),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in
            ["", "d", "0", "0d", "07d", "-1d", "+1d", "1.5h", "10000h", "7 d", "7D", "7dd", "1y", "١d", "dä"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(Heard::parse("168").unwrap().to_string(), "1w");
        assert_eq!(Heard::parse("36h").unwrap().to_string(), "36h");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number in 1..=HIGHEST, unit in prop::sample::select(vec!["m", "h", "d", "w"])) {
            let heard = Heard::parse(&format!("{number}{unit}")).unwrap();
            prop_assert_eq!(Heard::parse(&heard.to_string()), Some(heard));
        }
    }
}
