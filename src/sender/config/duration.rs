//! Durations as Go writes them: `90m`, `1h30m`, `1.5h`.

use std::time::Duration;

/// Parses `text` as Go's `time.ParseDuration` does, without its signs: a duration here is never
/// negative. `None` where Go would refuse it, or where the value does not fit 64-bit nanoseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = nanoseconds(unit)?;
        total = total.checked_add(scaled(whole, fraction, unit)?)?;
        rest = after;
    }
    (total <= i64::MAX as u64).then(|| Duration::from_nanos(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Digits of the fraction beyond the nanosecond are cut off, as Go does.
fn scaled(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut part: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(18) {
        part = part * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    let part = u64::try_from(part * u128::from(unit) / scale).ok()?;
    whole.checked_mul(unit)?.checked_add(part)
}

/// `duration` as Go prints whole seconds, without the units that are zero: `8h`, `1h30m`.
pub(crate) fn format(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of Go's own test of `time.ParseDuration`, the positive part.
    #[test]
    fn durations_are_read_as_go_reads_them() {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        for (text, expected) in [
            ("0", s(0)),
            ("5s", s(5)),
            ("+5s", s(5)),
            ("30s", s(30)),
            ("1478s", s(1478)),
            ("0s", s(0)),
            ("+0", s(0)),
            ("5.0s", s(5)),
            ("5.6s", ms(5600)),
            ("5.s", s(5)),
            (".5s", ms(500)),
            ("1.0s", s(1)),
            ("1.00s", s(1)),
            ("1.004s", ms(1004)),
            ("1.0040s", ms(1004)),
            ("100.00100s", ms(100_001)),
            ("10ns", Duration::from_nanos(10)),
            ("11us", Duration::from_micros(11)),
            ("12µs", Duration::from_micros(12)),
            ("12μs", Duration::from_micros(12)),
            ("13ms", ms(13)),
            ("14s", s(14)),
            ("15m", s(15 * 60)),
            ("16h", s(16 * 3600)),
            ("3h30m", s(3 * 3600 + 30 * 60)),
            ("10.5s4m", ms(4 * 60_000 + 10_500)),
            ("2m3.4s", ms(2 * 60_000 + 3_400)),
            ("1h2m3s4ms5us6ns", Duration::new(3723, 4_005_006)),
            ("39h9m14.425s", ms(39 * 3_600_000 + 9 * 60_000 + 14_425)),
            ("52763797000ns", Duration::from_nanos(52_763_797_000)),
            ("0.3333333333333333333h", s(20 * 60) - Duration::from_nanos(1)),
            ("9007199254740993ns", Duration::from_nanos((1 << 53) + 1)),
            ("9223372036854775807ns", Duration::from_nanos(i64::MAX as u64)),
            ("0.100000000000000000000h", s(6 * 60)),
        ] {
            let got = parse(text).unwrap_or_else(|| panic!("{text} is a duration"));
            let off = got.abs_diff(expected);
            assert!(off <= Duration::from_nanos(1), "{text}: {got:?}, expected {expected:?}");
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
            "3000000h",
            "9223372036854775808ns",
            "9223372036854775.808us",
            "1h ",
            " 1h",
            "1 h",
            "1h-30m",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
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
