//! The axis of days below a picture.

use jiff::civil::Date;

use super::scale::one_decimal;
use crate::receiver::store::{days_after, days_between};

/// Number of days from which on a label is a month and not a day.
const MANY_DAYS: i64 = 200;

/// What is written below a picture.
#[derive(Debug, PartialEq)]
pub(crate) struct DayLabel {
    /// Distance from the left edge, in percent.
    pub(crate) x: String,
    /// The part of the text that stands there.
    pub(crate) anchor: &'static str,
    pub(crate) text: String,
}

/// The first and the last day, and two between them where there is space.
pub(super) fn labels(from: Date, to: Date) -> Vec<DayLabel> {
    let last = days_between(from, to);
    let marked: &[i64] = match last {
        ..=0 => &[3],
        1..7 => &[0, 3],
        _ => &[0, 1, 2, 3],
    };
    let label = |third: &i64| DayLabel {
        x: one_decimal(*third as f64 * 100.0 / 3.0),
        anchor: match third {
            0 => "start",
            3 => "end",
            _ => "middle",
        },
        text: text(days_after(from, last * third / 3), last),
    };
    marked.iter().map(label).collect()
}

fn text(day: Date, days: i64) -> String {
    day.strftime(if days >= MANY_DAYS { "%b %Y" } else { "%-d %b" }).to_string()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn texts(from: Date, to: Date) -> Vec<(String, &'static str, String)> {
        labels(from, to).into_iter().map(|label| (label.x, label.anchor, label.text)).collect()
    }

    #[test]
    fn the_ends_are_named_and_what_lies_between() {
        let to = date(2026, 11, 26);
        let label = |x: &str, anchor, text: &str| (x.to_owned(), anchor, text.to_owned());
        assert_eq!(
            texts(date(2026, 8, 29), to),
            [
                label("0.0", "start", "29 Aug"),
                label("33.3", "middle", "27 Sep"),
                label("66.7", "middle", "27 Oct"),
                label("100.0", "end", "26 Nov"),
            ]
        );
        assert_eq!(texts(date(2025, 11, 27), to)[0].2, "Nov 2025");
        assert_eq!(texts(date(2026, 11, 25), to).len(), 2);
        assert_eq!(texts(to, to), [label("100.0", "end", "26 Nov")]);
    }
}
