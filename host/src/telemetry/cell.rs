//! Numbers that one thread writes and any thread reads.

#![allow(clippy::disallowed_types, reason = "`lock` is for set-up and scraping; see its callers")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A whole number with a single writer, so that adding needs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds; only the owning thread may.
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Takes away, down to zero; only the owning thread may.
    pub(crate) fn sub(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).saturating_sub(amount), Ordering::Relaxed);
    }

    /// Sets; only the owning thread may.
    pub(crate) fn set(&self, amount: u64) {
        self.0.store(amount, Ordering::Relaxed);
    }

    /// Reads, from anywhere.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A whole number that several threads add to, each of them rarely.
#[derive(Debug, Default)]
pub(crate) struct SharedCount(AtomicU64);

impl SharedCount {
    /// Adds, from anywhere.
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes away, from anywhere. Whoever does has added before.
    pub(crate) fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Reads, from anywhere.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A fraction with a single writer.
#[derive(Debug, Default)]
pub(super) struct Sum(AtomicU64);

impl Sum {
    /// Adds; only the owning thread may.
    pub(super) fn add(&self, amount: f64) {
        self.set(self.get() + amount);
    }

    /// Sets, from anywhere: the last one stays.
    pub(super) fn set(&self, amount: f64) {
        self.0.store(amount.to_bits(), Ordering::Relaxed);
    }

    /// Reads, from anywhere.
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Locks; what another thread left behind by a panic is still whole, since every change is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
