//! The picture of the runs of a server: a lane for each, with marks. It has no `viewBox`: x is in hundredths of the width,
//! so that nothing is squeezed on a phone.

use std::fmt::{self, Formatter};

use askama::filters::{Html, HtmlSafe, escape};

use super::super::words::day_and_month;
use super::lanes::{Lane, Lanes, Mark};

/// Height of a lane, and where the middle of its bar is.
const LANE: usize = 42;
const MIDDLE: usize = 29;

/// Height of what is below the lanes.
const BELOW: usize = 24;

/// Left of it, a day would not fit around its line.
const EDGE: f64 = 6.0;

/// Where labels stand: at the left edge of what begins before the first, at the right edge of what ends after the second.
const LEFT: f64 = 25.0;
const RIGHT: f64 = 75.0;

/// The lanes with the label of each.
pub(super) struct LanesPicture<'a> {
    pub(super) lanes: &'a Lanes<'a>,
    /// As many as there are lanes.
    pub(super) labels: &'a [String],
}

impl HtmlSafe for LanesPicture<'_> {}

impl fmt::Display for LanesPicture<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bottom = LANE * self.lanes.lanes.len() + 8;
        write!(f, "<svg class=\"plot\" height=\"{}\" role=\"img\" ", bottom + BELOW)?;
        f.write_str("aria-labelledby=\"runs runs-text\"><g>")?;
        for (x, _) in &self.lanes.days {
            write!(f, "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"{bottom}\"/>")?;
        }
        f.write_str("</g>")?;
        for (from, to) in &self.lanes.outages {
            write!(
                f,
                "<rect class=\"away\" x=\"{from:.2}%\" width=\"{:.2}%\" height=\"{bottom}\"/>",
                to - from
            )?;
        }
        for (number, lane) in self.lanes.lanes.iter().enumerate() {
            let label = self.labels.get(number).map(String::as_str).unwrap_or_default();
            draw(lane, label, number * LANE + MIDDLE, f)?;
        }
        f.write_str("<g>")?;
        let below = bottom + 18;
        for (x, at) in &self.lanes.days {
            let (day, anchor) = (day_and_month(*at), if *x < EDGE { "start" } else { "middle" });
            write!(f, "<text class=\"q\" x=\"{x:.2}%\" y=\"{below}\" text-anchor=\"{anchor}\">{day}</text>")?;
        }
        write!(
            f,
            "<text x=\"100%\" y=\"{below}\" text-anchor=\"end\" font-weight=\"600\">now</text></g></svg>"
        )
    }
}

/// A lane whose bar has its middle at `y`.
fn draw(lane: &Lane<'_>, label: &str, y: usize, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("<g>")?;
    for (from, to) in &lane.heard {
        let (top, width) = (y - 5, (to - from).max(0.2));
        write!(
            f,
            "<rect class=\"v3\" x=\"{from:.2}%\" width=\"{width:.2}%\" y=\"{top}\" height=\"10\" rx=\"2\"/>"
        )?;
    }
    for (from, to) in &lane.silent {
        write!(f, "<line class=\"open\" x1=\"{from:.2}%\" x2=\"{to:.2}%\" y1=\"{y}\" y2=\"{y}\"/>")?;
    }
    let (updates, others): (Vec<_>, Vec<_>) = lane.marks.iter().partition(|(mark, _)| *mark == Mark::Update);
    if !updates.is_empty() {
        f.write_str("<g class=\"q\">")?;
        for (_, x) in updates {
            write!(f, "<use href=\"#m-update\" x=\"{x:.2}%\" y=\"{y}\"/>")?;
        }
        f.write_str("</g>")?;
    }
    for (mark, x) in others {
        write!(f, "<use class=\"{}\" href=\"#{}\" x=\"{x:.2}%\" y=\"{y}\"/>", mark.class(), mark.symbol())?;
    }
    let (x, anchor) = place(lane);
    write!(f, "<text x=\"{x:.2}%\" y=\"{}\" text-anchor=\"{anchor}\" unicode-bidi=\"isolate\">", y - 12)?;
    let Ok(label) = escape(label, Html);
    write!(f, "{label}</text></g>")
}

/// Where the label of a lane is: above it, and within the picture however narrow that is.
fn place(lane: &Lane<'_>) -> (f64, &'static str) {
    let parts = || lane.heard.iter().chain(&lane.silent);
    let begin = parts().map(|part| part.0).fold(100.0, f64::min);
    let end = parts().map(|part| part.1).fold(0.0, f64::max);
    match (begin, end) {
        _ if begin <= LEFT => (begin, "start"),
        _ if end >= RIGHT => (end, "end"),
        _ => (50.0, "middle"),
    }
}

impl Mark {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Mark::Begin => "m-begin",
            Mark::Update => "m-update",
            Mark::LicenseLost | Mark::LicenseValid => "m-license",
            Mark::End => "m-end",
            Mark::Lost => "m-loss",
            Mark::Late => "m-late",
            Mark::Down => "m-down",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Mark::Begin | Mark::End => "mark",
            Mark::Update => "q",
            Mark::LicenseValid => "mark up",
            Mark::Late => "mark late",
            Mark::LicenseLost | Mark::Lost | Mark::Down => "mark down",
        }
    }

    /// What it means, in the legend.
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Begin => "begin",
            Mark::Update => "update",
            Mark::LicenseLost => "license lost",
            Mark::LicenseValid => "license valid",
            Mark::End => "end",
            Mark::Lost => "lost: no end was heard",
            Mark::Late => "late",
            Mark::Down => "down",
        }
    }
}
