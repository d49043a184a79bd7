//! `[store]`

use std::path::PathBuf;
use std::time::Duration;

/// `[store]`: what reports are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Whether there is one; default true.
    pub enabled: bool,
    /// The database; default `monitoring.db` in the state directory.
    pub file: PathBuf,
    /// Bytes it may have; default 2 GiB.
    pub max_size: u64,
    /// How long what is kept.
    pub keep: Keep,
}

/// `[store.keep]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Counts of each minute; default a day.
    pub minutes: Duration,
    /// Counts of each hour; default 30 days.
    pub hours: Duration,
    /// Counts of each day; default a year.
    pub days: Duration,
    /// Slow and failed requests in detail; default a week.
    pub samples: Duration,
}
