//! Rows of counts, added up.

use rusqlite::types::ValueRef;
use rusqlite::{Result, Row};

use super::count;
use crate::report::data::{Latency, Totals};
use crate::store::Sum;

/// The columns it takes, in their order: of rows that have bytes, and of those that have not.
pub(super) const TOTALS: &str = "requests, client_errors, server_errors, request_bytes, response_bytes, duration_us, longest_us, latency";
pub(super) const COUNTS: &str = "requests, client_errors, server_errors, duration_us, longest_us, latency";

/// Whether rows have bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    Totals,
    Counts,
}

/// What rows come to.
#[derive(Debug, Default, Clone)]
pub(super) struct Summed {
    pub(super) requests: u64,
    pub(super) client_errors: u64,
    pub(super) server_errors: u64,
    request_bytes: u64,
    response_bytes: u64,
    duration_us: u64,
    longest_us: u64,
    latency: Sum,
}

impl Summed {
    /// Adds a row whose columns begin at `first`. How many distributions were left out since they could not be read: none or one.
    pub(super) fn add(&mut self, row: &Row<'_>, first: usize, columns: Columns) -> Result<u64> {
        let at = |column: usize| count(row, first + column);
        self.requests += at(0)?;
        self.client_errors += at(1)?;
        self.server_errors += at(2)?;
        let mut next = 3;
        if columns == Columns::Totals {
            self.request_bytes += at(3)?;
            self.response_bytes += at(4)?;
            next = 5;
        }
        self.duration_us = self.duration_us.saturating_add(at(next)?);
        self.longest_us = self.longest_us.max(at(next + 1)?);
        let column = first + next + 2;
        let ValueRef::Blob(bytes) = row.get_ref(column)? else { return Ok(0) };
        Ok(u64::from(self.latency.add(bytes).is_err()))
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            requests: self.requests,
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            latency: self.latency(),
        }
    }

    pub(super) fn latency(&self) -> Latency {
        let sketch = self.latency.sketch();
        // What never became a request took no time.
        let timed = sketch.count().min(self.requests);
        Latency {
            mean_us: (timed > 0).then(|| self.duration_us as f64 / timed as f64),
            p50_us: sketch.quantile(0.5),
            p95_us: sketch.quantile(0.95),
            p99_us: sketch.quantile(0.99),
            longest_us: (timed > 0).then_some(self.longest_us),
        }
    }
}
