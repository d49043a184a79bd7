//! What the whole gateway has learned about endpoints and upstreams. Each worker writes what every request changes to a share of its own; who wants to
//! know adds them up.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::availability::Availability;
use crate::places::{Kept, Places};

/// What the gateway knows about one endpoint.
#[derive(Debug)]
pub struct EndpointState {
    pub(super) connections: AtomicUsize,
    /// Of unused connections.
    pub(super) places: Places,
    /// Some request was refused for want of a connection since one was last given up for it.
    pub(super) wanted: AtomicBool,
    pub(super) availability: Availability,
    /// By worker.
    workers: Box<[EndpointShare]>,
    /// Of whoever is no worker.
    pub(super) others: EndpointShare,
}

/// What one worker knows about an endpoint. On a cache line of its own (two, as CPUs fetch them in pairs), so that no worker waits for another
/// one's line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct EndpointShare {
    in_flight: AtomicUsize,
    latency: AtomicU64,
    idle: AtomicUsize,
    pub(super) kept: Kept,
}

/// What the gateway knows about one upstream.
#[derive(Debug)]
pub struct UpstreamState {
    workers: Box<[UpstreamShare]>,
    others: UpstreamShare,
}

/// What one worker knows about an upstream.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct UpstreamShare {
    in_flight: AtomicUsize,
}

// === impl EndpointState ===

impl EndpointState {
    /// Nothing known yet, by so many workers.
    pub(super) fn new(workers: usize, now: Instant) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            places: Places::default(),
            wanted: AtomicBool::new(false),
            availability: Availability::new(now),
            workers: (0..workers).map(|_| EndpointShare::default()).collect(),
            others: EndpointShare::default(),
        }
    }

    pub(super) fn of(&self, worker: usize) -> Option<&EndpointShare> {
        self.workers.get(worker)
    }

    fn shares(&self) -> impl Iterator<Item = &EndpointShare> {
        self.workers.iter().chain([&self.others])
    }

    /// Requests whose response has not ended.
    pub fn in_flight(&self) -> usize {
        self.shares().map(|share| share.in_flight.load(Relaxed)).fold(0, usize::wrapping_add)
    }

    /// Time to the response head, microseconds, exponentially weighted (each answer counts one eighth) by each worker that had answers; the mean of
    /// theirs. 0 before the first.
    pub fn latency_us(&self) -> u64 {
        let known = self.shares().map(|share| share.latency.load(Relaxed)).filter(|latency| *latency > 0);
        let (sum, count) = known.fold((0_u64, 0_u64), |(sum, count), latency| (sum.saturating_add(latency), count + 1));
        sum.checked_div(count).unwrap_or(0)
    }

    /// Open connections, used or not.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Open connections no request uses. HTTP/2 connections are not counted here.
    pub fn idle_connections(&self) -> usize {
        self.shares().map(|share| share.idle.load(Relaxed)).fold(0, usize::wrapping_add)
    }
}

// === impl EndpointShare ===

impl EndpointShare {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(super) fn enter_idle(&self) {
        self.idle.fetch_add(1, Relaxed);
    }

    pub(super) fn leave_idle(&self) {
        self.idle.fetch_sub(1, Relaxed);
    }

    /// One more answer.
    pub(super) fn answered_in(&self, time: Duration) {
        let sample = time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()));
        let old = self.latency.load(Relaxed);
        // Never back to 0, which means "unknown".
        let new = if old == 0 { sample } else { old - old / 8 + sample / 8 };
        self.latency.store(new.max(1), Relaxed);
    }
}

// === impl UpstreamState ===

impl UpstreamState {
    /// Nothing known yet, by so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| UpstreamShare::default()).collect(), others: UpstreamShare::default() }
    }

    pub(super) fn of(&self, worker: usize) -> &UpstreamShare {
        self.workers.get(worker).unwrap_or(&self.others)
    }

    /// Requests whose response has not ended, of all endpoints together.
    pub fn in_flight(&self) -> usize {
        self.workers.iter().chain([&self.others]).map(|share| share.in_flight.load(Relaxed)).fold(0, usize::wrapping_add)
    }
}

// === impl UpstreamShare ===

impl UpstreamShare {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_follows_the_answers_slowly_and_is_never_unknown_again() {
        let state = EndpointState::new(2, Instant::now());
        assert_eq!(state.latency_us(), 0);
        let share = state.of(0).unwrap();
        share.answered_in(Duration::from_micros(800));
        assert_eq!(state.latency_us(), 800);
        share.answered_in(Duration::from_micros(1_600));
        assert_eq!(state.latency_us(), 900);
        (0..200).for_each(|_| share.answered_in(Duration::ZERO));
        assert!(state.latency_us() >= 1);
    }

    #[test]
    fn what_workers_know_is_added_up() {
        let (state, upstream) = (EndpointState::new(2, Instant::now()), UpstreamState::new(2));
        assert!(state.of(2).is_none(), "no worker");
        for (worker, latency) in [(0, 300), (1, 500)] {
            let share = state.of(worker).unwrap();
            share.answered_in(Duration::from_micros(latency));
            share.begin();
            share.enter_idle();
            upstream.of(worker).begin();
        }
        upstream.of(usize::MAX).begin();
        state.others.begin();
        assert_eq!((state.in_flight(), state.idle_connections(), state.latency_us(), upstream.in_flight()), (3, 2, 400, 3));
        state.others.end();
        assert_eq!(state.in_flight(), 2);
    }
}
