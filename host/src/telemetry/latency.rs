//! One division of time into bins for every latency the gateway keeps, so that distributions of any workers, minutes and days
//! can be added up. It is DDSketch's (Masson, Rim, Lee: "DDSketch", VLDB 2019), by the crate `sketches-ddsketch`.

use std::sync::LazyLock;
use std::time::Duration;

use sketches_ddsketch::Config;

/// What a quantile may be off by, of its own value.
pub const ACCURACY: f64 = 0.02;
/// Bins a sketch may have: at 2 % a nanosecond to a year fit into 950.
const MAX_BINS: u32 = 2048;
/// What the crate reads sketches back with; nothing that is counted here comes near it.
const MIN_VALUE: f64 = 1e-9;

/// The division, for values in microseconds.
pub static BINS: LazyLock<Config> = LazyLock::new(|| Config::new(ACCURACY, MAX_BINS, MIN_VALUE));

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
        let us = (value.as_nanos() as f64 / 1e3).max(1.0);
        let bin = i16::try_from(BINS.key(us)).unwrap_or(i16::MAX);
        match self.0.binary_search_by_key(&bin, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.0.insert(at, (bin, 1)),
        }
    }

    /// Each bin's middle, microseconds, and its count.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.0.iter().map(|(bin, count)| (BINS.value(i32::from(*bin)), u64::from(*count)))
    }

    /// Begins anew and keeps its room.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
