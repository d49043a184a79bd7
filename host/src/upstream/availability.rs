//! Passive availability: an endpoint that cannot be connected to is left alone for a while, then tried by one request.
//!
//! After [`THRESHOLD`] connect failures in a row an endpoint is unavailable for [`FIRST_BACKOFF`], which doubles with
//! every failed try up to [`LONGEST_BACKOFF`]. When the time is over one request claims the try (half-open); until it has
//! ended the endpoint counts as unavailable for the others. The first connection that succeeds makes it available again.
//!
//! Relaxed atomics only: workers may see a change a moment late, which costs one more request a failed connect.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Connect failures in a row that make an endpoint unavailable.
pub(crate) const THRESHOLD: u32 = 5;
/// First time an endpoint is left alone.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest time an endpoint is left alone.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How long a connection has been made in vain when it counts as failed though nobody waits for its end: longer than one lost packet takes (RFC 6298).
pub(crate) const HANGS: Duration = Duration::from_secs(2);

/// Whether an endpoint may be sent to. Time is injected.
#[derive(Debug)]
pub(crate) struct Availability {
    /// Moments are kept as milliseconds since this one.
    epoch: Instant,
    /// Connect failures in a row; from `THRESHOLD` on, failed tries.
    failures: AtomicU32,
    /// When the next try may be made; means nothing below `THRESHOLD`.
    retry_at: AtomicU64,
}

impl Availability {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, failures: AtomicU32::new(0), retry_at: AtomicU64::new(0) }
    }

    /// Whether a request may be sent now. Changes nothing.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.failures.load(Relaxed) < THRESHOLD || self.millis(now) >= self.retry_at.load(Relaxed)
    }

    /// A request is about to be sent: claims the try when one is due, so that the others stay away meanwhile. Says whether it did.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        let failures = self.failures.load(Relaxed);
        if failures < THRESHOLD {
            return false;
        }
        let due = self.retry_at.load(Relaxed);
        let next = self.millis(now).saturating_add(backoff(failures.saturating_add(1)));
        // Counted as failed beforehand: a try that never ends is a failed one, and success clears it anyway.
        let claimed = self.millis(now) >= due && self.retry_at.compare_exchange(due, next, Relaxed, Relaxed).is_ok();
        if claimed {
            self.failures.store(failures.saturating_add(1), Relaxed);
        }
        claimed
    }

    /// The try that was claimed did not come to the endpoint: the next request may make it.
    pub(crate) fn not_tried(&self, now: Instant) {
        self.failures.store(self.failures.load(Relaxed).saturating_sub(1).max(THRESHOLD), Relaxed);
        self.retry_at.store(self.millis(now), Relaxed);
    }

    /// A connection was made.
    pub(crate) fn succeeded(&self) {
        // Read first: the line stays shared between workers while all is well.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// No connection could be made. Failures of an endpoint that is already unavailable count only through `begin`, so a
    /// hundred requests failing together do not mean half a minute of backoff.
    pub(crate) fn failed(&self, now: Instant) {
        if self.failures.load(Relaxed) < THRESHOLD && self.failures.fetch_add(1, Relaxed) + 1 == THRESHOLD {
            self.retry_at.store(self.millis(now).saturating_add(backoff(THRESHOLD)), Relaxed);
        }
    }

    /// Nobody waits any more for a connection that was being made for so long: clients that are less patient than the timeout must not keep an
    /// endpoint that is gone among those that may be sent to.
    pub(crate) fn given_up(&self, after: Duration, now: Instant) {
        if after >= HANGS {
            self.failed(now);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis()))
    }
}

/// Milliseconds after that many failures in a row.
fn backoff(failures: u32) -> u64 {
    let doublings = failures.saturating_sub(THRESHOLD).min(5);
    let backoff = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
    u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tripped(start: Instant) -> Availability {
        let availability = Availability::new(start);
        (0..THRESHOLD).for_each(|_| availability.failed(start));
        availability
    }

    #[test]
    fn only_failures_in_a_row_make_an_endpoint_unavailable() {
        let now = Instant::now();
        let availability = Availability::new(now);
        (1..THRESHOLD).for_each(|_| availability.failed(now));
        availability.succeeded();
        (1..THRESHOLD).for_each(|_| availability.failed(now));
        assert!(availability.is_available(now));
        availability.failed(now);
        assert!(!availability.is_available(now));
    }

    #[test]
    fn one_request_makes_the_try_and_its_failure_doubles_the_backoff() {
        let start = Instant::now();
        let availability = tripped(start);
        let mut now = start;
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert!(!availability.is_available(now + Duration::from_millis(seconds * 1_000 - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(availability.is_available(now), "{seconds}");
            availability.begin(now);
            assert!(!availability.is_available(now), "the others stay away during the try");
            availability.failed(now);
        }
    }

    #[test]
    fn a_try_that_never_reached_it_is_made_by_the_next_request_and_doubles_nothing() {
        let start = Instant::now();
        let availability = tripped(start);
        let now = start + FIRST_BACKOFF;
        for _ in 0..9 {
            assert!(availability.begin(now));
            assert!(!availability.is_available(now) && !availability.begin(now));
            availability.not_tried(now);
            assert!(availability.is_available(now));
        }
        assert!(availability.begin(now));
        assert!(availability.is_available(now + FIRST_BACKOFF * 2), "the pause after one failed try");
    }

    #[test]
    fn a_success_makes_it_available_at_once_and_forgets_the_backoff() {
        let start = Instant::now();
        let availability = tripped(start);
        let now = start + Duration::from_secs(1);
        availability.begin(now);
        availability.succeeded();
        assert!(availability.is_available(now));
        (0..THRESHOLD).for_each(|_| availability.failed(now));
        assert!(availability.is_available(now + FIRST_BACKOFF));
    }

    #[test]
    fn a_connection_that_nobody_waits_for_counts_once_it_has_hung() {
        let now = Instant::now();
        let availability = Availability::new(now);
        (0..THRESHOLD * 2).for_each(|_| availability.given_up(HANGS / 2, now));
        assert!(availability.is_available(now));
        (0..THRESHOLD).for_each(|_| availability.given_up(HANGS, now));
        assert!(!availability.is_available(now));
    }

    #[test]
    fn many_requests_failing_together_count_as_one_outage() {
        let start = Instant::now();
        let availability = tripped(start);
        (0..100).for_each(|_| availability.failed(start));
        assert!(availability.is_available(start + FIRST_BACKOFF));
    }
}
