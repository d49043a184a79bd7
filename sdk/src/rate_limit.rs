//! Token buckets, kept by the gateway for all workers together and exact across them. The plugin needs
//! `grants = { rate-limit = {} }`.
//!
//! ```
//! # fn configure() -> Result<(), plugway_sdk::Error> {
//! use plugway_sdk::rate_limit::{Quota, RateLimit};
//! use std::time::Duration;
//!
//! let mails = RateLimit::declare("mails", Quota { tokens: 10, period: Duration::from_secs(60), burst: 3 })?;
//! let bucket = mails.take("ann@example.com", 1)?;
//! assert!(bucket.admitted && bucket.remaining == 2);
//! # Ok(())
//! # }
//! # plugway_sdk::testing::in_configure(configure).unwrap();
//! ```
//!
//! Buckets belong to the plugin by its configured name. They outlive an instance and a swap of the plugin, not the gateway.

use std::time::Duration;

use crate::bindings::imports::plugway::gateway::rate_limit as raw;
use crate::error::RateLimitError;
use crate::sys;

/// How fast a bucket fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Tokens that come in each period, evenly spread over it. At least 1, and at most one each microsecond.
    pub tokens: u32,
    /// The period: 1 ms to a year, in whole milliseconds.
    pub period: Duration,
    /// Tokens a full bucket holds: how many may be taken at once. At least 1, and no more than come in ten years.
    pub burst: u32,
}

/// How a bucket stands after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Whether the tokens were taken: all that were wanted, or none.
    pub admitted: bool,
    /// Whole tokens that are left.
    pub remaining: u32,
    /// Where they were not taken: until as many as were wanted are there. Where they were: until there is one more than
    /// `remaining`; nothing in a full bucket.
    pub wait: Duration,
}

/// One limit: a bucket for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit(u32);

impl RateLimit {
    /// Declares it, in `configure`. The same name and quota again is the same limit with the same buckets, in whichever
    /// instance and place; another quota is another limit, whose buckets are full. Quotas are the same if their tokens come
    /// at the same rate and their bursts are equal: 100 in a second are 200 in two. At most 256.
    pub fn declare(name: &str, quota: Quota) -> Result<Self, RateLimitError> {
        let period_ms = u64::try_from(quota.period.as_millis()).unwrap_or(u64::MAX);
        Ok(Self(sys::rate_limit::declare(name, raw::Quota { tokens: quota.tokens, period_ms, burst: quota.burst })?))
    }

    /// Takes tokens out of the bucket of a key: all of them, or none. 0 tells how it stands. Keys of more than 64 bytes are
    /// told apart by their SHA-256.
    pub fn take(&self, key: impl AsRef<[u8]>, tokens: u32) -> Result<Bucket, RateLimitError> {
        let bucket = sys::rate_limit::take(self.0, key.as_ref(), tokens)?;
        Ok(Bucket { admitted: bucket.admitted, remaining: bucket.remaining, wait: Duration::from_millis(bucket.wait_ms) })
    }

    /// Puts tokens back that were taken and not used. A bucket never holds more than its burst.
    pub fn give_back(&self, key: impl AsRef<[u8]>, tokens: u32) -> Result<(), RateLimitError> {
        Ok(sys::rate_limit::give_back(self.0, key.as_ref(), tokens)?)
    }
}
