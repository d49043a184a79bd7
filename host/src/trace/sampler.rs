//! Which requests are recorded: what the caller decided, then a share of the rest, and never more a second than allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Parent;

/// Decides for one worker. Clones share the rate.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Trace ids whose last 56 bits are at least this are sampled (W3C Trace Context Level 2, section 2.2.1.3 says that they are random),
    /// as OpenTelemetry's consistent probability sampling has it: gateways one after another sample the same traces.
    threshold: u64,
    follows: bool,
    rate: Arc<Rate>,
}

/// So many a second, for all workers together.
#[derive(Debug)]
pub struct Rate {
    per_second: u64,
    began: Instant,
    /// The second being counted in the upper half, how many it had in the lower.
    window: AtomicU64,
}

/// What is random of a trace id.
const RANDOM: u64 = (1 << 56) - 1;

impl Sampler {
    /// Samples a share, in parts of a million, of the requests nobody has decided on. `follows` says whether a caller that recorded
    /// its own span, or did not, decides.
    pub fn new(share: u32, follows: bool, rate: Arc<Rate>) -> Self {
        let sampled = (u128::from(share.min(1_000_000)) << 56) / 1_000_000;
        let threshold = u64::try_from((1_u128 << 56) - sampled).unwrap_or(RANDOM + 1);
        Self { threshold, follows, rate }
    }

    /// Whether a request is recorded: `caller` is what it came with, `trace` its trace.
    pub fn samples(&self, caller: Option<&Parent>, trace: u128, now: Instant) -> bool {
        let wanted = match caller.filter(|_| self.follows) {
            Some(parent) => parent.sampled,
            None => u64::try_from(trace & u128::from(RANDOM)).is_ok_and(|random| random >= self.threshold),
        };
        wanted && self.rate.admits(now)
    }
}

impl Rate {
    /// So many a second from now on.
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second: per_second.into(), began: now, window: AtomicU64::new(0) }
    }

    /// Only what would be sampled asks, so workers seldom meet here.
    fn admits(&self, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.began).as_secs() & 0xffff_ffff;
        let next = |window: u64| {
            let (current, count) = (window >> 32, window & 0xffff_ffff);
            let count = if current == second { count } else { 0 };
            (count < self.per_second).then_some(second << 32 | (count + 1))
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sampler(share: u32, follows: bool, rate: u32) -> (Sampler, Instant) {
        let now = Instant::now();
        (Sampler::new(share, follows, Arc::new(Rate::new(rate, now))), now)
    }

    #[test]
    fn a_share_of_random_traces_is_sampled_and_the_same_ones_everywhere() {
        let (one, now) = sampler(10_000, true, u32::MAX);
        let (other, _) = sampler(10_000, false, u32::MAX);
        let mut random = fastrand::Rng::with_seed(1);
        let traces: Vec<u128> = (0..100_000).map(|_| random.u128(1..)).collect();
        let sampled = traces.iter().filter(|trace| one.samples(None, **trace, now)).count();
        assert!((850..1_150).contains(&sampled), "{sampled} of 100,000 at 1 %");
        assert!(traces.iter().all(|trace| one.samples(None, *trace, now) == other.samples(None, *trace, now)));
        let (all, now) = sampler(1_000_000, true, u32::MAX);
        let (none, _) = sampler(0, true, u32::MAX);
        assert!(traces.iter().all(|trace| all.samples(None, *trace, now) && !none.samples(None, *trace, now)));
        assert!(!none.samples(None, u128::MAX, now));
    }

    #[test]
    fn a_caller_decides_where_it_is_followed() {
        let (follows, now) = sampler(0, true, 10);
        let sampled = Parent { trace: 1, span: 1, sampled: true };
        assert!(follows.samples(Some(&sampled), 1, now));
        let (ignores, now) = sampler(0, false, 10);
        assert!(!ignores.samples(Some(&sampled), 1, now));
        let (all, now) = sampler(1_000_000, true, 10);
        assert!(!all.samples(Some(&Parent { sampled: false, ..sampled }), 1, now));
    }

    #[test]
    fn no_second_has_more_than_allowed() {
        let (sampler, now) = sampler(1_000_000, true, 3);
        for second in 0..3 {
            let now = now + Duration::from_secs(second);
            assert_eq!((0..10).filter(|_| sampler.samples(None, 1, now)).count(), 3);
        }
    }
}
