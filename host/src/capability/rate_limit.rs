//! `rate-limit`: token buckets of the whole gateway. Every worker takes from the same ones, with one compare-and-exchange
//! each (`bucket`), and finds them without a lock (`buckets`), and so it does the limits it declares where it replaces an instance.

mod bucket;
mod buckets;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use papaya::{Compute, HashMap, Operation};
use ring::digest;

use bucket::Bucket;
pub use bucket::{Quota, QuotaError, Taken};
use buckets::{Buckets, Found};

use crate::telemetry::{Held, Holder};

/// Limits one plugin may have.
const MAX_LIMITS: usize = 256;
/// Longest name of a limit, bytes: it is kept for as long as the limit.
const MAX_NAME: usize = 4 << 10;
/// Longest key, bytes: the time of hashing it grows with it.
const MAX_KEY: usize = 64 << 10;
/// Longest key that is kept as it is, bytes; of others only a digest is.
const MAX_KEPT: usize = 64;

/// The limits of one plugin, over all workers and versions of it.
#[derive(Debug)]
pub struct Limiter {
    began: Instant,
    buckets: Buckets,
    /// Takes that met a bucket shared by keys there was no room for.
    shared: AtomicU64,
    /// By name and quota. They outlive the instances that declared them, as their buckets do: the next instance finds what the last one took.
    declared: HashMap<(String, Quota), Arc<Limit>>,
    /// Of limits so far.
    numbers: AtomicU32,
}

/// One limit: of a name and a quota.
#[derive(Debug)]
struct Limit {
    /// Never used again: keys of different limits differ by it.
    number: u32,
    quota: Quota,
    /// Of all keys there is no room for.
    shared: Bucket,
}

/// The limits one instance has declared.
#[derive(Debug, Clone)]
pub struct RateLimits {
    limiter: Arc<Limiter>,
    limits: Vec<Arc<Limit>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitError {
    /// The quota cannot be kept.
    InvalidQuota(QuotaError),
    /// More than 256 limits.
    TooMany,
    /// Not a number this instance was given.
    UnknownLimit,
    /// A name of more than 4 KiB, a key of more than 64 KiB, or more tokens than the bucket ever holds.
    TooLarge,
}

// === impl Limiter ===

impl Limiter {
    /// No limits yet; room for so many buckets.
    pub fn new(max_keys: usize) -> Self {
        Self {
            began: Instant::now(),
            buckets: Buckets::new(max_keys),
            shared: AtomicU64::new(0),
            declared: HashMap::new(),
            numbers: AtomicU32::new(0),
        }
    }

    /// Nanoseconds since its beginning, which no bucket is older than.
    fn now(&self) -> u64 {
        nanoseconds(self.began.elapsed())
    }

    /// The limit of that name and quota; the same one for everybody who asks.
    fn limit(&self, name: &str, quota: Quota) -> Result<Arc<Limit>, RateLimitError> {
        let declared = self.declared.pin();
        let key = (name.to_owned(), quota);
        if let Some(known) = declared.get(&key).map(Arc::clone) {
            return Ok(known);
        }
        if declared.len() >= MAX_LIMITS {
            // Those that no instance has any more make room.
            declared.retain(|_, limit| Arc::strong_count(limit) > 1);
        }
        if declared.len() >= MAX_LIMITS {
            return Err(RateLimitError::TooMany);
        }
        let next = self.numbers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| number.checked_add(1));
        let number = next.map_err(|_| RateLimitError::TooMany)?;
        let new = Arc::new(Limit { number, quota, shared: Bucket::default() });
        let decided = declared.compute(key, |entry| match entry.map(|(_, limit)| Arc::clone(limit)) {
            Some(faster) => Operation::Abort(faster),
            None => Operation::Insert(Arc::clone(&new)),
        });
        Ok(if let Compute::Aborted(faster) = decided { faster } else { new })
    }
}

impl Holder for Limiter {
    fn held(&self) -> Vec<(Held, u64)> {
        vec![(Held::RateLimitKeys, self.buckets.len() as u64), (Held::RateLimitShared, self.shared.load(Ordering::Relaxed))]
    }
}

// === impl RateLimits ===

impl RateLimits {
    /// None yet.
    pub fn new(limiter: Arc<Limiter>) -> Self {
        Self { limiter, limits: Vec::new() }
    }

    /// Declares a limit; the same one again gives the same number.
    ///
    /// # Errors
    /// [`RateLimitError::TooMany`], [`RateLimitError::TooLarge`]
    pub fn declare(&mut self, name: &str, quota: Quota) -> Result<u32, RateLimitError> {
        if name.len() > MAX_NAME {
            return Err(RateLimitError::TooLarge);
        }
        let limit = self.limiter.limit(name, quota)?;
        let number = match self.limits.iter().position(|known| known.number == limit.number) {
            Some(number) => number,
            None => {
                self.limits.push(limit);
                self.limits.len() - 1
            }
        };
        u32::try_from(number).map_err(|_| RateLimitError::TooMany)
    }

    /// Takes tokens out of the bucket of a key: all of them, or none. 0 tells how it stands.
    ///
    /// # Errors
    /// [`RateLimitError::UnknownLimit`], [`RateLimitError::TooLarge`]
    pub fn take(&self, limit: u32, key: &[u8], tokens: u32) -> Result<Taken, RateLimitError> {
        self.take_at(limit, key, tokens, self.limiter.now())
    }

    fn take_at(&self, limit: u32, key: &[u8], tokens: u32, now: u64) -> Result<Taken, RateLimitError> {
        let limit = self.find(limit)?;
        if tokens > limit.quota.burst() {
            return Err(RateLimitError::TooLarge);
        }
        let taken = with_kept(key, |key| {
            self.limiter.buckets.with(limit.number, key, now, |found| match found {
                Found::Kept(bucket) => bucket.take(&limit.quota, tokens, now),
                Found::NoRoom => {
                    self.limiter.shared.fetch_add(1, Ordering::Relaxed);
                    limit.shared.take(&limit.quota, tokens, now)
                }
            })
        })?;
        // The shared bucket is never forgotten, and the others are asked for until there is one.
        Ok(taken.unwrap_or(Taken { admitted: false, remaining: 0, wait: limit.quota.interval() }))
    }

    /// Puts tokens back.
    ///
    /// # Errors
    /// [`RateLimitError::UnknownLimit`], [`RateLimitError::TooLarge`]
    pub fn give_back(&self, limit: u32, key: &[u8], tokens: u32) -> Result<(), RateLimitError> {
        let limit = self.find(limit)?;
        with_kept(key, |key| {
            // One that is not there is full.
            let there = self.limiter.buckets.look(limit.number, key, |bucket| bucket.give_back(&limit.quota, tokens));
            there.unwrap_or_default();
        })
    }

    fn find(&self, limit: u32) -> Result<&Limit, RateLimitError> {
        let limit = usize::try_from(limit).ok().and_then(|number| self.limits.get(number));
        limit.map(Arc::as_ref).ok_or(RateLimitError::UnknownLimit)
    }
}

/// A key as it is kept: of at most 64 bytes, whoever chose it.
fn with_kept<R>(key: &[u8], run: impl FnOnce(&[u8]) -> R) -> Result<R, RateLimitError> {
    if key.len() > MAX_KEY {
        return Err(RateLimitError::TooLarge);
    }
    if key.len() <= MAX_KEPT {
        return Ok(run(key));
    }
    // Longer by a byte than any key that is kept as it is, so that neither is ever taken for the other.
    let mut kept = [0; MAX_KEPT + 1];
    let sum = digest::digest(&digest::SHA256, key);
    kept.iter_mut().zip(sum.as_ref()).for_each(|(kept, byte)| *kept = *byte);
    Ok(run(&kept))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl From<QuotaError> for RateLimitError {
    fn from(error: QuotaError) -> Self {
        Self::InvalidQuota(error)
    }
}

#[cfg(test)]
mod tests;
