//! Durations of something that is measured many times.

use std::time::Duration;

/// Durations in microseconds. Those of a load of some minutes take a few megabytes.
#[derive(Default)]
pub(crate) struct Samples(Vec<u32>);

impl Samples {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_micros().try_into().unwrap_or(u32::MAX));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Median, 99th percentile and maximum; `None` without samples.
    pub(crate) fn spread(&mut self) -> Option<Spread> {
        self.0.sort_unstable();
        let at = |index: usize| self.0.get(index).map(|micros| Duration::from_micros((*micros).into()));
        let count = self.0.len();
        Some(Spread { median: at(count / 2)?, p99: at(count * 99 / 100)?, max: at(count.checked_sub(1)?)? })
    }
}

/// Distribution of durations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

/// Text of a duration in milliseconds, without the unit.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// Text of a rate, with separators of thousands.
pub(crate) fn rate(per_second: f64) -> String {
    grouped(per_second.round() as u64)
}

/// Text of a number, with separators of thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
