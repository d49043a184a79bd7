//! A distribution of latencies that can be added to others: DDSketch, of the crate `sketches-ddsketch`.
//!
//! It is stored in the format that DataDog's sketches for Java, Go and Python share, without the parts that are the same in
//! every row (the division into bins) or stand in columns of their own (count, sum, longest). Of the format's ways to write bins the
//! shorter of two is taken: each with its distance from the one before, or all from the first to the last, which is mostly one or two
//! bytes for each.

use std::fmt;

use sketches_ddsketch::DDSketch;

use super::stored::{APART, Sum, TOGETHER, length, unsigned};
use crate::telemetry::latency::{BINS, Bins};

/// How the format writes a count of nothing, and a distance of one.
const NOTHING: u8 = 0x00;
const ONE: u8 = 0x02;
/// Marks of the parts before it, with the bytes that follow each; the count's are as many as it needs.
const COUNT: u8 = 0xA0;
const BEFORE: [(u8, usize); 4] = [(0x88, 8), (0x8C, 8), (0x84, 8), (0x02, 16)];

/// A distribution of latencies, microseconds; of plugins nanoseconds.
#[derive(Clone)]
pub struct Sketch(DDSketch);

impl Default for Sketch {
    fn default() -> Self {
        Self(DDSketch::new(*BINS))
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Sketch {
    /// Adds what a worker counted.
    pub fn add(&mut self, bins: &Bins) {
        bins.iter().for_each(|(middle, count)| self.0.add_with_count(middle, count));
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        // Refused only where the division into bins differs, and there is one.
        drop(self.0.merge(&other.0));
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.0.count() as u64
    }

    /// The value below which a share of them is, within [`ACCURACY`](crate::telemetry::latency::ACCURACY); `None` where there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        // The ends need the extremes, which are kept elsewhere.
        self.0.quantile(share.clamp(1e-9, 1.0 - 1e-9)).ok().flatten()
    }

    /// What workers' bins, or stored ones, come to: how many values fell into each bin of [`BINS`].
    pub(super) fn of(bins: impl Iterator<Item = (i32, u64)>) -> Self {
        let mut sketch = Self::default();
        bins.filter(|(_, count)| *count > 0).for_each(|(bin, count)| sketch.0.add_with_count(BINS.value(bin), count));
        sketch
    }

    /// As it is stored; nothing where it is empty.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.count() == 0 {
            return Vec::new();
        }
        let mut bytes = self.0.to_java_bytes();
        let bins = bytes.len() - bins(&bytes).len();
        bytes.drain(..bins);
        together(&bytes).filter(|shorter| shorter.len() < bytes.len()).unwrap_or(bytes)
    }

    /// What was stored.
    ///
    /// # Errors
    /// When it is no sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut sum = Sum::default();
        sum.add(bytes)?;
        Ok(sum.sketch())
    }
}

/// What stands from the bins on; all of it where it is written in another way.
fn bins(all: &[u8]) -> &[u8] {
    let mut rest = all;
    loop {
        match rest {
            [APART, ..] => return rest,
            [COUNT, number @ ..] => rest = number.get(length(number)..).unwrap_or_default(),
            [mark, tail @ ..] => match BEFORE.iter().find(|(known, _)| known == mark).and_then(|(_, length)| tail.get(*length..)) {
                Some(tail) => rest = tail,
                None => return all,
            },
            [] => return all,
        }
    }
}

/// Bins that were written apart, written together: counts stay as they are. `None` where they were written in another way, or are so
/// far apart that it would be no shorter.
fn together(apart: &[u8]) -> Option<Vec<u8>> {
    let mut rest = apart.strip_prefix(&[APART])?;
    let mut next = || {
        let (number, tail) = rest.split_at_checked(length(rest))?;
        rest = tail;
        Some(number)
    };
    next()?;
    let (mut counts, mut bins) = (Vec::with_capacity(apart.len()), 1_u64);
    let (first, count) = (next()?, next()?);
    counts.extend_from_slice(count);
    while let Some(distance) = next() {
        // Distances are even: those backwards would be odd.
        let missing = usize::try_from(unsigned(distance) / 2).ok()?.checked_sub(1)?;
        if counts.len() + missing > apart.len() {
            return None;
        }
        counts.resize(counts.len() + missing, NOTHING);
        counts.extend_from_slice(next()?);
        bins += 1 + missing as u64;
    }
    let mut bytes = vec![TOGETHER];
    while bins >= 0x80 {
        bytes.push(bins as u8 | 0x80);
        bins >>= 7;
    }
    bytes.push(bins as u8);
    bytes.extend_from_slice(first);
    bytes.push(ONE);
    bytes.append(&mut counts);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_comes_back_as_it_was_stored_and_adds_up() {
        let mut bins = Bins::default();
        (1..=1000).for_each(|ms| bins.add(Duration::from_millis(ms)));
        let mut sketch = Sketch::default();
        sketch.add(&bins);
        let bytes = sketch.to_bytes();
        assert_eq!(bytes.first(), Some(&TOGETHER));
        assert!(bytes.len() < 300, "{}", bytes.len());
        let mut back = Sketch::from_bytes(&bytes).unwrap();
        assert_eq!(back.count(), 1000);
        back.merge(&sketch);
        back.merge(&Sketch::from_bytes(&[]).unwrap());
        assert_eq!(back.count(), 2000);
        for (share, ms) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = back.quantile(share).unwrap() / 1000.0;
            assert!((found - ms).abs() <= ms * 0.025, "{share}: {found}");
        }
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert!(Sketch::from_bytes(b"nonsense").is_err());
    }

    #[test]
    fn bins_far_apart_are_written_apart_and_those_with_gaps_together() {
        let stored = |values: &[u64]| {
            let mut bins = Bins::default();
            values.iter().for_each(|us| bins.add(Duration::from_micros(*us)));
            let mut sketch = Sketch::default();
            sketch.add(&bins);
            let bytes = sketch.to_bytes();
            let back = Sketch::from_bytes(&bytes).unwrap();
            assert_eq!(back.count(), values.len() as u64);
            for share in [0.01, 0.2, 0.5, 0.8, 0.99] {
                assert_eq!(back.quantile(share), sketch.quantile(share), "{values:?} {share}");
            }
            bytes
        };
        assert_eq!(stored(&[1, 10, 1_000_000]).first(), Some(&APART));
        let close: Vec<u64> = (0..40).map(|step| 1_000 + 40 * step).filter(|us| us % 7 != 0).collect();
        assert_eq!(stored(&close).first(), Some(&TOGETHER));
    }

    #[test]
    fn what_one_value_takes_is_a_few_bytes() {
        let mut bins = Bins::default();
        bins.add(Duration::from_micros(700));
        let mut sketch = Sketch::default();
        sketch.add(&bins);
        assert!(sketch.to_bytes().len() <= 6, "{:?}", sketch.to_bytes());
    }
}
