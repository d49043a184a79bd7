//! A distribution that is made of others, each with a weight of its own.

use std::marker::PhantomData;

use crate::sketch::Sketch;

/// Weights in the buckets of a sketch, from the first to the last that has any.
#[derive(Debug, Clone)]
pub(crate) struct Mixture<S> {
    first: usize,
    weights: Vec<f64>,
    sum: f64,
    scale: PhantomData<S>,
}

impl<S> Default for Mixture<S> {
    fn default() -> Self {
        Self { first: 0, weights: Vec::new(), sum: 0.0, scale: PhantomData }
    }
}

impl<S: Sketch> Mixture<S> {
    /// Adds a distribution, every value of which counts so much. What was added before is taken out again by a negative weight.
    pub(crate) fn add(&mut self, buckets: impl Iterator<Item = (usize, f64)>, weight: f64) {
        for (bucket, count) in buckets {
            if self.weights.is_empty() {
                self.first = bucket;
            }
            if bucket < self.first {
                self.weights.splice(..0, std::iter::repeat_n(0.0, self.first - bucket));
                self.first = bucket;
            }
            if bucket - self.first >= self.weights.len() {
                self.weights.resize(bucket - self.first + 1, 0.0);
            }
            if let Some(sum) = self.weights.get_mut(bucket - self.first) {
                *sum += count * weight;
                self.sum += count * weight;
            }
        }
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        (self.first..).zip(self.weights.iter().copied())
    }

    /// The natural logarithm of a quantile in seconds, as a sketch has it; NaN where there is none.
    pub(crate) fn log_quantile(&self, share: f64) -> f64 {
        // Of sums and differences something is left that is none.
        const NOTHING: f64 = 1e-9;
        let rank = share.clamp(0.0, 1.0) * self.sum;
        let mut below = 0.0;
        for (bucket, weight) in self.buckets().filter(|(_, weight)| *weight > NOTHING) {
            if below + weight >= rank - NOTHING {
                let within = ((rank - below) / weight).clamp(0.0, 1.0);
                return S::log_at(bucket as f64 + within - 1.0);
            }
            below += weight;
        }
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::LogHistogram;

    fn counts(sketch: &LogHistogram) -> impl Iterator<Item = (usize, f64)> + '_ {
        sketch.buckets().map(|(bucket, count)| (bucket, count as f64))
    }

    #[test]
    fn of_one_distribution_it_is_that_one_whatever_its_weight() {
        let (mut sketch, mut other) = (LogHistogram::default(), LogHistogram::default());
        (1..=1_000_u32).for_each(|number| sketch.record(f64::from(number) / 1_000.0, 1));
        (1..=70_u32).for_each(|number| other.record(f64::from(number) / 1e5, 3));
        let mut mixture = Mixture::<LogHistogram>::default();
        mixture.add(counts(&sketch), 0.37);
        mixture.add(counts(&other), 11.0);
        mixture.add(counts(&other), -11.0);
        for share in [0.05, 0.5, 0.95] {
            assert!((mixture.log_quantile(share) - sketch.log_quantile(share)).abs() < 1e-6, "{share}");
        }
        assert!(Mixture::<LogHistogram>::default().log_quantile(0.5).is_nan());
    }

    #[test]
    fn each_counts_as_much_as_its_weight() {
        let (mut fast, mut slow) = (LogHistogram::default(), LogHistogram::default());
        fast.record(0.001, 1_000);
        slow.record(1.0, 10);
        let mut mixture = Mixture::<LogHistogram>::default();
        mixture.add(counts(&fast), 0.01);
        mixture.add(counts(&slow), 3.0);
        assert!((mixture.log_quantile(0.2) - 0.001_f64.ln()).abs() < 0.05);
        assert!((mixture.log_quantile(0.3) - 1_f64.ln()).abs() < 0.05);
    }
}
