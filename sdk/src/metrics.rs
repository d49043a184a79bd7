//! Instruments, declared in `configure` and exported as `plugway_plugin_<name>` with the label `plugin`.
//!
//! ```
//! # fn configure() -> Result<(), plugway_sdk::Error> {
//! use plugway_sdk::metrics::Counter;
//!
//! let denied = Counter::declare("denied_total", "Requests denied.", "1", ["route"])?;
//! denied.add(1.0, ["orders"]);
//! # Ok(())
//! # }
//! # plugway_sdk::testing::in_configure(configure).unwrap();
//! ```
//!
//! A series past the plugin's `max_series` is folded into one labelled `overflow`, and counted.

pub use crate::bindings::imports::plugway::gateway::metrics::Kind;
use crate::error::MetricError;
use crate::sys;

/// Amounts that one call may record.
const MOST_AMOUNTS: usize = 16_384;

/// A sum that only grows, with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Counter<const N: usize>(u32);

/// A distribution, with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<const N: usize>(u32);

/// A value that goes up and down, with `N` labels; the last one set counts.
#[derive(Debug, Clone, Copy)]
pub struct Gauge<const N: usize>(u32);

impl<const N: usize> Counter<N> {
    /// Declares it. `name` and labels are `[a-z][a-z0-9_]*` of at most 64 bytes, `unit` is a UCUM unit such as `s`, `By` or `1`. Declaring
    /// the same one again gives the same instrument.
    pub fn declare(name: &str, description: &str, unit: &str, labels: [&str; N]) -> Result<Self, MetricError> {
        Ok(Self(sys::metrics::declare(Kind::Counter, name, description, unit, &labels, &[])?))
    }

    /// Adds to it; `labels` are values in the declared order. A negative amount, or one that is not finite, is ignored,
    /// and counted.
    pub fn add(&self, amount: f64, labels: [&str; N]) {
        sys::metrics::record(self.0, amount, &labels);
    }
}

impl<const N: usize> Histogram<N> {
    /// Declares it. `bounds` are the upper bounds of its buckets in growing order; empty takes 14 from 0.5 ms to 10 s, in
    /// seconds.
    pub fn declare(name: &str, description: &str, unit: &str, labels: [&str; N], bounds: &[f64]) -> Result<Self, MetricError> {
        Ok(Self(sys::metrics::declare(Kind::Histogram, name, description, unit, &labels, bounds)?))
    }

    /// Records one value; `labels` are values in the declared order.
    pub fn record(&self, value: f64, labels: [&str; N]) {
        sys::metrics::record(self.0, value, &labels);
    }

    /// Records many values of one series at the price of one call for each 16,384.
    pub fn record_all(&self, values: &[f64], labels: [&str; N]) {
        values.chunks(MOST_AMOUNTS).for_each(|chunk| sys::metrics::record_all(self.0, chunk, &labels));
    }
}

impl<const N: usize> Gauge<N> {
    /// Declares it.
    pub fn declare(name: &str, description: &str, unit: &str, labels: [&str; N]) -> Result<Self, MetricError> {
        Ok(Self(sys::metrics::declare(Kind::Gauge, name, description, unit, &labels, &[])?))
    }

    /// Sets it; `labels` are values in the declared order.
    pub fn set(&self, value: f64, labels: [&str; N]) {
        sys::metrics::record(self.0, value, &labels);
    }
}
