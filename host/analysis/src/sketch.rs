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
    first: u16,
    counts: Counts,
    count: u64,
}

/// Most buckets of most minutes fit into a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Counts {
    Narrow(Vec<u8>),
    Wide(Vec<u32>),
}

impl LogHistogram {
    /// Adds so many values of that many seconds.
    pub fn record(&mut self, seconds: f64, times: u64) {
        self.add(Self::bucket(seconds), times);
    }

    /// Adds so many values of a bin of a DDSketch with an accuracy of 2 %, of microseconds.
    pub fn record_bin(&mut self, bin: i32, times: u64) {
        // A bin is named by its lower bound, a bucket by its upper one.
        let bucket = usize::try_from(bin.saturating_add(1)).unwrap_or(0);
        self.add(bucket.min(BUCKETS - 1), times);
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
        if times > 0 {
            self.make_room(bucket, bucket);
            self.counts.add(bucket - usize::from(self.first), times);
            self.count += times;
        }
    }

    /// Makes room for what is from one bucket to another, and for no more.
    fn make_room(&mut self, first: usize, last: usize) {
        let length = self.counts.len();
        if length == 0 {
            self.first = u16::try_from(first).unwrap_or_default();
        }
        let begins = usize::from(self.first);
        let (from, to) = (begins.min(first), (begins + length).max(last + 1));
        if to - from > length {
            self.counts.grow(begins - from, to - from);
            self.first = u16::try_from(from).unwrap_or_default();
        }
    }

    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (usize::from(self.first)..).zip(self.counts.iter())
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Counts {
    fn len(&self) -> usize {
        match self {
            Self::Narrow(counts) => counts.len(),
            Self::Wide(counts) => counts.len(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let (narrow, wide): (&[u8], &[u32]) = match self {
            Self::Narrow(counts) => (counts, &[]),
            Self::Wide(counts) => (&[], counts),
        };
        narrow.iter().map(|count| u64::from(*count)).chain(wide.iter().map(|count| u64::from(*count)))
    }

    fn add(&mut self, index: usize, times: u64) {
        if let Self::Narrow(counts) = self {
            let Some(count) = counts.get_mut(index) else { return };
            match u8::try_from(u64::from(*count) + times) {
                Ok(sum) => *count = sum,
                Err(_) => {
                    *self = Self::Wide(counts.iter().map(|count| u32::from(*count)).collect());
                    self.add(index, times);
                }
            }
        } else if let Self::Wide(counts) = self
            && let Some(count) = counts.get_mut(index)
        {
            // Nobody answers four thousand million requests within hours.
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    /// So many more before, and so many in all.
    fn grow(&mut self, before: usize, length: usize) {
        fn grown<T: Copy + Default>(counts: &[T], before: usize, length: usize) -> Vec<T> {
            let mut all = Vec::with_capacity(length);
            all.resize(before, T::default());
            all.extend_from_slice(counts);
            all.resize(length, T::default());
            all
        }
        match self {
            Self::Narrow(counts) => *counts = grown(counts, before, length),
            Self::Wide(counts) => *counts = grown(counts, before, length),
        }
    }
}

impl Sketch for LogHistogram {
    fn merge(&mut self, other: &Self) {
        let length = other.counts.len();
        if length == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        let first = usize::from(other.first);
        self.make_room(first, first + length - 1);
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
    fn bins_of_a_sketch_are_the_buckets_of_their_values() {
        for bin in -3..470 {
            let microseconds = GROWTH.powi(bin) * 2.0 * GROWTH / (1.0 + GROWTH);
            let (mut by_bin, mut by_value) = (LogHistogram::default(), LogHistogram::default());
            by_bin.record_bin(bin, 3);
            by_value.record(microseconds / 1e6, 3);
            assert_eq!(by_bin, by_value, "{bin}");
        }
    }

    #[test]
    fn counts_grow_beyond_a_byte() {
        let mut few = LogHistogram::default();
        few.record(0.01, 200);
        few.record(0.02, 3);
        let mut many = few.clone();
        (0..400).for_each(|_| many.merge(&few));
        many.record(0.001, 7);
        assert_eq!((many.count(), many.above(0.015), many.above(0.005)), (401 * 203 + 7, 401 * 3, 401 * 203));
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
