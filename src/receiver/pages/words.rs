//! Numbers, times and names as people read them.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Number of characters of a text beside a picture.
const BRIEF: usize = 10;

/// Number of digits of a hash in a list of facts.
const HASH: usize = 12;

/// A number with commas between its thousands: `1,312`.
pub(super) fn number(number: impl Borrow<i64>) -> String {
    let number = *number.borrow();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 server`, `1,312 servers`.
pub(super) fn count(count: impl Borrow<i64>, thing: &str) -> String {
    let count = *count.borrow();
    format!("{} {thing}{}", number(count), if count == 1 { "" } else { "s" })
}

/// A share in hundredths: `62 %`. What is not all or nothing is not shown so.
pub(super) fn percent(share: impl Borrow<f64>) -> String {
    let share = *share.borrow();
    let whole = (share * 100.0).round();
    if whole < 1.0 && share > 0.0 {
        "< 1 %".to_owned()
    } else if whole > 99.0 && share < 1.0 {
        "> 99 %".to_owned()
    } else {
        format!("{whole:.0} %")
    }
}

/// A change of a number, with its sign: `+231`, `−122`, `0`.
pub(super) fn change(by: impl Borrow<i64>) -> String {
    let by = *by.borrow();
    if by > 0 { format!("+{}", number(by)) } else { number(by) }
}

/// The beginning of a text from outside, as long as fits beside a picture.
pub(super) fn brief(text: &str) -> String {
    let text = shown(text);
    if text.chars().count() <= BRIEF {
        return text;
    }
    text.chars().take(BRIEF - 1).chain(['…']).collect()
}

/// The beginning of a hash from outside, enough to tell it from others, and the rest of it.
pub(super) fn halves(hash: &str) -> (String, String) {
    let text = shown(hash);
    let at = text.char_indices().nth(HASH).map_or(text.len(), |(at, _)| at);
    let (beginning, rest) = text.split_at(at);
    (beginning.to_owned(), rest.to_owned())
}

/// A length of time as lists show it: `40 s`, `28 min`, `2 h 33 min`, `18 h`, `3 days`, `5 months`, `2 years`.
pub(super) fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        _ if seconds < 10 * HOUR => exact(length),
        _ if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        _ if seconds < 90 * DAY => format!("{} days", seconds / DAY),
        _ if seconds < 730 * DAY => format!("{} months", seconds * 12 / (DAY * 365)),
        _ => format!("{} years", seconds / (DAY * 365)),
    }
}

/// A length of time in its two largest units: `12 s`, `28 min`, `18 h 12 min`, `3 days 4 h`.
pub(super) fn exact(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let two = |large: String, small: i64, unit: &str| {
        if small == 0 { large } else { format!("{large} {small} {unit}") }
    };
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(format!("{} h", seconds / HOUR), seconds % HOUR / MINUTE, "min"),
        _ => two(count(seconds / DAY, "day"), seconds % DAY / HOUR, "h"),
    }
}

/// The frequency of a server's updates, which is a number of seconds.
pub(super) fn frequency(seconds: &i32) -> String {
    exact(SignedDuration::from_secs(i64::from(*seconds)))
}

/// A moment near the present, in UTC: `02:46`, `yesterday 20:34`, `tomorrow 08:00`, `25 Nov 09:02`, `9 Sep 2024`.
pub(super) fn clock(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let is_yesterday = now.date().yesterday().is_ok_and(|yesterday| yesterday == at.date());
    let is_tomorrow = now.date().tomorrow().is_ok_and(|tomorrow| tomorrow == at.date());
    let format = match at.date() {
        date if date == now.date() => "%H:%M",
        _ if is_yesterday => "yesterday %H:%M",
        _ if is_tomorrow => "tomorrow %H:%M",
        date if date.year() == now.year() => "%-d %b %H:%M",
        _ => "%-d %b %Y",
    };
    at.strftime(format).to_string()
}

/// A day, in UTC: `9 Sep 2024`.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%-d %b %Y").to_string()
}

/// A moment within a list of moments, in UTC, always of the same form: `25 Nov 09:02`, `9 Sep 2024`.
pub(super) fn dated(at: Timestamp, now: Timestamp) -> String {
    at.strftime(if is_of_this_year(at, now) { "%-d %b %H:%M" } else { "%-d %b %Y" }).to_string()
}

/// The same to the second: `25 Nov 09:02:11`, `9 Sep 2024 11:20:00`.
pub(super) fn dated_to_the_second(at: Timestamp, now: Timestamp) -> String {
    at.strftime(if is_of_this_year(at, now) { "%-d %b %T" } else { "%-d %b %Y %T" }).to_string()
}

fn is_of_this_year(at: Timestamp, now: Timestamp) -> bool {
    at.to_zoned(TimeZone::UTC).year() == now.to_zoned(TimeZone::UTC).year()
}

/// A day of the recent past, in UTC: `9 Sep`.
pub(super) fn day_and_month(at: Timestamp) -> String {
    at.strftime("%-d %b").to_string()
}

/// A text from outside in which characters that cannot be seen, or that turn the direction of a text, are shown as
/// escapes: two names that look the same are the same.
pub(super) fn shown(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            // Escaped as the second character of a text, where a combining mark stays what it is.
            _ => shown.extend(format!("a{character}").escape_debug().skip(1)),
        }
    }
    shown
}

/// A text as it is compared with what somebody looks for: in lower case, letter by letter, and without blanks around it.
pub(super) fn folded(text: &str) -> String {
    let letters = text.trim().chars().flat_map(char::to_lowercase);
    letters.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

/// Whether [`shown`] shows a character as an escape.
pub(super) fn is_unseen(character: char) -> bool {
    shown(character.encode_utf8(&mut [0; 4])).chars().nth(1).is_some()
}

/// A symbol of `symbols.html`, beside a word that says the same.
pub(super) fn icon(name: &'static str) -> Icon {
    Icon(name)
}

pub(super) struct Icon(&'static str);

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"i\" aria-hidden=\"true\"><use href=\"#{}\"/></svg>", self.0)
    }
}

impl HtmlSafe for Icon {}

/// A moment in HTML, with the whole of it, in UTC, for programs and on pointing at it.
pub(super) struct When {
    pub(super) at: Timestamp,
    pub(super) text: String,
    /// Whether the text says how long ago it was.
    pub(super) is_relative: bool,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = if self.is_relative { " class=\"ago\"" } else { "" };
        let at = self.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "<time{class} datetime=\"{:.0}\" title=\"{at}\">{}</time>", self.at, self.text)
    }
}

impl HtmlSafe for When {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_compared_letter_by_letter() {
        assert!(folded("ΟΔΥΣΣΕΥΣ").contains(&folded("οδυΣ")));
        assert_eq!(folded("Οδυσσεύς").chars().last(), folded("ΟΔΥΣΣΕΎΣ").chars().last());
        assert_eq!(folded(" Acme\u{a0}"), "acme");
    }

    #[test]
    fn numbers_are_read_in_groups() {
        let shown = [0, 7, 999, 1_000, 1_312, 1_234_567, -56, -1_000].map(number);
        assert_eq!(shown, ["0", "7", "999", "1,000", "1,312", "1,234,567", "−56", "−1,000"]);
        assert_eq!(number(i64::MIN), "−9,223,372,036,854,775,808");
        assert_eq!((count(1, "server"), count(0, "server")), ("1 server".to_owned(), "0 servers".to_owned()));
    }

    #[test]
    fn shares_are_never_all_or_nothing_that_are_not() {
        let shares = [0.0, 0.001, 0.0049, 0.0051, 0.625, 0.994, 0.9999, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "< 1 %", "< 1 %", "1 %", "63 %", "99 %", "> 99 %", "100 %"]);
        assert_eq!([231, -122, 0, 1_000].map(change), ["+231", "−122", "0", "+1,000"]);
    }

    #[test]
    fn a_long_text_beside_a_picture_is_cut() {
        assert_eq!(["2.3", "2026.11.30", "release-2026"].map(brief), ["2.3", "2026.11.30", "release-2…"]);
    }

    #[test]
    fn spans_are_as_exact_as_people_need_them() {
        for (length, in_a_list, in_a_sentence) in [
            (-5, "0 s", "0 s"),
            (59, "59 s", "59 s"),
            (60, "1 min", "1 min"),
            (28 * MINUTE + 59, "28 min", "28 min"),
            (HOUR, "1 h", "1 h"),
            (2 * HOUR + 33 * MINUTE, "2 h 33 min", "2 h 33 min"),
            (18 * HOUR + 12 * MINUTE, "18 h", "18 h 12 min"),
            (47 * HOUR, "47 h", "1 day 23 h"),
            (3 * DAY + 4 * HOUR, "3 days", "3 days 4 h"),
            (59 * DAY, "59 days", "59 days"),
            (60 * DAY, "60 days", "60 days"),
            (160 * DAY, "5 months", "160 days"),
            (800 * DAY, "2 years", "800 days"),
        ] {
            let span_of = SignedDuration::from_secs(length);
            assert_eq!((span(span_of), exact(span_of)), (in_a_list.into(), in_a_sentence.into()));
        }
    }

    #[test]
    fn a_hash_is_told_by_its_beginning() {
        assert_eq!(halves("e88394fedd71a0b1"), ("e88394fedd71".to_owned(), "a0b1".to_owned()));
        assert_eq!(halves("e88394"), ("e88394".to_owned(), String::new()));
    }

    #[test]
    fn moments_are_shorter_the_nearer_they_are() {
        let now: Timestamp = "2026-11-26T03:14:07Z".parse().unwrap();
        for (at, shown) in [
            ("2026-11-26T02:46:01Z", "02:46"),
            ("2026-11-25T20:34:59Z", "yesterday 20:34"),
            ("2026-11-27T08:00:00Z", "tomorrow 08:00"),
            ("2026-11-24T09:02:11Z", "24 Nov 09:02"),
            ("2025-12-31T23:59:59Z", "31 Dec 2025"),
            ("2024-09-09T11:20:00Z", "9 Sep 2024"),
        ] {
            assert_eq!(clock(at.parse().unwrap(), now), shown, "{at}");
        }
        let last_year: Timestamp = "2025-12-31T23:59:59Z".parse().unwrap();
        assert_eq!((dated(now, now), dated(last_year, now)), ("26 Nov 03:14".into(), "31 Dec 2025".into()));
        assert_eq!(dated_to_the_second(now, now), "26 Nov 03:14:07");
        assert_eq!(dated_to_the_second(last_year, now), "31 Dec 2025 23:59:59");
        assert_eq!(day_and_month(now), "26 Nov");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        for (text, expected) in [
            ("eu-west 3", "eu-west 3"),
            ("žluťoučký кот 猫 🦀 \"a\\b'", "žluťoučký кот 猫 🦀 \"a\\b'"),
            ("e\u{301}", "e\u{301}"),
            ("a\u{202e}exe.png", "a\\u{202e}exe.png"),
            ("\u{2066}x\u{2069}\u{200b}", "\\u{2066}x\\u{2069}\\u{200b}"),
            ("a\tb\n", "a\\tb\\n"),
            ("\u{feff}\u{ad}", "\\u{feff}\\u{ad}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
            assert_eq!(text.chars().any(is_unseen), text != expected, "{text:?}");
        }
    }
}
