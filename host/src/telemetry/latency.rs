//! One division of time into bins for every latency the gateway keeps, so that distributions of any workers, minutes and days
//! can be added up. It is DDSketch's (Masson, Rim, Lee: "DDSketch", VLDB 2019), by the crate `sketches-ddsketch`.

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use sketches_ddsketch::Config;

use super::cell::Count;

/// What a quantile may be off by, of its own value.
pub const ACCURACY: f64 = 0.02;
/// Bins a sketch may have: at 2 % a nanosecond to a year fit into 950.
const MAX_BINS: u32 = 2048;
/// What the crate reads sketches back with; nothing that is counted here comes near it.
const MIN_VALUE: f64 = 1e-9;

/// The division, for microseconds of requests and nanoseconds of hooks.
pub static BINS: LazyLock<Config> = LazyLock::new(|| Config::new(ACCURACY, MAX_BINS, MIN_VALUE));

/// Shortest and longest time of a hook that have bins of their own, nanoseconds.
const HOOK: (f64, f64) = (16.0, 60e9);

/// How many calls of a hook took how long: counted by the thread that makes them, read by any. It has no room before the first.
#[derive(Debug, Default)]
pub(super) struct HookTimes(OnceLock<Box<[Count]>>);

impl HookTimes {
    /// Counts one call; only the owning thread may.
    pub(super) fn add(&self, ns: u64) {
        let (first, last) = (BINS.key(HOOK.0), BINS.key(HOOK.1));
        let bins = self.0.get_or_init(|| (first..=last).map(|_| Count::default()).collect());
        let bin = BINS.key((ns as f64).clamp(HOOK.0, HOOK.1)) - first;
        if let Some(count) = usize::try_from(bin).ok().and_then(|bin| bins.get(bin)) {
            count.add(1);
        }
    }

    /// What was counted so far.
    pub(super) fn read(&self) -> Bins {
        let first = BINS.key(HOOK.0);
        let counted = self.0.get().into_iter().flatten().zip(first..).filter(|(count, _)| count.get() > 0);
        Bins(counted.map(|(count, bin)| (bin as i16, u32::try_from(count.get()).unwrap_or(u32::MAX))).collect())
    }
}

/// Bins and how many fell into each, by bin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bins(Vec<(i16, u32)>);

impl Bins {
    /// Room for what most requests of one key need.
    pub(super) fn with_room() -> Self {
        Self(Vec::with_capacity(32))
    }

    /// Counts one value.
    pub fn add(&mut self, value: Duration) {
        // What took less than a microsecond took one: there is no logarithm of nothing.
        let us = (value.as_secs_f64() * 1e6).max(1.0);
        self.count(i16::try_from(BINS.key(us)).unwrap_or(i16::MAX), 1);
    }

    fn count(&mut self, bin: i16, more: u32) {
        match self.0.binary_search_by_key(&bin, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count = count.saturating_add(more);
                }
            }
            Err(at) => self.0.insert(at, (bin, more)),
        }
    }

    /// Counts what others counted.
    pub(super) fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|(bin, count)| self.count(*bin, *count));
    }

    /// Takes away what was counted before.
    pub(super) fn subtract(&mut self, before: &Self) {
        for (bin, count) in &mut self.0 {
            let told = before.0.binary_search_by_key(bin, |(known, _)| *known).ok().and_then(|at| before.0.get(at));
            *count = count.saturating_sub(told.map_or(0, |(_, told)| *told));
        }
        self.0.retain(|(_, count)| *count > 0);
    }

    /// Each bin's middle and its count.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.0.iter().map(|(bin, count)| (BINS.value(i32::from(*bin)), u64::from(*count)))
    }

    /// Begins anew and keeps its room.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_hook_fall_into_bins_and_what_was_told_is_taken_away() {
        let times = HookTimes::default();
        assert_eq!(times.read(), Bins::default());
        for ns in [0, 300, 300, 10_000_000, u64::MAX] {
            times.add(ns);
        }
        let told = times.read();
        let near = |middle: f64, ns: f64| (middle / ns - 1.0).abs() <= ACCURACY;
        let bins: Vec<_> = told.iter().collect();
        assert!(near(bins[0].0, 16.0) && near(bins[1].0, 300.0) && near(bins[2].0, 1e7) && near(bins[3].0, 60e9), "{bins:?}");
        assert_eq!(bins.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2, 1, 1]);
        times.add(300);
        let mut since = times.read();
        since.subtract(&told);
        assert_eq!(since.iter().map(|(_, count)| count).collect::<Vec<_>>(), [1]);
        since.merge(&told);
        assert_eq!(since, times.read());
    }
}
