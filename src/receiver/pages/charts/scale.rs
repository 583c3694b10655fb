//! The scale of an axis, and labels that do not cover each other.

use crate::receiver::pages::words::number;

/// Number of steps of a scale at most, besides the one at 0.
const MOST_STEPS: i64 = 5;

/// Height of a shape, in units.
pub(super) const HEIGHT: i64 = 1_000;

/// Space above the highest value for what is written there.
const HEADROOM: f64 = 1.12;

/// A scale from 0 upwards.
#[derive(Debug, PartialEq)]
pub(super) struct Scale {
    top: f64,
    pub(super) ticks: Vec<Tick>,
}

/// A line across a picture, and what is written beside it.
#[derive(Debug, PartialEq)]
pub(crate) struct Tick {
    /// Distance from the upper edge, in percent.
    pub(crate) y: String,
    pub(crate) text: String,
}

impl Scale {
    /// For numbers of servers up to `highest`.
    pub(super) fn of_numbers(highest: i64) -> Self {
        let highest = highest.max(1);
        let tens = (0..18).flat_map(|power| [10, 20, 25, 50].map(|step| step * 10_i64.pow(power)));
        let mut steps = [1, 2, 5].into_iter().chain(tens);
        let step = steps.find(|step| highest / step <= MOST_STEPS).unwrap_or(highest);
        let top = highest as f64 * HEADROOM;
        let ticks = (0..).map(|at| at * step).take_while(|tick| *tick as f64 <= top);
        Self::with(top, ticks.map(|tick| (tick as f64, number(tick))))
    }

    /// For shares up to `highest`, in quarters of the whole.
    pub(super) fn of_shares(highest: f64) -> Self {
        let quarters = (highest * 4.0).ceil().clamp(1.0, 4.0) as i64;
        let ticks = (0..=quarters).map(|quarter| (quarter as f64 / 4.0, format!("{} %", quarter * 25)));
        Self::with(quarters as f64 / 4.0, ticks)
    }

    fn with(top: f64, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let mut scale = Self { top, ticks: Vec::new() };
        scale.ticks =
            ticks.map(|(value, text)| Tick { y: one_decimal(scale.percent(value)), text }).collect();
        scale
    }

    /// Distance of a value from the upper edge, in units of a shape.
    pub(super) fn y(&self, value: f64) -> i64 {
        HEIGHT - (value * HEIGHT as f64 / self.top).round() as i64
    }

    /// The same in percent.
    pub(super) fn percent(&self, value: f64) -> f64 {
        100.0 - value * 100.0 / self.top
    }
}

pub(super) fn one_decimal(number: f64) -> String {
    format!("{number:.1}")
}

/// The labels at the right edge, the uppermost first, and how far from the upper edge each is, so that none covers
/// another. They come with where they would be, in percent.
pub(super) fn placed<Label>(mut labels: Vec<(f64, Label)>, gap: f64) -> Vec<(String, Label)> {
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut places: Vec<f64> = labels.iter().map(|(y, _)| *y).collect();
    spread(&mut places, gap);
    places.into_iter().map(one_decimal).zip(labels.into_iter().map(|(_, label)| label)).collect()
}

/// Moves labels apart that would cover each other. They are distances from the upper edge in percent, the uppermost
/// first.
fn spread(labels: &mut [f64], gap: f64) {
    let lowest = 100.0 - gap / 4.0;
    for at in 1..labels.len() {
        labels[at] = labels[at].max(labels[at - 1] + gap);
    }
    let mut below = lowest + gap;
    for label in labels.iter_mut().rev() {
        *label = label.min(below - gap);
        below = *label;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn a_scale_has_few_round_steps() {
        assert_eq!(ticks(&Scale::of_numbers(1_245)), ["0", "250", "500", "750", "1,000", "1,250"]);
        assert_eq!(ticks(&Scale::of_numbers(0)), ["0", "1"]);
        assert_eq!(ticks(&Scale::of_numbers(7)), ["0", "2", "4", "6"]);
        assert_eq!(ticks(&Scale::of_numbers(12)), ["0", "5", "10"]);
        assert_eq!(
            ticks(&Scale::of_numbers(100_000)),
            ["0", "20,000", "40,000", "60,000", "80,000", "100,000"]
        );
        assert_eq!(ticks(&Scale::of_shares(0.62)), ["0 %", "25 %", "50 %", "75 %"]);
        assert_eq!(ticks(&Scale::of_shares(0.0)), ["0 %", "25 %"]);
        assert_eq!(ticks(&Scale::of_shares(1.0)).len(), 5);
        for highest in [1, 9, 10, 11, 99, 1_000_000_007, i64::MAX / 2] {
            assert!(Scale::of_numbers(highest).ticks.len() <= 7, "{highest}");
        }
    }

    #[test]
    fn a_value_stands_as_high_as_it_is() {
        let scale = Scale::of_shares(1.0);
        assert_eq!((scale.y(0.0), scale.y(0.25), scale.y(1.0)), (1_000, 750, 0));
        assert_eq!(scale.ticks[1].y, "75.0");
    }

    #[test]
    fn labels_stand_in_the_order_of_their_places() {
        let labels = placed(vec![(50.0, "low"), (46.0, "middle"), (10.0, "high")], 6.0);
        let expected = [("10.0", "high"), ("46.0", "middle"), ("52.0", "low")];
        assert_eq!(labels, expected.map(|(y, label)| (y.to_owned(), label)));
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        let mut labels = [10.0, 50.0, 51.0, 98.0, 99.0];
        spread(&mut labels, 6.0);
        assert_eq!(labels, [10.0, 50.0, 56.0, 92.5, 98.5]);
        let mut crowded = [99.0, 99.5, 100.0];
        spread(&mut crowded, 6.0);
        assert_eq!(crowded, [86.5, 92.5, 98.5]);
        spread(&mut [], 6.0);
    }
}
