//! How fast releases were taken up: their shares by days since they were first counted.

use super::path::{Path, stretches};
use super::scale::{Scale, Tick, one_decimal, placed};
use crate::receiver::adoption::Uptake;
use crate::receiver::pages::words::{brief, count, percent};

/// Number of curves that are drawn: those of the newest releases.
const DRAWN: usize = 3;

/// Space between two labels at the end, in percent of the height.
const LABEL_GAP: f64 = 9.0;

/// Part of the width from which on a label stands to the left of the end of its curve, in percent.
const NEAR_END: i64 = 60;

/// The picture of how fast releases were taken up.
#[derive(Debug)]
pub(crate) struct Curves {
    /// Number of days from the left edge to the right one.
    pub(crate) days: usize,
    pub(crate) ticks: Vec<Tick>,
    /// The newest release last, which is drawn above the others.
    pub(crate) curves: Vec<Curve>,
    /// The labels of curves that go on to the right edge, the uppermost first, with their distances from the upper edge,
    /// in percent.
    pub(crate) ends: Vec<(String, String)>,
    /// What the picture says, in words.
    pub(crate) words: String,
}

/// The curve of a release.
#[derive(Debug)]
pub(crate) struct Curve {
    /// Class of its line.
    pub(crate) line: &'static str,
    pub(crate) path: Path,
    /// Where it ends before the right edge.
    pub(crate) end: Option<CurveEnd>,
}

/// The label of a curve within the picture.
#[derive(Debug, PartialEq)]
pub(crate) struct CurveEnd {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) is_left: bool,
    pub(crate) text: String,
}

impl Curves {
    /// `None` where nobody knows when a release came. `uptake` has the newest release first; what is newer than the
    /// newest that is out is left aside.
    pub(crate) fn of(uptake: &[Uptake], out: Option<&str>) -> Option<Self> {
        let from = uptake.iter().position(|curve| out == Some(&curve.release)).unwrap_or_default();
        let drawn = &uptake[from..uptake.len().min(from + DRAWN)];
        let newest = drawn.first()?;
        let days = days(newest.share.len(), drawn.iter().map(|curve| curve.share.len()).max()?);
        let within = |curve: &Uptake| curve.share.iter().take(days + 1).copied().collect::<Vec<_>>();
        let highest = drawn.iter().flat_map(within).flatten().fold(0.0, f64::max);
        let scale = Scale::of_shares(highest);
        let (mut curves, mut ends, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for (curve, line) in drawn.iter().zip(["curve", "curve c2", "curve c3"]) {
            let share = within(curve);
            let path = path(&share, &scale, days);
            let last = share.iter().rposition(Option::is_some);
            let last = last.and_then(|day| Some((day, share[day]?)));
            let name = brief(&curve.release);
            let mut end = None;
            if let Some((day, share)) = last {
                let after = match day {
                    0 => format!("{} on its first day", percent(share)),
                    _ => format!("{} after {}", percent(share), count(day as i64, "day")),
                };
                words.push(format!("{name}: {after}"));
                if day == days {
                    ends.push((scale.percent(share), name));
                } else {
                    let x = day as f64 * 100.0 / days as f64;
                    let is_left = x > NEAR_END as f64;
                    let y = one_decimal(scale.percent(share));
                    end = Some(CurveEnd { x: one_decimal(x), y, is_left, text: name });
                }
            }
            curves.insert(0, Curve { line, path, end });
        }
        let words = format!(
            "Share of the active servers by days since a release was first counted. {}.",
            words.join("; ")
        );
        Some(Self { days, ticks: scale.ticks, curves, ends: placed(ends, LABEL_GAP), words })
    }
}

impl Curves {
    /// The day in the middle.
    pub(crate) fn half(&self) -> usize {
        self.days / 2
    }
}

/// Number of days that are shown: so many that the newest curve is seen well, and no more than there are.
fn days(newest: usize, longest: usize) -> usize {
    let steps = [30, 60, 90];
    let at_least = |wanted: usize| steps.into_iter().find(|days| *days >= wanted).unwrap_or(90);
    at_least(2 * newest).min(at_least(longest.saturating_sub(1)))
}

fn path(share: &[Option<f64>], scale: &Scale, days: usize) -> Path {
    let mut path = Path::default();
    for run in stretches(share, Option::is_some) {
        let point = |day: usize| (day as i64, scale.y(share[day].unwrap_or_default()));
        let mut points: Vec<_> = run.clone().map(point).collect();
        if run.len() == 1 {
            // A day by itself is a short line.
            let (x, y) = points[0];
            points = if run.start == days { vec![(x - 1, y), (x, y)] } else { vec![(x, y), (x + 1, y)] };
        }
        path.draw(points);
    }
    path
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn uptake(release: &str, share: Vec<Option<f64>>) -> Uptake {
        Uptake { release: release.to_owned(), first_day: date(2027, 1, 1), share }
    }

    #[test]
    fn curves_end_where_they_do_and_have_gaps() {
        let newest = uptake("2.3", vec![Some(0.0), Some(0.1), None, Some(0.3)]);
        let before = uptake("2.2", vec![Some(0.25); 40]);
        let first = uptake("2.1", vec![Some(0.5)]);
        let curves =
            Curves::of(&[uptake("2.4", vec![Some(0.9)]), newest, before, first], Some("2.3")).unwrap();
        assert_eq!((curves.days, curves.ticks.len()), (30, 3));
        let drawn: Vec<_> = curves.curves.iter().map(|curve| (curve.line, curve.path.to_string())).collect();
        assert_eq!(
            drawn,
            [
                ("curve c3", "M0 0h1".to_owned()),
                ("curve c2", "M0 500h30".to_owned()),
                ("curve", "M0 1000l1 -200M3 400h1".to_owned()),
            ]
        );
        assert_eq!(curves.ends, [("50.0".to_owned(), "2.2".to_owned())]);
        let end = curves.curves[2].end.as_ref().unwrap();
        assert_eq!(
            (end.x.as_str(), end.y.as_str(), end.is_left, end.text.as_str()),
            ("10.0", "40.0", false, "2.3")
        );
        assert!(
            curves
                .words
                .ends_with("2.3: 30 % after 3 days; 2.2: 25 % after 30 days; 2.1: 50 % on its first day.")
        );
    }

    #[test]
    fn as_many_days_are_shown_as_the_newest_needs() {
        assert_eq!(days(1, 91), 30);
        assert_eq!(days(25, 91), 60);
        assert_eq!(days(60, 91), 90);
        assert_eq!(days(91, 91), 90);
        assert_eq!(days(25, 26), 30);
        assert!(Curves::of(&[], Some("2.3")).is_none());
        assert!(Curves::of(&[uptake("2.4", vec![Some(0.9)])], None).is_some());
    }
}
