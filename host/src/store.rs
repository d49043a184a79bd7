//! The monitoring store: an embedded database (SQLite) that the gateway writes and that reports and analysis read.
//!
//! One thread writes it: it takes what workers tallied by message, adds it up by minute, and about twice a second commits what is
//! new. Minutes are rolled up into hours and days as they end. Nothing that serves requests ever waits for a disk. The tables are
//! in `schema`; `docs/adr/0014-the-store-is-sqlite.md` says why they are as they are.

mod clock;
mod incident;
mod keep;
mod names;
mod open;
mod pending;
mod read;
mod rollup;
mod schema;
mod sketch;
mod sql;
mod stored;
mod thread;
mod write;

pub use incident::{Analyst, Incident, Slo};
pub use open::{OpenError, Reader};
pub use pending::{Counts, Pending};
pub use read::{Gap, GapKind};
pub use schema::Tier;
pub use sketch::Sketch;
pub use stored::{Sum, each_bin};
pub use thread::{StoreThread, start};
pub use write::Writer;

use std::time::{Duration, SystemTime};

/// Seconds since 1970, as every `at` of the store.
pub fn seconds(at: SystemTime) -> i64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, whole_seconds)
}

fn whole_seconds(since: Duration) -> i64 {
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Microseconds, as every `_us` of the store.
fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A count as SQLite keeps it: signed.
fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
