//! `kv`, linked only where granted.

use wasmtime::Result;

use crate::capability::kv::{KvError as Refused, Store};
use crate::plugin::bindings::plugway::gateway::kv::{Host, KvError};
use crate::plugin::guest::Guest;

type Answer<T> = Result<std::result::Result<T, KvError>>;

impl From<Refused> for KvError {
    fn from(error: Refused) -> Self {
        match error {
            Refused::TooLarge => Self::TooLarge,
            Refused::NotANumber => Self::NotANumber,
            Refused::Overflow => Self::Overflow,
            Refused::Mismatch => Self::Mismatch,
            Refused::InvalidTtl => Self::InvalidTtl,
            Refused::Full => Self::Full,
        }
    }
}

impl Guest {
    fn store(&self) -> Result<&Store> {
        self.store.as_deref().ok_or_else(|| wasmtime::Error::msg("used `kv`, which it was not granted"))
    }
}

impl Host for Guest {
    fn get(&mut self, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.store()?.get(&key).map_err(Into::into))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Answer<()> {
        Ok(self.store()?.set(&key, &value, ttl_ms).map_err(Into::into))
    }

    fn delete(&mut self, key: String) -> Answer<bool> {
        Ok(self.store()?.delete(&key).map_err(Into::into))
    }

    fn increment(&mut self, key: String, amount: i64, ttl_ms: Option<u64>) -> Answer<i64> {
        Ok(self.store()?.increment(&key, amount, ttl_ms).map_err(Into::into))
    }

    fn compare_and_swap(&mut self, key: String, expected: Option<Vec<u8>>, value: Option<Vec<u8>>, ttl_ms: Option<u64>) -> Answer<()> {
        Ok(self.store()?.compare_and_swap(&key, expected.as_deref(), value.as_deref(), ttl_ms).map_err(Into::into))
    }

    fn pin(&mut self, key: String, value: Vec<u8>, ttl_ms: u64) -> Answer<()> {
        Ok(self.store()?.pin(&key, &value, ttl_ms).map_err(Into::into))
    }
}
