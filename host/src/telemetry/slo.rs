//! What is promised of routes, and how many requests did not keep it.

#![allow(clippy::disallowed_types, reason = "promises are locked when a configuration is assembled and when metrics are read")]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::cell::{Count, lock};
use super::export::{counter, each_worker, fraction};
use super::families::Labels;
use super::route::Answers;
use super::{Cells, RouteCells, names};
use crate::config::model::Slo;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// One route's, on one worker.
#[derive(Debug, Default)]
pub(super) struct SloCells {
    promise: Mutex<Option<Slo>>,
    /// Microseconds that a request may take; 0 where nothing is promised.
    may_take: AtomicU64,
    /// Requests that took longer.
    slow: Count,
}

/// A promise as it stands in metrics: its name, the share that is promised over how long, and of how many requests how many did not keep it.
struct Reading {
    slo: &'static str,
    objective: f64,
    seconds: f64,
    requests: u64,
    broken: u64,
}

impl SloCells {
    pub(super) fn promise(&self, promise: Option<Slo>) {
        let may_take = promise
            .and_then(|promise| promise.latency)
            .map_or(0, |latency| u64::try_from(latency.under.as_micros()).unwrap_or(u64::MAX).max(1));
        *lock(&self.promise) = promise;
        self.may_take.store(may_take, Ordering::Relaxed);
    }

    /// A request has ended.
    pub(super) fn finished(&self, duration: Duration) {
        let may_take = self.may_take.load(Ordering::Relaxed);
        if may_take != 0 && duration.as_micros() > u128::from(may_take) {
            self.slow.add(1);
        }
    }

    fn read(&self, route: &RouteCells) -> impl Iterator<Item = Reading> {
        let promise = *lock(&self.promise);
        let days = promise.map_or(0, |promise| promise.days);
        let requests = route.answered();
        let reading = move |slo, objective, broken| Reading { slo, objective, seconds: f64::from(days) * DAY, requests, broken };
        let failed: u64 = route.requests().filter(Answers::is_broken).map(|answers| answers.count).sum();
        let availability = promise.and_then(|promise| promise.availability).map(|share| reading("availability", share, failed));
        let latency = promise.and_then(|promise| promise.latency).map(|latency| reading("latency", latency.share, self.slow.get()));
        availability.into_iter().chain(latency)
    }
}

/// Every promise, over all workers.
fn readings(cells: &Cells) -> BTreeMap<(Labels, &'static str), Reading> {
    let mut sums = BTreeMap::<_, Reading>::new();
    each_worker(cells, |worker, _| {
        worker.each_route(|route| {
            for reading in route.slo.read(route) {
                match sums.entry((Labels::of(route), reading.slo)) {
                    Entry::Vacant(entry) => drop(entry.insert(reading)),
                    Entry::Occupied(mut entry) => {
                        entry.get_mut().requests += reading.requests;
                        entry.get_mut().broken += reading.broken;
                    }
                }
            }
        });
    });
    sums
}

fn labels((Labels { route, api, version }, slo): (Labels, &'static str)) -> [KeyValue; 4] {
    [KeyValue::new("route", route), KeyValue::new("api", api), KeyValue::new("version", version), KeyValue::new("slo", slo)]
}

pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    let gauges: [(_, _, fn(&Reading) -> f64); 2] = [
        (names::SLO_OBJECTIVE, "Share of requests, 0 to 1, that is promised to be well.", |reading| reading.objective),
        (names::SLO_WINDOW, "Over how long it is promised, seconds.", |reading| reading.seconds),
    ];
    for (name, help, value) in gauges {
        fraction(meter, cells, name, help, move |cells, observer| {
            readings(cells).into_iter().for_each(|(key, reading)| observer.observe(value(&reading), &labels(key)));
        });
    }
    // Both are there from the start, so that rates of them are of the same requests.
    let counters: [(_, _, fn(&Reading) -> u64); 2] = [
        (names::SLO_REQUESTS, "Requests of which something is promised.", |reading| reading.requests),
        (
            names::SLO_BROKEN,
            "Requests that were not as promised: failed by gateway, plugin or upstream, broken off included, or slower.",
            |reading| reading.broken,
        ),
    ];
    for (name, help, value) in counters {
        counter(meter, cells, name, help, move |cells, observer| {
            readings(cells).into_iter().for_each(|(key, reading)| observer.observe(value(&reading), &labels(key)));
        });
    }
}
