//! A distribution with a single writer.

use super::cell::{Count, Sum};

/// Upper bounds in seconds, from what a plugin's answer takes to the longest that an upstream is waited for by default.
pub(super) const SECONDS: [f64; 19] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Counts by upper bound, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: Box<[f64]>,
    /// One more than bounds: what is above the last.
    counts: Box<[Count]>,
    sum: Sum,
}

/// A histogram read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Upper bound and how many are at or below it.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Histogram {
    /// Bounds must grow.
    pub(super) fn new(bounds: &[f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| Count::default()).collect();
        Self { bounds: bounds.into(), counts, sum: Sum::default() }
    }

    /// Records one value; only the owning thread may.
    pub(super) fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.add(1);
            self.sum.add(value);
        }
    }

    pub(super) fn read(&self) -> Reading {
        let mut below = 0;
        let buckets = self
            .bounds
            .iter()
            .zip(&self.counts)
            .map(|(bound, count)| {
                below += count.get();
                (*bound, below)
            })
            .collect();
        Reading { buckets, count: below + self.counts.last().map_or(0, Count::get), sum: self.sum.get() }
    }
}

impl Reading {
    /// Before the first value.
    pub(super) fn nothing(bounds: &[f64]) -> Self {
        Self { buckets: bounds.iter().map(|bound| (*bound, 0)).collect(), count: 0, sum: 0.0 }
    }

    /// Adds another one of the same bounds.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            mine.1 += theirs.1;
        }
        self.count += other.count;
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_below_it_and_one_above_the_last_is_counted_only_in_all() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [1.0, 1.5, 2.0, 3.0] {
            histogram.record(value);
        }
        let mut reading = histogram.read();
        assert_eq!(reading, Reading { buckets: vec![(1.0, 1), (2.0, 3)], count: 4, sum: 7.5 });
        reading.merge(&histogram.read());
        assert_eq!(reading, Reading { buckets: vec![(1.0, 2), (2.0, 6)], count: 8, sum: 15.0 });
    }
}
