//! What was counted and is not written yet, by minute.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::sketch::Sketch;
use super::{int, us};
use crate::fault::ErrorCause;
use crate::telemetry::{OTHER, PluginTally, Sample, Tally, TallyCell, Why};

/// Rows kept while nothing can be written; past it the oldest minute goes. About 100 MB at worst.
const MAX_ROWS: usize = 200_000;
/// Samples kept meanwhile.
const MAX_SAMPLES: usize = 2_000;
/// Failed requests kept of each minute, the first ones, and slow ones, the slowest: at most 100 MB a week.
const FAILED: usize = 30;
const SLOW: usize = 10;
/// Consumers told apart within one minute.
const MAX_CONSUMERS: usize = 2_000;

/// A route as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RouteKey {
    pub(super) api: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) route: Arc<str>,
}

/// What is counted of requests.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Answered with 4xx, clients that left included.
    pub client_errors: u64,
    /// Answered with 5xx.
    pub server_errors: u64,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
    /// Sum of durations, microseconds.
    pub duration_us: i64,
    /// The longest one, microseconds.
    pub longest_us: i64,
    /// Distribution of durations.
    pub latency: Sketch,
}

/// What one hook of one version of a plugin did.
#[derive(Debug, Clone, Default)]
pub(super) struct PluginCounts {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) timed: u64,
    pub(super) timed_ns: u64,
    /// Distribution of these, nanoseconds.
    pub(super) times: Sketch,
    pub(super) kinds: BTreeMap<&'static str, u64>,
}

/// One minute.
#[derive(Debug, Default)]
pub(super) struct Minute {
    pub(super) routes: HashMap<RouteKey, Counts>,
    pub(super) outcomes: HashMap<(RouteKey, u16, Option<ErrorCause>), u64>,
    pub(super) endpoints: HashMap<(RouteKey, Arc<str>), Counts>,
    pub(super) consumers: HashMap<(RouteKey, Arc<str>), Counts>,
    pub(super) plugins: HashMap<(Arc<str>, Arc<str>, &'static str), PluginCounts>,
}

/// Requests in detail of the minute that is counted.
#[derive(Debug, Default)]
struct Kept {
    minute: i64,
    /// Failed ones that were kept.
    failed: usize,
    /// The slowest so far.
    slow: Vec<Sample>,
}

/// Everything that is not written yet.
#[derive(Debug, Default)]
pub struct Pending {
    pub(super) minutes: BTreeMap<i64, Minute>,
    pub(super) samples: Vec<Sample>,
    kept: Kept,
    /// Requests whose consumer was counted among others.
    folded: u64,
}

impl Pending {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a worker handed over, for the minute that begins at `minute`.
    pub fn add(&mut self, minute: i64, tally: Tally) {
        if self.kept.minute != minute {
            self.close();
            self.kept.minute = minute;
        }
        let Self { minutes, samples, kept, folded } = self;
        let minute = minutes.entry(minute).or_default();
        *folded += tally.folded;
        for cell in &tally.cells {
            *folded += minute.add(cell);
        }
        tally.samples.into_iter().for_each(|sample| kept.offer(sample, samples));
    }

    /// A minute is over: which of its requests were the slowest is known.
    pub fn close(&mut self) {
        self.samples.append(&mut self.kept.slow);
        self.samples.truncate(MAX_SAMPLES);
        self.kept.failed = 0;
    }

    /// Takes what plugins did.
    pub fn add_plugins(&mut self, minute: i64, tallies: &[PluginTally]) {
        for tally in tallies {
            let minute = self.minutes.entry(minute).or_default();
            let key = (Arc::clone(&tally.plugin), Arc::clone(&tally.version), tally.hook);
            let counts = minute.plugins.entry(key).or_default();
            counts.calls += tally.calls;
            counts.timed += tally.timed;
            counts.timed_ns += tally.timed_ns;
            counts.times.add(&tally.times);
            for (kind, count) in tally.failures.iter().filter(|(_, count)| *count > 0) {
                counts.failures += count;
                *counts.kinds.entry(kind).or_default() += count;
            }
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.samples.is_empty()
    }

    /// Requests in it.
    pub fn requests(&self) -> u64 {
        self.minutes.values().map(Minute::requests).sum()
    }

    /// Requests counted among others since this was last asked.
    pub fn take_folded(&mut self) -> u64 {
        std::mem::take(&mut self.folded)
    }

    /// Requests were written whose consumer had no name of its own.
    pub(super) fn fold(&mut self, requests: u64) {
        self.folded += requests;
    }

    /// Lets go of the oldest minutes where all of it takes too much memory. How many requests that were.
    pub fn bound(&mut self) -> u64 {
        let mut lost = 0;
        while self.minutes.len() > 1 && self.minutes.values().map(Minute::rows).sum::<usize>() > MAX_ROWS {
            lost += self.minutes.pop_first().map_or(0, |(_, minute)| minute.requests());
        }
        lost
    }
}

impl Kept {
    fn offer(&mut self, sample: Sample, samples: &mut Vec<Sample>) {
        match sample.why {
            Why::Failed if self.failed < FAILED && samples.len() < MAX_SAMPLES => {
                self.failed += 1;
                samples.push(sample);
            }
            Why::Failed => {}
            Why::Slow if self.slow.len() < SLOW => self.slow.push(sample),
            Why::Slow => {
                if let Some(fastest) = self.slow.iter_mut().min_by_key(|kept| kept.duration).filter(|kept| kept.duration < sample.duration)
                {
                    *fastest = sample;
                }
            }
        }
    }
}

impl Minute {
    /// How many requests were counted among others.
    fn add(&mut self, cell: &TallyCell) -> u64 {
        let name = |name: &Option<Arc<str>>| name.clone().unwrap_or_default();
        let route = RouteKey { api: name(&cell.api), version: name(&cell.version), route: Arc::clone(&cell.route) };
        let counts = Counts::of(cell);
        for (status, fault, count) in &cell.outcomes {
            *self.outcomes.entry((route.clone(), *status, *fault)).or_default() += count;
        }
        if !cell.endpoint.is_empty() {
            self.endpoints.entry((route.clone(), Arc::clone(&cell.endpoint))).or_default().add(&counts);
        }
        let mut folded = 0;
        if !cell.consumer.is_empty() {
            let mut key = (route.clone(), Arc::clone(&cell.consumer));
            // What is among others already was counted so where it was counted.
            if self.consumers.len() >= MAX_CONSUMERS && &*cell.consumer != OTHER && !self.consumers.contains_key(&key) {
                key.1 = OTHER.into();
                folded = counts.requests;
            }
            self.consumers.entry(key).or_default().add(&counts);
        }
        self.routes.entry(route).or_default().add(&counts);
        folded
    }

    fn requests(&self) -> u64 {
        self.routes.values().map(|counts| counts.requests).sum()
    }

    fn rows(&self) -> usize {
        self.routes.len() + self.outcomes.len() + self.endpoints.len() + self.consumers.len() + self.plugins.len()
    }
}

impl Counts {
    fn of(cell: &TallyCell) -> Self {
        let of_class = |class: u16| cell.outcomes.iter().filter(|(status, ..)| status / 100 == class).map(|(_, _, count)| count).sum();
        let mut latency = Sketch::default();
        latency.add(&cell.bins);
        Self {
            requests: cell.outcomes.iter().map(|(_, _, count)| count).sum(),
            client_errors: of_class(4),
            server_errors: of_class(5),
            request_bytes: cell.request_bytes,
            response_bytes: cell.response_bytes,
            duration_us: us(cell.duration),
            longest_us: us(cell.longest),
            latency,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.server_errors += other.server_errors;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.longest_us = self.longest_us.max(other.longest_us);
        self.latency.merge(&other.latency);
    }

    /// The values of the columns of a kind of row that has bytes, or of one that has not.
    pub(super) fn values(&self, bytes: bool) -> Vec<rusqlite::types::Value> {
        let mut values = vec![int(self.requests).into(), int(self.client_errors).into(), int(self.server_errors).into()];
        if bytes {
            values.extend([int(self.request_bytes).into(), int(self.response_bytes).into()]);
        }
        values.extend([self.duration_us.into(), self.longest_us.into(), self.latency.to_bytes().into()]);
        values
    }
}
