//! Token buckets of the double, by its clock, which stands still until a test moves it. Each test's thread has its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::capabilities::clock;
use super::granted;
use super::rules::{self, Phase};
use crate::bindings::imports::plugway::gateway::rate_limit::{Bucket, Quota, RateLimitError};

/// The gateway's limits.
const MAX_LIMITS: usize = 256;
const MAX_NAME: usize = 4 << 10;
const MAX_KEY: usize = 64 << 10;
const LONGEST_PERIOD_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

#[derive(Default)]
struct State {
    limits: Vec<(String, Quota)>,
    /// When each bucket is full, nanoseconds of the double's clock.
    full_at: BTreeMap<(u32, Vec<u8>), u64>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

pub(crate) fn declare(name: &str, quota: Quota) -> Result<u32, RateLimitError> {
    if rules::phase() != Phase::Setup {
        return Err(RateLimitError::TooLate);
    }
    granted::used("rate-limit");
    let invalid = |why: &str| Err(RateLimitError::InvalidQuota(why.to_owned()));
    if !(1..=LONGEST_PERIOD_MS).contains(&quota.period_ms) {
        return invalid("a period lasts a millisecond to a year");
    }
    if quota.tokens == 0 || quota.period_ms * 1_000 < u64::from(quota.tokens) {
        return invalid("at least one token comes in a period, and at most one each microsecond");
    }
    if quota.burst == 0 || interval(&quota).saturating_mul(quota.burst.into()) > 10 * LONGEST_PERIOD_MS * 1_000_000 {
        return invalid("a bucket holds at least one token, and is full again within ten years");
    }
    if name.len() > MAX_NAME {
        return Err(RateLimitError::TooLarge);
    }
    STATE.with_borrow_mut(|state| {
        let is_same = |of: &Quota| interval(of) == interval(&quota) && of.burst == quota.burst;
        let known = state.limits.iter().position(|(known, of)| known == name && is_same(of));
        let number = known.unwrap_or_else(|| {
            state.limits.push((name.to_owned(), quota));
            state.limits.len() - 1
        });
        if state.limits.len() > MAX_LIMITS {
            state.limits.truncate(MAX_LIMITS);
            return Err(RateLimitError::TooMany);
        }
        u32::try_from(number).map_err(|_| RateLimitError::TooMany)
    })
}

pub(crate) fn take(limit: u32, key: &[u8], tokens: u32) -> Result<Bucket, RateLimitError> {
    granted::used("rate-limit");
    let now = clock::monotonic();
    STATE.with_borrow_mut(|state| {
        let quota = state.quota(limit, key)?;
        if tokens > quota.burst {
            return Err(RateLimitError::TooLarge);
        }
        let (interval, span) = (interval(&quota), interval(&quota) * u64::from(quota.burst));
        let full_at = state.full_at.entry((limit, key.to_vec())).or_default();
        let wanted = (*full_at).max(now) + interval * u64::from(tokens);
        let admitted = wanted <= now + span;
        if admitted && tokens > 0 {
            *full_at = wanted;
        }
        let there = span - full_at.saturating_sub(now);
        let wait = match admitted {
            false => wanted - (now + span),
            true if there == span => 0,
            true => interval - there % interval,
        };
        Ok(Bucket { admitted, remaining: u32::try_from(there / interval).unwrap_or(u32::MAX), wait_ms: wait.div_ceil(1_000_000) })
    })
}

pub(crate) fn give_back(limit: u32, key: &[u8], tokens: u32) -> Result<(), RateLimitError> {
    granted::used("rate-limit");
    STATE.with_borrow_mut(|state| {
        let quota = state.quota(limit, key)?;
        if let Some(full_at) = state.full_at.get_mut(&(limit, key.to_vec())) {
            *full_at = full_at.saturating_sub(interval(&quota).saturating_mul(tokens.into()));
        }
        Ok(())
    })
}

impl State {
    fn quota(&self, limit: u32, key: &[u8]) -> Result<Quota, RateLimitError> {
        let limit = usize::try_from(limit).ok().and_then(|number| self.limits.get(number));
        let (_, quota) = limit.ok_or(RateLimitError::UnknownLimit)?;
        if key.len() > MAX_KEY { Err(RateLimitError::TooLarge) } else { Ok(*quota) }
    }
}

/// Between two tokens, nanoseconds.
fn interval(quota: &Quota) -> u64 {
    (quota.period_ms * 1_000_000).div_ceil(u64::from(quota.tokens).max(1))
}
