//! One token bucket in one number: when it will be full again. That is the generic cell rate algorithm (ITU-T I.371, annex A),
//! and it is why a bucket needs no lock: tokens are taken by moving that moment, and only one of two who try wins.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How fast a bucket fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Between two tokens, nanoseconds, rounded up: never more tokens than were allowed, and at most 0.1 % fewer.
    interval: u64,
    burst: u32,
}

/// Why a quota cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaError {
    /// No tokens, or more than one each microsecond.
    Tokens,
    /// Shorter than a millisecond or longer than a year.
    Period,
    /// A bucket that holds nothing, or takes more than ten years to fill.
    Burst,
}

/// How a bucket stands after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether the tokens were taken.
    pub admitted: bool,
    /// Whole tokens left.
    pub remaining: u32,
    /// Where they were not taken: until they are there. Otherwise until there is one more; 0 when it is full. Nanoseconds.
    pub wait: u64,
}

/// A bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When it is full, nanoseconds of the limiter's clock.
    ///
    /// Nothing else is reached through this number. Only [`RETIRED`] is published with what was written before it: who meets it
    /// makes a new bucket, and has to see the search that forgot this one.
    full_at: AtomicU64,
}

/// Instead of a moment: the bucket was full and is forgotten.
const RETIRED: u64 = u64::MAX;
const LONGEST_PERIOD: u64 = 365 * 24 * 60 * 60 * 1_000;
const SHORTEST_INTERVAL: u64 = 1_000;
/// With it no sum of a clock and a bucket reaches [`RETIRED`] for five hundred years.
const LONGEST_FILL: u64 = 10 * LONGEST_PERIOD * 1_000_000;

// === impl Quota ===

impl Quota {
    /// So many tokens in each period, and so many at once.
    ///
    /// # Errors
    /// See [`QuotaError`].
    pub fn new(tokens: u32, period_ms: u64, burst: u32) -> Result<Self, QuotaError> {
        if !(1..=LONGEST_PERIOD).contains(&period_ms) {
            return Err(QuotaError::Period);
        }
        let period = period_ms * 1_000_000;
        let interval = period.checked_div(tokens.into()).ok_or(QuotaError::Tokens)?;
        if interval < SHORTEST_INTERVAL {
            return Err(QuotaError::Tokens);
        }
        let interval = period.div_ceil(tokens.into());
        match interval.checked_mul(burst.into()) {
            Some(1..=LONGEST_FILL) => Ok(Self { interval, burst }),
            _ => Err(QuotaError::Burst),
        }
    }

    /// What a full bucket holds.
    pub(super) fn burst(&self) -> u32 {
        self.burst
    }

    /// Between two tokens, nanoseconds.
    pub(super) fn interval(&self) -> u64 {
        self.interval
    }

    fn time_of(&self, tokens: u32) -> u64 {
        self.interval.saturating_mul(tokens.into())
    }

    /// Tokens in a bucket that will be full then, and how long until there is one more.
    fn tokens(&self, full_at: u64, now: u64) -> (u32, u64) {
        let missing = full_at.saturating_sub(now);
        let there = self.time_of(self.burst).saturating_sub(missing);
        let whole = u32::try_from(there / self.interval).unwrap_or(u32::MAX);
        (whole, if missing == 0 { 0 } else { self.interval - there % self.interval })
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "at least one token comes in a period, and at most one each microsecond",
            Self::Period => "a period lasts a millisecond to a year",
            Self::Burst => "a bucket holds at least one token, and is full again within ten years",
        })
    }
}

// === impl Bucket ===

impl Bucket {
    /// One that has been full since then.
    pub(super) fn full_since(moment: u64) -> Self {
        Self { full_at: AtomicU64::new(moment) }
    }

    /// Takes all of the tokens or none; `None` if the bucket was forgotten meanwhile.
    ///
    /// `tokens` is at most what the bucket holds.
    pub(super) fn take(&self, quota: &Quota, tokens: u32, now: u64) -> Option<Taken> {
        let cost = quota.time_of(tokens);
        let latest = now.saturating_add(quota.time_of(quota.burst));
        let mut full_at = self.full_at.load(Ordering::Acquire);
        loop {
            if full_at == RETIRED {
                return None;
            }
            let wanted = full_at.max(now).saturating_add(cost);
            if wanted > latest {
                let (remaining, _) = quota.tokens(full_at, now);
                return Some(Taken { admitted: false, remaining, wait: wanted - latest });
            }
            let taken = |full_at| {
                let (remaining, wait) = quota.tokens(full_at, now);
                Some(Taken { admitted: true, remaining, wait })
            };
            if tokens == 0 {
                return taken(full_at);
            }
            match self.full_at.compare_exchange_weak(full_at, wanted, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return taken(wanted),
                Err(moved) => full_at = moved,
            }
        }
    }

    /// Puts tokens back. A moment in the past is a full bucket too.
    pub(super) fn give_back(&self, quota: &Quota, tokens: u32) {
        let earlier = |full_at: u64| (full_at != RETIRED).then(|| full_at.saturating_sub(quota.time_of(tokens)));
        // Forgotten means full.
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earlier);
    }

    /// Forgets the bucket if it is full; otherwise when it will be.
    pub(super) fn retire(&self, now: u64) -> Result<(), u64> {
        match self.full_at.fetch_update(Ordering::Release, Ordering::Relaxed, |full_at| (full_at <= now).then_some(RETIRED)) {
            Ok(_) | Err(RETIRED) => Ok(()),
            Err(full_at) => Err(full_at),
        }
    }

    /// Whether it was forgotten.
    pub(super) fn is_retired(&self) -> bool {
        self.full_at.load(Ordering::Relaxed) == RETIRED
    }

    #[cfg(test)]
    pub(super) fn full_at(&self) -> u64 {
        self.full_at.load(Ordering::Relaxed)
    }
}
