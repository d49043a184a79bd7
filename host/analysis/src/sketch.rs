//! Distributions of durations that can be merged.

use std::sync::LazyLock;

/// What analysis asks of a distribution of seconds: counts in buckets on a logarithmic scale.
pub trait Sketch: Clone + Default {
    /// Adds another one.
    fn merge(&mut self, other: &Self);
    /// How many values it holds.
    fn count(&self) -> u64;
    /// The value that this share of values is at or below; `None` where it holds none.
    fn quantile(&self, share: f64) -> Option<f64>;
    /// How many values are above that many seconds.
    fn above(&self, seconds: f64) -> u64;
    /// Numbers of buckets from the lowest to the highest, and how many values each has.
    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_;
    /// The natural logarithm of the seconds that the buckets below that number end at, and a part of the next one.
    fn log_at(steps: f64) -> f64;
    /// How many buckets lie between two values, by the logarithm of how many times as much one is.
    fn steps_of(log: f64) -> i32;
    /// Moves all values by so many buckets: all of them are so many times what they were. Values do not go below the first bucket.
    fn shift(&mut self, steps: i32);

    /// The natural logarithm of a quantile; NaN where there is none.
    fn log_quantile(&self, share: f64) -> f64 {
        self.quantile(share).map_or(f64::NAN, |seconds| seconds.max(1e-9).ln())
    }

    /// All of them together.
    fn sum<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self
    where
        Self: 'a,
    {
        let mut sum = Self::default();
        all.for_each(|each| sum.merge(each));
        sum
    }
}

/// Upper bound of the first bucket, seconds: what a cached answer takes at best.
const SMALLEST: f64 = 1e-6;
/// Each bucket is that much wider than the one before: a quantile is off by 2 % at most. These are the bins of a DDSketch of that
/// accuracy, so what was counted in one falls into the same buckets here.
const GROWTH: f64 = 1.02 / 0.98;
/// Their logarithms.
static SMALLEST_LOG: LazyLock<f64> = LazyLock::new(|| SMALLEST.ln());
static GROWTH_LOG: LazyLock<f64> = LazyLock::new(|| GROWTH.ln());
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

    /// Adds bins of a DDSketch with an accuracy of 2 %, of microseconds, from the lowest to the highest, and how many values each has.
    pub fn record_bins(&mut self, bins: &[(i32, u64)]) {
        // A bin is named by its lower bound, a bucket by its upper one.
        let bucket = |bin: i32| usize::try_from(bin.saturating_add(1)).unwrap_or(0).min(BUCKETS - 1);
        if let (Some((first, _)), Some((last, _))) = (bins.first(), bins.last()) {
            self.make_room(bucket(*first), bucket(*last));
        }
        bins.iter().for_each(|(bin, times)| self.add(bucket(*bin), *times));
    }

    /// The bucket a duration falls into.
    fn bucket(seconds: f64) -> usize {
        let steps = (seconds.max(SMALLEST) / SMALLEST).ln() / *GROWTH_LOG;
        // Never negative, and bounded just below.
        (steps.ceil() as usize).min(BUCKETS - 1)
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

    /// Where a quantile lies on the scale of the buckets: between the bounds of one as the rank is between their ranks.
    fn steps(&self, share: f64) -> Option<f64> {
        let rank = share.clamp(0.0, 1.0) * self.count as f64;
        let mut below = 0;
        for (bucket, count) in self.buckets() {
            if (below + count) as f64 >= rank {
                let within = (rank - below as f64) / count as f64;
                return Some(bucket as f64 + within.clamp(0.0, 1.0) - 1.0);
            }
            below += count;
        }
        None
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

    /// Adds others from an index on, where all are bytes and stay so; `false` where they do not, and nothing was added.
    fn add_narrow(&mut self, from: usize, others: &Self) -> bool {
        let (Self::Narrow(counts), Self::Narrow(others)) = (self, others) else { return false };
        let Some(counts) = counts.get_mut(from..from + others.len()) else { return false };
        let mut beyond = false;
        for (count, other) in counts.iter_mut().zip(others) {
            *count = count.wrapping_add(*other);
            beyond |= *count < *other;
        }
        if beyond {
            counts.iter_mut().zip(others).for_each(|(count, other)| *count = count.wrapping_sub(*other));
        }
        !beyond
    }

    /// So many of the first are in the next one after them, or in the last.
    fn fold(&mut self, first: usize) {
        fn folded<T: Copy>(counts: &mut Vec<T>, first: usize) -> Vec<T> {
            let first = first.min(counts.len().saturating_sub(1));
            counts.drain(..first).collect()
        }
        let below: u64 = match self {
            Self::Narrow(counts) => folded(counts, first).into_iter().map(u64::from).sum(),
            Self::Wide(counts) => folded(counts, first).into_iter().map(u64::from).sum(),
        };
        self.add(0, below);
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
        if self.counts.len() == 0 {
            self.clone_from(other);
            return;
        }
        let first = usize::from(other.first);
        self.make_room(first, first + length - 1);
        let before = first - usize::from(self.first);
        if !self.counts.add_narrow(before, &other.counts) {
            for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| *count > 0) {
                self.counts.add(before + index, count);
            }
        }
        self.count += other.count;
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        self.steps(share).map(|steps| SMALLEST * GROWTH.powf(steps))
    }

    fn log_quantile(&self, share: f64) -> f64 {
        self.steps(share).map_or(f64::NAN, Self::log_at)
    }

    fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (usize::from(self.first)..).zip(self.counts.iter()).filter(|(_, count)| *count > 0)
    }

    fn log_at(steps: f64) -> f64 {
        *SMALLEST_LOG + steps * *GROWTH_LOG
    }

    fn steps_of(log: f64) -> i32 {
        (log / *GROWTH_LOG).round() as i32
    }

    fn shift(&mut self, steps: i32) {
        let first = i32::from(self.first).saturating_add(steps);
        // What would lie below the first bucket is in it.
        self.counts.fold(usize::try_from(first.min(0).unsigned_abs()).unwrap_or_default());
        self.first = u16::try_from(first.max(0)).unwrap_or(u16::MAX);
    }

    fn sum<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mut sum = Self::default();
        // Room for all of them at once.
        let ranges =
            all.clone().filter(|each| each.count > 0).map(|each| (each.first.into(), usize::from(each.first) + each.counts.len() - 1));
        if let Some((first, last)) = ranges.reduce(|(from, to), (first, last): (usize, usize)| (from.min(first), to.max(last))) {
            sum.make_room(first, last);
        }
        all.for_each(|each| sum.merge(each));
        sum
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
            by_bin.record_bins(&[(bin, 3)]);
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
    fn moved_by_buckets_all_values_are_so_many_times_what_they_were() {
        let mut sketch = LogHistogram::default();
        (1..=1_000_u32).for_each(|number| sketch.record(f64::from(number) / 1_000.0, 1));
        let steps = LogHistogram::steps_of(10_f64.ln());
        let mut moved = sketch.clone();
        moved.shift(steps);
        for share in [0.05, 0.5, 0.95] {
            let times = moved.quantile(share).unwrap() / sketch.quantile(share).unwrap();
            assert!((times / 10.0 - 1.0).abs() < 0.021, "{times}");
        }
        moved.shift(-steps);
        assert_eq!(moved, sketch);
        moved.shift(i32::MIN);
        assert_eq!((moved.count(), moved.buckets().collect::<Vec<_>>()), (1_000, vec![(0, 1_000)]));
        let mut nothing = LogHistogram::default();
        nothing.shift(-7);
        assert_eq!(nothing, LogHistogram::default());
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
