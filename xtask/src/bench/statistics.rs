//! Medians and how sure they are, without assuming a distribution.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Wanted confidence of an interval.
const CONFIDENCE: f64 = 0.95;

/// A median with an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimate {
    /// The median.
    pub(super) median: f64,
    /// Lower and upper end of the interval.
    pub(super) low: f64,
    pub(super) high: f64,
    /// How sure the interval is, 0 to 1: at least 0.95 where there are enough samples (six), else that of all of them.
    pub(super) confidence: f64,
    /// What it is of.
    pub(super) samples: Vec<f64>,
}

impl Estimate {
    /// The estimate from some samples; zeros from none.
    ///
    /// The interval is between two order statistics: between the k-th smallest and k-th largest of n samples the true median
    /// lies with probability 1 - 2 P(Binomial(n, 1/2) < k) (David and Nagaraja, Order Statistics, section 7.1).
    pub(super) fn of(samples: Vec<f64>) -> Self {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let at = |rank: usize| sorted.get(rank).copied().unwrap_or_default();
        let median = f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2));
        let mut rank = 1;
        while rank < count / 2 && confidence(count, rank + 1) >= CONFIDENCE {
            rank += 1;
        }
        let (low, high) = (at(rank - 1), at(count.saturating_sub(rank)));
        Self { median, low, high, confidence: confidence(count, rank), samples }
    }

    /// The width of the interval as a share of the median.
    pub(super) fn relative_width(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.high - self.low) / self.median.abs() }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "median": self.median, "low": self.low, "high": self.high, "confidence": self.confidence, "samples": self.samples })
    }
}

fn confidence(count: usize, rank: usize) -> f64 {
    // Terms of the binomial distribution, each from the one before.
    let (mut term, mut below) = (0.5_f64.powf(count as f64), 0.0);
    for successes in 0..rank.min(count) {
        below += term;
        term *= (count - successes) as f64 / (successes + 1) as f64;
    }
    (1.0 - 2.0 * below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_published_tables() {
        // Conover, Practical Nonparametric Statistics, table A3: n = 15 gives ranks 4 and 12 at 96.5 %, n = 6 gives 1 and 6.
        let fifteen = Estimate::of((1..=15).map(f64::from).rev().collect());
        assert_eq!((fifteen.median, fifteen.low, fifteen.high), (8.0, 4.0, 12.0));
        assert!((fifteen.confidence - 0.9648).abs() < 1e-4);
        let six = Estimate::of((1..=6).map(f64::from).collect());
        assert_eq!((six.median, six.low, six.high), (3.5, 1.0, 6.0));
        assert!((six.confidence - 0.96875).abs() < 1e-9);
    }

    #[test]
    fn few_samples_say_that_they_are_few() {
        let three = Estimate::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((three.median, three.low, three.high), (2.0, 1.0, 3.0));
        assert!((three.confidence - 0.75).abs() < 1e-9);
        assert_eq!(Estimate::of(Vec::new()).median, 0.0);
    }
}
