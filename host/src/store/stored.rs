//! Distributions as they are stored, read and added up without making a sketch of each: a year's report adds up two million.

use std::ops::Range;

use super::sketch::Sketch;

/// The mark of the format's part that holds bins, each with its distance from the one before.
pub(super) const APART: u8 = 0x05;
/// The same with every bin from the first to the last.
pub(super) const TOGETHER: u8 = 0x0D;
/// Bins there can be: a nanosecond to a year is a third of them, and the crate tells as many apart and takes none of them for zero. What is
/// beyond is no sketch of ours.
const THERE_ARE: Range<i64> = -512..1_536;
/// What a count of ours never comes to: a request each second for half a million years.
const BEYOND: f64 = (1_u64 << 44) as f64;

/// Stored distributions, added up.
#[derive(Debug, Default, Clone)]
pub struct Sum {
    /// The bin of the first count.
    first: i32,
    counts: Vec<u64>,
}

impl Sum {
    /// Adds what was stored.
    ///
    /// # Errors
    /// When it is no sketch; then nothing of it was added.
    pub fn add(&mut self, stored: &[u8]) -> Result<(), String> {
        // Who counts beyond what there can be has written nonsense, which is no reason to end.
        if stored.is_empty() || self.count(stored, u64::wrapping_add).is_some() {
            return Ok(());
        }
        // What was added of it before it was seen to be none is taken out again.
        let _ = self.count(stored, u64::wrapping_sub);
        Err("no sketch".to_owned())
    }

    /// Adds counts or takes them away, up to where it is seen to be no sketch.
    fn count(&mut self, stored: &[u8], with: impl Fn(u64, u64) -> u64) -> Option<()> {
        let stored = Stored::of(stored)?;
        if let Stored::Together { first, bins, counts } = stored {
            return together(self.room(first, bins), counts, with);
        }
        stored.each(|bin, count| self.room(bin, 1).iter_mut().for_each(|sum| *sum = with(*sum, count)))
    }

    /// As a sketch, which has quantiles.
    pub fn sketch(&self) -> Sketch {
        Sketch::of((self.first..).zip(self.counts.iter().copied()))
    }

    /// The counts of so many bins.
    fn room(&mut self, first: i32, bins: usize) -> &mut [u64] {
        if self.counts.is_empty() {
            self.first = first;
        }
        let before = usize::try_from(self.first - first).unwrap_or(0);
        if before > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, before));
            self.first = first;
        }
        let from = usize::try_from(first - self.first).unwrap_or(0);
        if self.counts.len() < from + bins {
            self.counts.resize(from + bins, 0);
        }
        self.counts.get_mut(from..from + bins).unwrap_or_default()
    }
}

/// Calls with each bin that has any, and its count.
///
/// # Errors
/// When it is no sketch.
pub fn each_bin(stored: &[u8], each: impl FnMut(i32, u64)) -> Result<(), String> {
    if stored.is_empty() {
        return Ok(());
    }
    Stored::of(stored).and_then(|bins| bins.each(each)).ok_or_else(|| "no sketch".to_owned())
}

/// The two ways of writing bins.
enum Stored<'a> {
    /// Each with its distance from the one before.
    Apart { bins: usize, rest: &'a [u8] },
    /// Every one from the first on.
    Together { first: i32, bins: usize, counts: &'a [u8] },
}

impl<'a> Stored<'a> {
    fn of(stored: &'a [u8]) -> Option<Self> {
        let (mark, mut rest) = stored.split_first()?;
        let mut next = || {
            let (number, tail) = rest.split_at_checked(length(rest))?;
            rest = tail;
            Some(number)
        };
        let bins = usize::try_from(unsigned(next()?)).ok()?;
        match *mark {
            APART => Some(Self::Apart { bins, rest }),
            TOGETHER => {
                let (first, step) = (signed(next()?), signed(next()?));
                let last = first.checked_add(i64::try_from(bins).ok()?)?;
                let ours = step == 1 && first >= THERE_ARE.start && last <= THERE_ARE.end;
                ours.then_some(Self::Together { first: i32::try_from(first).ok()?, bins, counts: rest })
            }
            _ => None,
        }
    }

    fn each(self, mut each: impl FnMut(i32, u64)) -> Option<()> {
        match self {
            Self::Together { first, bins, mut counts } => {
                for bin in (first..).take(bins) {
                    let (count, tail) = counted(counts)?;
                    counts = tail;
                    if count > 0 {
                        each(bin, count);
                    }
                }
                counts.is_empty().then_some(())
            }
            Self::Apart { bins, mut rest } => {
                let mut bin = 0_i64;
                for _ in 0..bins {
                    let (distance, tail) = rest.split_at_checked(length(rest))?;
                    bin = bin.checked_add(signed(distance))?;
                    let (count, tail) = counted(tail)?;
                    rest = tail;
                    each(i32::try_from(bin).ok().filter(|_| THERE_ARE.contains(&bin))?, count);
                }
                rest.is_empty().then_some(())
            }
        }
    }
}

fn together(sums: &mut [u64], mut counts: &[u8], with: impl Fn(u64, u64) -> u64) -> Option<()> {
    for sum in sums {
        let (count, tail) = counted(counts)?;
        counts = tail;
        *sum = with(*sum, count);
    }
    counts.is_empty().then_some(())
}

/// How many bytes a number of the format has: seven bits in each, the last without the eighth, nine at most.
pub(super) fn length(number: &[u8]) -> usize {
    number.iter().take(8).take_while(|byte| **byte >= 0x80).count() + 1
}

/// A number's value, the lowest bits first.
pub(super) fn unsigned(number: &[u8]) -> u64 {
    number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F))
}

/// A number that may be negative: the lowest bit says so.
fn signed(number: &[u8]) -> i64 {
    let value = unsigned(number);
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// A count, and what stands behind it. Counts are floating-point numbers, less one, with their bits rotated so that small ones are short.
/// Nearly all have one to three bytes, and need no floating point: six bits of exponent, then the fraction.
#[inline]
fn counted(rest: &[u8]) -> Option<(u64, &[u8])> {
    let (bits, fraction, tail) = match rest {
        [a, tail @ ..] if *a < 0x80 => (u32::from(*a), 1, tail),
        [a, b, tail @ ..] if *b < 0x80 => (u32::from(a & 0x7F) << 7 | u32::from(*b), 8, tail),
        [a, b, c, tail @ ..] if *c < 0x80 => (u32::from(a & 0x7F) << 14 | u32::from(b & 0x7F) << 7 | u32::from(*c), 15, tail),
        _ => return counted_long(rest),
    };
    let exponent = bits >> fraction;
    if exponent > 40 {
        return counted_long(rest);
    }
    let value = u64::from(bits & ((1 << fraction) - 1) | 1 << fraction) << exponent;
    // Counts are whole; what is not, other programs wrote.
    if value & ((1 << fraction) - 1) == 0 { Some(((value >> fraction) - 1, tail)) } else { counted_long(rest) }
}

fn counted_long(rest: &[u8]) -> Option<(u64, &[u8])> {
    let (number, tail) = rest.split_at_checked(length(rest))?;
    let bits = number.iter().zip(0..).fold(0_u64, |bits, (byte, place)| match place {
        8 => bits | u64::from(*byte),
        _ => bits | u64::from(byte & 0x7F) << (57 - 7 * place),
    });
    let value = f64::from_bits(bits.rotate_right(6).wrapping_add(1_f64.to_bits())) - 1.0;
    (0.0..BEYOND).contains(&value).then(|| (value.round() as u64, tail))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::latency::{BINS, Bins};

    fn stored(values: impl Iterator<Item = (u64, u32)>) -> (Bins, Vec<u8>) {
        let mut bins = Bins::default();
        values.for_each(|(us, times)| (0..times).for_each(|_| bins.add(Duration::from_micros(us))));
        let mut sketch = Sketch::default();
        sketch.add(&bins);
        (bins, sketch.to_bytes())
    }

    #[test]
    fn stored_bins_are_those_that_were_counted_in_either_way_of_writing_them() {
        let close = (0..60).map(|step| (1_000 + 40 * step, 1 + (step as u32 * 37) % 700)).filter(|(us, _)| us % 7 != 0);
        for values in [close.collect(), vec![(1, 1), (10, 3), (1_000_000, 70_000)]] {
            let (bins, bytes) = stored(values.into_iter());
            let mut found = Vec::new();
            each_bin(&bytes, |bin, count| found.push((BINS.value(bin), count))).unwrap();
            assert_eq!(found, bins.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_sum_is_what_merged_sketches_are() {
        let (mut sum, mut merged) = (Sum::default(), Sketch::default());
        for (from, times) in [(5_000, 3), (90, 300), (2_000_000, 1), (700, 5_000)] {
            let (_, bytes) = stored((0..50).map(|step| (from + from * step / 20, times)));
            sum.add(&bytes).unwrap();
            merged.merge(&Sketch::from_bytes(&bytes).unwrap());
        }
        sum.add(&[]).unwrap();
        let sum = sum.sketch();
        assert_eq!(sum.count(), merged.count());
        for share in [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999] {
            assert_eq!(sum.quantile(share), merged.quantile(share), "{share}");
        }
        assert_eq!(sum.to_bytes(), merged.to_bytes());
    }

    #[test]
    fn what_is_no_sketch_is_refused() {
        let far = [TOGETHER, 1, 0xFF, 0xFF, 0x7F, 2, 2];
        for wrong in [&b"nonsense"[..], &[APART, 0xFF], &[TOGETHER, 9, 2, 2, 1], &[APART, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 2], &far] {
            assert!(Sum::default().add(wrong).is_err() && each_bin(wrong, |_, _| ()).is_err(), "{wrong:?}");
        }
        // A count that is less than nothing, and one that is infinite.
        for count in [[0xFF_u8; 9], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]] {
            let wrong = [&[APART, 1, 2][..], &count].concat();
            assert!(Sum::default().add(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn of_what_is_no_sketch_nothing_is_added() {
        let close = (0..50).map(|step| (700 + 30 * step, 200)).collect::<Vec<_>>();
        for values in [close, vec![(1, 1), (10, 3), (1_000_000, 70_000)]] {
            let (_, good) = stored(values.into_iter());
            let mut sum = Sum::default();
            sum.add(&good).unwrap();
            let before = sum.sketch().to_bytes();
            let longer = [&good[..], &[1_u8][..]].concat();
            assert!(sum.add(&good[..good.len() - 1]).is_err() && sum.add(&longer).is_err());
            assert_eq!(sum.sketch().to_bytes(), before);
        }
    }
}
