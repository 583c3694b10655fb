//! The same thing, measured many times.

/// At least one value, sorted.
#[derive(Default)]
pub(crate) struct Values(Vec<f64>);

impl Values {
    pub(crate) fn add(&mut self, value: f64) {
        let place = self.0.partition_point(|other| *other < value);
        self.0.insert(place, value);
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(2, 4)
    }

    /// Between which two values half of all are.
    pub(crate) fn middle_half(&self) -> (f64, f64) {
        (self.quantile(1, 4), self.quantile(3, 4))
    }

    fn quantile(&self, part: usize, of: usize) -> f64 {
        self.0[self.0.len() * part / of]
    }
}
