//! What the whole gateway has learned about endpoints and upstreams. Each worker writes what every request changes to a share of its own; who wants to
//! know adds them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::availability::Availability;
use crate::places::{Kept, Places};
use crate::telemetry;

/// Seconds after which a worker's latency is none to go by, where another one has had an answer since.
const RECENT: u64 = 10;

/// What the gateway knows about one endpoint.
#[derive(Debug)]
pub struct EndpointState {
    since: Instant,
    pub(super) availability: Availability,
    /// By worker.
    workers: Box<[Arc<EndpointShare>]>,
    /// Of whoever is no worker.
    others: Arc<EndpointShare>,
    pub(super) common: Common,
}

/// What is written where connections are made or closed, or more of them are used than before: apart from what each request reads.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Common {
    pub(super) connections: AtomicUsize,
    /// Of these, those of HTTP/2.
    pub(super) http2: AtomicUsize,
    /// Of unused connections.
    pub(super) places: Places,
    /// Requests that wait for a connection to be given up for them.
    pub(super) waiting: AtomicUsize,
    /// One was closed while some waited.
    pub(super) freed: Notify,
}

/// What one worker knows about an endpoint. On a cache line of its own, so that no worker waits for another one's: its neighbour, which CPUs fetch with it,
/// holds the count of who has it.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct EndpointShare {
    in_flight: Count,
    /// Microseconds in the lower half; in the upper one the second of the last answer, from the beginning. 0 before the first.
    latency: AtomicU64,
    idle: Count,
    pub(super) kept: Kept,
    /// Its worker is asked to give up unused connections.
    pub(super) asked: Arc<Notify>,
}

/// What the gateway knows about one upstream.
#[derive(Debug)]
pub struct UpstreamState {
    workers: Box<[Arc<UpstreamShare>]>,
    others: Arc<UpstreamShare>,
}

/// What one worker knows about an upstream.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct UpstreamShare {
    in_flight: Count,
}

/// How many there are of something.
#[derive(Debug)]
enum Count {
    /// One thread alone counts.
    Own(telemetry::Count),
    /// Several do.
    Shared(telemetry::SharedCount),
}

// === impl EndpointState ===

impl EndpointState {
    /// Nothing known yet, by as many workers as can be asked.
    pub(super) fn new(asked: &[Arc<Notify>], now: Instant) -> Self {
        Self {
            since: now,
            availability: Availability::new(now),
            workers: asked.iter().map(|asked| Arc::new(EndpointShare::of_one_thread(asked))).collect(),
            others: Arc::default(),
            common: Common::default(),
        }
    }

    /// That worker's; that of all others where it is none.
    pub(super) fn of(&self, worker: usize) -> &Arc<EndpointShare> {
        self.workers.get(worker).unwrap_or(&self.others)
    }

    fn shares(&self) -> impl Iterator<Item = &Arc<EndpointShare>> {
        self.workers.iter().chain([&self.others])
    }

    /// From the beginning.
    pub(super) fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs()
    }

    /// Requests whose response has not ended.
    pub fn in_flight(&self) -> usize {
        sum(self.shares().map(|share| &share.in_flight))
    }

    /// Time to the response head, microseconds, exponentially weighted (each answer counts one eighth) by each worker: the mean of those that had an
    /// answer within ten seconds of the last one. 0 before the first.
    pub fn latency_us(&self) -> u64 {
        let known = || self.shares().map(|share| share.latency.load(Relaxed)).filter(|latency| *latency > 0).map(unpacked);
        let newest = known().map(|(second, _)| second).max().unwrap_or(0);
        let recent = known().filter(|(second, _)| second + RECENT >= newest);
        let (total, count) = recent.fold((0_u64, 0_u64), |(total, count), (_, latency)| (total.saturating_add(latency), count + 1));
        total.checked_div(count).unwrap_or(0)
    }

    /// Asks every worker to give up unused connections for those that wait.
    pub(super) fn ask(&self) {
        self.workers.iter().for_each(|share| share.asked.notify_one());
    }

    /// Open connections, used or not.
    pub fn connections(&self) -> usize {
        self.common.connections.load(Relaxed)
    }

    /// Open connections no request uses. HTTP/2 connections are not counted here.
    pub fn idle_connections(&self) -> usize {
        sum(self.shares().map(|share| &share.idle))
    }
}

// === impl EndpointShare ===

impl EndpointShare {
    fn of_one_thread(asked: &Arc<Notify>) -> Self {
        Self { in_flight: Count::own(), idle: Count::own(), asked: Arc::clone(asked), ..Self::default() }
    }

    pub(super) fn is_a_workers(&self) -> bool {
        matches!(self.idle, Count::Own(_))
    }

    pub(super) fn begin(&self) {
        self.in_flight.up();
    }

    pub(super) fn end(&self) {
        self.in_flight.down();
    }

    pub(super) fn enter_idle(&self) {
        self.idle.up();
    }

    pub(super) fn leave_idle(&self) {
        self.idle.down();
    }

    /// One more answer, in that second. Where several threads write, one may lose one of its: an average does not mind.
    pub(super) fn answered_in(&self, time: Duration, second: u64) {
        let sample = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(LOWER);
        let new = match self.latency.load(Relaxed) {
            0 => sample,
            known => {
                let (_, old) = unpacked(known);
                old - old / 8 + sample / 8
            }
        };
        // Never 0, which means "unknown".
        self.latency.store(second.min(LOWER) << 32 | new.clamp(1, LOWER), Relaxed);
    }
}

/// All that half a word holds.
const LOWER: u64 = u32::MAX as u64;

/// Second, and latency.
fn unpacked(latency: u64) -> (u64, u64) {
    (latency >> 32, latency & LOWER)
}

// === impl UpstreamState ===

impl UpstreamState {
    /// Nothing known yet, by so many workers.
    pub(super) fn new(workers: usize) -> Self {
        let share = |_| Arc::new(UpstreamShare { in_flight: Count::own() });
        Self { workers: (0..workers).map(share).collect(), others: Arc::default() }
    }

    pub(super) fn of(&self, worker: usize) -> &Arc<UpstreamShare> {
        self.workers.get(worker).unwrap_or(&self.others)
    }

    /// Requests whose response has not ended, of all endpoints together.
    pub fn in_flight(&self) -> usize {
        sum(self.workers.iter().chain([&self.others]).map(|share| &share.in_flight))
    }
}

// === impl UpstreamShare ===

impl UpstreamShare {
    pub(super) fn begin(&self) {
        self.in_flight.up();
    }

    pub(super) fn end(&self) {
        self.in_flight.down();
    }
}

// === impl Count ===

impl Count {
    fn own() -> Self {
        Self::Own(telemetry::Count::default())
    }

    fn up(&self) {
        match self {
            Self::Own(count) => count.add(1),
            Self::Shared(count) => count.add(1),
        }
    }

    fn down(&self) {
        match self {
            Self::Own(count) => count.sub(1),
            Self::Shared(count) => count.sub(1),
        }
    }

    fn get(&self) -> u64 {
        match self {
            Self::Own(count) => count.get(),
            Self::Shared(count) => count.get(),
        }
    }
}

impl Default for Count {
    fn default() -> Self {
        Self::Shared(telemetry::SharedCount::default())
    }
}

fn sum<'c>(counts: impl Iterator<Item = &'c Count>) -> usize {
    usize::try_from(counts.map(Count::get).sum::<u64>()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two workers.
    fn asked() -> [Arc<Notify>; 2] {
        Default::default()
    }

    #[test]
    fn latency_follows_the_answers_slowly_and_is_never_unknown_again() {
        let state = EndpointState::new(&asked(), Instant::now());
        assert_eq!(state.latency_us(), 0);
        let share = state.of(0);
        share.answered_in(Duration::from_micros(800), 0);
        assert_eq!(state.latency_us(), 800);
        share.answered_in(Duration::from_micros(1_600), 0);
        assert_eq!(state.latency_us(), 900);
        (0..200).for_each(|_| share.answered_in(Duration::ZERO, 0));
        assert!(state.latency_us() >= 1);
        (0..200).for_each(|_| share.answered_in(Duration::from_secs(86_400), 0));
        assert!(state.latency_us() <= LOWER, "an hour and some minutes are the most it says");
    }

    #[test]
    fn what_one_worker_learned_long_ago_does_not_count_beside_what_another_knows_now() {
        let began = Instant::now();
        let state = EndpointState::new(&asked(), began);
        let answered = |worker, latency, after| {
            state.of(worker).answered_in(Duration::from_micros(latency), state.second(began + Duration::from_secs(after)));
        };
        answered(0, 5_000_000, 100);
        answered(1, 1_000, 105);
        assert_eq!(state.latency_us(), 2_500_500);
        answered(1, 1_000, 111);
        assert_eq!(state.latency_us(), 1_000);
    }

    #[test]
    fn what_workers_know_is_added_up() {
        let (state, upstream) = (EndpointState::new(&asked(), Instant::now()), UpstreamState::new(2));
        assert!(state.of(1).is_a_workers() && !state.of(2).is_a_workers());
        for (worker, latency) in [(0, 300), (1, 500)] {
            let share = state.of(worker);
            share.answered_in(Duration::from_micros(latency), 1);
            share.begin();
            share.enter_idle();
            upstream.of(worker).begin();
        }
        upstream.of(usize::MAX).begin();
        state.of(usize::MAX).begin();
        assert_eq!((state.in_flight(), state.idle_connections(), state.latency_us(), upstream.in_flight()), (3, 2, 400, 3));
        state.of(usize::MAX).end();
        assert_eq!(state.in_flight(), 2);
    }
}
