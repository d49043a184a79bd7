//! Distributions of durations that can be merged.

/// What analysis asks of a distribution of seconds.
pub trait Sketch: Clone + Default {
    /// Adds another one.
    fn merge(&mut self, other: &Self);
    /// How many values it holds.
    fn count(&self) -> u64;
    /// The value that this share of values is at or below; `None` where it holds none.
    fn quantile(&self, share: f64) -> Option<f64>;
    /// How many values are above that many seconds.
    fn above(&self, seconds: f64) -> u64;
}

/// Upper bound of the first bucket, seconds: what a cached answer takes at best.
const SMALLEST: f64 = 1e-6;
/// Each bucket is that much wider than the one before: a quantile is off by 2 % at most. These are the bins of a DDSketch of that
/// accuracy, so what was counted in one falls into the same buckets here.
const GROWTH: f64 = 1.02 / 0.98;
/// Up to about two minutes.
const BUCKETS: usize = 466;

/// Counts in buckets that grow by a twenty-fifth, from the first to the last that has any: small, since analysis keeps dozens of each key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LogHistogram {
    /// Number of the first bucket that is kept.
    first: usize,
    counts: Vec<u32>,
    count: u64,
}

impl LogHistogram {
    /// Adds so many values of that many seconds.
    pub fn record(&mut self, seconds: f64, times: u64) {
        self.add(Self::bucket(seconds), times);
    }

    /// The bucket a duration falls into.
    fn bucket(seconds: f64) -> usize {
        let steps = (seconds.max(SMALLEST) / SMALLEST).ln() / GROWTH.ln();
        // Never negative, and bounded just below.
        (steps.ceil() as usize).min(BUCKETS - 1)
    }

    /// Upper bound of a bucket, seconds.
    fn bound(bucket: usize) -> f64 {
        SMALLEST * GROWTH.powf(bucket as f64)
    }

    fn add(&mut self, bucket: usize, times: u64) {
        if times == 0 {
            return;
        }
        if self.counts.is_empty() {
            self.first = bucket;
        } else if bucket < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - bucket));
            self.first = bucket;
        }
        let index = bucket - self.first;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(index) {
            // Nobody answers four thousand million requests within hours.
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
            self.count += times;
        }
    }

    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().enumerate().map(|(index, count)| (self.first + index, u64::from(*count)))
    }
}

impl Sketch for LogHistogram {
    fn merge(&mut self, other: &Self) {
        other.buckets().for_each(|(bucket, count)| self.add(bucket, count));
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        let rank = share.clamp(0.0, 1.0) * self.count as f64;
        let mut below = 0.0;
        for (bucket, count) in self.buckets().filter(|(_, count)| *count > 0) {
            let within = (rank - below) / count as f64;
            below += count as f64;
            if below >= rank {
                // Between the bounds as the rank is between their ranks, on the same scale as the buckets.
                return Some(Self::bound(bucket) * GROWTH.powf(within.clamp(0.0, 1.0) - 1.0));
            }
        }
        None
    }

    fn above(&self, seconds: f64) -> u64 {
        let limit = Self::bucket(seconds);
        self.buckets().filter(|(bucket, _)| *bucket > limit).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_three_percent_and_merging_is_adding() {
        let mut all = LogHistogram::default();
        let mut halves = [LogHistogram::default(), LogHistogram::default()];
        for number in 1..=1_000_u32 {
            let seconds = f64::from(number) / 1_000.0;
            all.record(seconds, 1);
            halves[number as usize % 2].record(seconds, 1);
        }
        for share in [0.05, 0.5, 0.9, 0.95, 0.99] {
            let found = all.quantile(share).unwrap();
            assert!((found / share - 1.0).abs() < 0.03, "{share}: {found}");
        }
        let [mut merged, other] = halves;
        merged.merge(&other);
        assert_eq!(merged, all);
        assert_eq!((all.count(), all.above(10.0), all.above(0.0)), (1_000, 0, 1_000));
        assert!(all.above(0.5).abs_diff(500) < 50);
        assert_eq!(LogHistogram::default().quantile(0.5), None);
    }

    #[test]
    fn what_is_longer_than_the_last_bucket_is_in_it() {
        let mut sketch = LogHistogram::default();
        sketch.record(0.0, 1);
        sketch.record(1e9, 1);
        assert_eq!(sketch.count(), 2);
        assert!(sketch.quantile(1.0).unwrap() > 100.0);
    }
}
