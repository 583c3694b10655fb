//! Durations of the same thing, measured many times.

use std::time::Duration;

/// At least one duration, sorted.
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// `count` times what `measure` says.
    pub(crate) fn take(count: usize, measure: impl FnMut() -> Duration) -> Self {
        std::iter::repeat_with(measure).take(count).collect()
    }

    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }

    pub(crate) fn max(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// For many samples.
    pub(crate) fn median_and_p99(&self) -> String {
        format!("median {}, p99 {}", short(self.median()), short(self.p99()))
    }

    /// For few.
    pub(crate) fn median_and_max(&self) -> String {
        format!("median {}, max {}", short(self.median()), short(self.max()))
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(durations: T) -> Self {
        let mut durations = Vec::from_iter(durations);
        durations.sort_unstable();
        Self(durations)
    }
}

/// `duration` with its unit, in about three digits.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ ..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        nanos @ 1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        nanos => format!("{:.3} s", nanos as f64 / 1e9),
    }
}
