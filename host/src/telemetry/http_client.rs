//! What is counted of one plugin's own requests. Written by the thread that makes them, and by no other.

use std::sync::Arc;
use std::time::Duration;

use super::cell::Count;
use super::histogram::{Histogram, Reading, SECONDS};

/// One plugin's requests.
#[derive(Debug)]
pub struct HttpClientCells {
    plugin: Arc<str>,
    outcomes: &'static [&'static str],
    counts: Box<[Count]>,
    in_flight: Count,
    duration: Histogram,
}

impl HttpClientCells {
    pub(super) fn new(plugin: Arc<str>, outcomes: &'static [&'static str]) -> Self {
        let counts = outcomes.iter().map(|_| Count::default()).collect();
        Self { plugin, outcomes, counts, in_flight: Count::default(), duration: Histogram::new(&SECONDS) }
    }

    /// A request was answered, or came to nothing, after so long.
    pub fn answered(&self, outcome: &str, took: Duration) {
        let at = self.outcomes.iter().position(|known| *known == outcome);
        if let Some(count) = at.and_then(|at| self.counts.get(at)) {
            count.add(1);
        }
        self.duration.record(took.as_secs_f64());
    }

    /// So many are in flight now.
    pub fn in_flight(&self, requests: usize) {
        self.in_flight.set(requests as u64);
    }

    pub(super) fn plugin(&self) -> &Arc<str> {
        &self.plugin
    }

    pub(super) fn flying(&self) -> u64 {
        self.in_flight.get()
    }

    pub(super) fn duration(&self) -> Reading {
        self.duration.read()
    }

    pub(super) fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.outcomes.iter().copied().zip(self.counts.iter().map(Count::get)).filter(|(_, count)| *count > 0)
    }
}
