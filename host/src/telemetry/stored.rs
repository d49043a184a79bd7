//! What the monitoring store tells of itself. Only its own thread counts here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::metrics::Meter;
use serde_json::{Value, json};

use super::cell::Count;
use super::export::{counter, gauge};
use super::{Cells, names};

/// Counts of the monitoring store.
#[derive(Debug, Default)]
pub struct StoreCells {
    on: AtomicBool,
    writable: AtomicBool,
    size: Count,
    writes: Count,
    failures: Count,
    waiting: Count,
    lost: Count,
    folded: Count,
    left_out: Count,
}

impl StoreCells {
    /// There is one, and whether it can be written.
    pub fn opened(&self, writable: bool) {
        self.writable.store(writable, Ordering::Relaxed);
        self.on.store(true, Ordering::Relaxed);
    }

    /// What was waiting has been written.
    pub fn wrote(&self, size: u64) {
        self.writes.add(1);
        self.size.set(size);
        self.waiting.set(0);
        self.writable.store(true, Ordering::Relaxed);
    }

    /// It could not be; so many requests are kept in memory until it can.
    pub fn failed(&self, waiting: u64) {
        self.failures.add(1);
        self.waiting.set(waiting);
        self.writable.store(false, Ordering::Relaxed);
    }

    /// Requests that it will never know of: there was no room in memory either.
    pub fn lost(&self, requests: u64) {
        self.lost.add(requests);
    }

    /// Requests whose consumer or endpoint was counted among others.
    pub fn folded(&self, requests: u64) {
        self.folded.add(requests);
    }

    /// Stored distributions could not be read and were left out, so many times.
    pub fn left_out(&self, times: u64) {
        self.left_out.add(times);
    }

    /// How many times that was.
    pub fn all_left_out(&self) -> u64 {
        self.left_out.get()
    }

    /// Whether everything so far could be written.
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Its part of `/status`; `null` where it is off.
    pub fn status(&self) -> Value {
        if !self.is_on() {
            return Value::Null;
        }
        json!({
            "writable": self.is_writable(),
            "size_bytes": self.size.get(),
            "write_failures": self.failures.get(),
            "requests_waiting": self.waiting.get(),
            "requests_lost": self.lost.get(),
            "requests_folded": self.folded.get(),
            "distributions_left_out": self.left_out.get(),
        })
    }
}

/// Registers them. They are there only where a store is.
pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    type Read = fn(&StoreCells) -> u64;
    let counters: [(&str, &str, Read); 5] = [
        (names::STORE_WRITES, "Writes to the monitoring store that succeeded.", |store| store.writes.get()),
        (names::STORE_WRITE_FAILURES, "Writes to the monitoring store that failed; they are made again.", |store| store.failures.get()),
        (names::STORE_REQUESTS_LOST, "Requests the monitoring store will never know of.", |store| store.lost.get()),
        (names::STORE_REQUESTS_FOLDED, "Requests whose consumer or endpoint the monitoring store counts among others.", |store| {
            store.folded.get()
        }),
        (
            names::STORE_DISTRIBUTIONS_LEFT_OUT,
            "Times a distribution of latencies in the monitoring store could not be read and was left out.",
            |store| store.left_out.get(),
        ),
    ];
    let gauges: [(&str, &str, Read); 3] = [
        (names::STORE_WRITABLE, "Whether the monitoring store can be written: 1 or 0.", |store| u64::from(store.is_writable())),
        (names::STORE_SIZE, "Bytes of the monitoring store's files.", |store| store.size.get()),
        (names::STORE_REQUESTS_WAITING, "Requests kept in memory until the store can be written.", |store| store.waiting.get()),
    ];
    for (name, help, read) in counters {
        counter(meter, cells, name, help, move |cells, observer| {
            if cells.store.is_on() {
                observer.observe(read(&cells.store), &[]);
            }
        });
    }
    for (name, help, read) in gauges {
        gauge(meter, cells, name, help, move |cells, observer| {
            if cells.store.is_on() {
                observer.observe(read(&cells.store), &[]);
            }
        });
    }
}
