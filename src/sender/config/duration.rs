//! Durations as Go writes them: `90m`, `1h30m`, `1.5h`.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};

/// The characters of Go's durations, without its minus: a duration here is never negative.
const CHARACTERS: &str = "0123456789.+hmsnuµ";

/// Parses `text` as Go's `time.ParseDuration` does where jiff reads it: the units in falling order,
/// each at most once, and a fraction at the end alone, of up to nine digits.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    // jiff also reads days, words, blanks and `01:30:00`, which Go does not.
    if !text.chars().all(|character| CHARACTERS.contains(character)) {
        return None;
    }
    SpanParser::new().parse_duration(text).ok()?.try_into().ok()
}

/// The whole seconds of `duration` as Go prints them, without the units that are zero: `8h`, `1h30m`.
pub(crate) fn format(duration: Duration) -> String {
    let whole = Duration::from_secs(duration.as_secs());
    let whole = SignedDuration::try_from(whole).unwrap_or(SignedDuration::MAX);
    SpanPrinter::new().spacing(Spacing::None).duration_to_string(&whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of Go's own test of `time.ParseDuration`, the positive part.
    const TABLE: [(&str, Option<Duration>); 34] = {
        const fn ms(count: u64) -> Option<Duration> {
            Some(Duration::from_millis(count))
        }
        const fn s(count: u64) -> Option<Duration> {
            Some(Duration::from_secs(count))
        }
        const fn ns(count: u64) -> Option<Duration> {
            Some(Duration::from_nanos(count))
        }
        // What Go reads and this does not.
        const REFUSED: Option<Duration> = None;
        [
            ("0", REFUSED),
            ("5s", s(5)),
            ("+5s", s(5)),
            ("30s", s(30)),
            ("1478s", s(1478)),
            ("0s", s(0)),
            ("+0", REFUSED),
            ("5.0s", s(5)),
            ("5.6s", ms(5600)),
            ("5.s", REFUSED),
            (".5s", REFUSED),
            ("1.0s", s(1)),
            ("1.00s", s(1)),
            ("1.004s", ms(1004)),
            ("1.0040s", ms(1004)),
            ("100.00100s", ms(100_001)),
            ("10ns", ns(10)),
            ("11us", ns(11_000)),
            // U+00B5, and the Greek letter.
            ("12µs", ns(12_000)),
            ("12μs", REFUSED),
            ("13ms", ms(13)),
            ("14s", s(14)),
            ("15m", s(15 * 60)),
            ("16h", s(16 * 3600)),
            ("3h30m", s(3 * 3600 + 30 * 60)),
            ("10.5s4m", REFUSED),
            ("2m3.4s", ms(2 * 60_000 + 3_400)),
            ("1h2m3s4ms5us6ns", Some(Duration::new(3723, 4_005_006))),
            ("39h9m14.425s", ms(39 * 3_600_000 + 9 * 60_000 + 14_425)),
            ("52763797000ns", ns(52_763_797_000)),
            ("0.3333333333333333333h", REFUSED),
            ("9007199254740993ns", ns((1 << 53) + 1)),
            ("9223372036854775807ns", ns(i64::MAX as u64)),
            ("0.100000000000000000000h", REFUSED),
        ]
    };

    #[test]
    fn durations_are_read_as_go_reads_them_or_refused() {
        for (text, expected) in TABLE {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in ["1.5h", "90m", "1h30m", "24h"] {
            assert!(parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "3",
            "-",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "\u{85}\u{85}",
            "\u{ffff}",
            "hello",
            "-5s",
            "1h ",
            " 1h",
            "1 h",
            "1h-30m",
            "2 hours",
            "1h ago",
            "01:30:00",
            "1,5h",
            "PT1H",
            "1h, 30m",
            "1h+30m",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn whole_seconds_are_printed_without_the_units_that_are_zero() {
        for (seconds, text) in [(0, "0s"), (28_800, "8h"), (5_400, "1h30m"), (90_061, "25h1m1s")] {
            assert_eq!(format(Duration::from_millis(seconds * 1000 + 999)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0u64..1_000_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn nothing_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_arrangement_of_its_own_letters_makes_it_panic(text in "[0-9.+hmsnuµ]{0,40}") {
            let _ = parse(&text);
        }
    }
}
