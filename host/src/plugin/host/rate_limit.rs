//! `rate-limit`, linked only where granted.

use wasmtime::Result;

use crate::capability::rate_limit::{Quota, RateLimitError as Refused, RateLimits, Taken};
use crate::exchange::Phase;
use crate::plugin::bindings::plugway::gateway::rate_limit::{self, Bucket, Host, RateLimitError};
use crate::plugin::guest::Guest;

type Answer<T> = Result<std::result::Result<T, RateLimitError>>;

impl From<Refused> for RateLimitError {
    fn from(error: Refused) -> Self {
        match error {
            Refused::InvalidQuota(why) => Self::InvalidQuota(why.to_string()),
            Refused::TooMany => Self::TooMany,
            Refused::UnknownLimit => Self::UnknownLimit,
            Refused::TooLarge => Self::TooLarge,
        }
    }
}

impl From<Taken> for Bucket {
    fn from(taken: Taken) -> Self {
        Self { admitted: taken.admitted, remaining: taken.remaining, wait_ms: taken.wait.div_ceil(1_000_000) }
    }
}

impl Guest {
    fn rate_limits(&mut self) -> Result<&mut RateLimits> {
        self.rate_limits.as_mut().ok_or_else(|| wasmtime::Error::msg("used `rate-limit`, which it was not granted"))
    }
}

impl Host for Guest {
    fn declare(&mut self, name: String, quota: rate_limit::Quota) -> Answer<u32> {
        if self.phase != Phase::Setup {
            return Ok(Err(RateLimitError::TooLate));
        }
        let limits = self.rate_limits()?;
        let quota = Quota::new(quota.tokens, quota.period_ms, quota.burst).map_err(Refused::from);
        Ok(quota.and_then(|quota| limits.declare(&name, quota)).map_err(Into::into))
    }

    fn take(&mut self, limit: u32, key: Vec<u8>, tokens: u32) -> Answer<Bucket> {
        Ok(self.rate_limits()?.take(limit, &key, tokens).map(Into::into).map_err(Into::into))
    }

    fn give_back(&mut self, limit: u32, key: Vec<u8>, tokens: u32) -> Answer<()> {
        Ok(self.rate_limits()?.give_back(limit, &key, tokens).map_err(Into::into))
    }
}
