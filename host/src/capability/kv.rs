//! `kv`: keys and values in the gateway's memory, shared by all workers. A store is cut into parts (`part`), in which entries
//! are found and changed without a lock. Why so, and what it costs, is in `docs/adr/0011-kv-is-a-map-without-a-lock.md`.

mod part;
mod pinned;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use part::{Change, Entry, OVERHEAD, Part};
use seize::Collector;

use super::crypto;
use crate::telemetry::{Held, Holder};

/// Longest key, bytes.
pub const MAX_KEY: usize = 1 << 10;
/// Longest value, bytes.
pub const MAX_VALUE: usize = 64 << 10;
/// Longest time to live, milliseconds: a year.
const LONGEST_TTL_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
/// Entries of one part at most, where the store is large enough: as many as are looked through at once when there is no room.
const PART_ENTRIES: usize = 1_024;
/// A part has room for so many of the largest entries at least.
const LEAST_PART_BYTES: usize = 4 * (MAX_KEY + MAX_VALUE + OVERHEAD);

/// What keeps the entries of one plugin, over all workers and versions of it.
#[derive(Debug)]
pub struct Store {
    began: Instant,
    parts: Box<[Part]>,
    /// Keyed with random numbers: keys may come from clients.
    hash: RandomState,
}

/// Why something was not done; the entry is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvError {
    /// A key of more than 1 KiB, or a value of more than 64 KiB.
    TooLarge,
    /// What is there is no decimal number of 64 bits.
    NotANumber,
    /// The sum is no number of 64 bits.
    Overflow,
    /// What is there is not what was expected.
    Mismatch,
    /// A time of nothing, or of more than a year.
    InvalidTtl,
    /// What is pinned has all the room there is for it.
    Full,
}

impl Store {
    /// An empty store with room for so much. `max_bytes` is at least a mebibyte.
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        let parts = max_entries.div_ceil(PART_ENTRIES).min(max_bytes / LEAST_PART_BYTES).max(1);
        let hash = RandomState::new();
        // One for all parts: what was removed and may still be read by another thread is bounded for the store as a whole.
        // And small values are not alone in it, so it is tried after each.
        let collector = Arc::new(Collector::new().batch_size(1));
        let part = |_| Part::new((max_entries / parts).max(1), max_bytes / parts, hash.clone(), Arc::clone(&collector));
        Self { began: Instant::now(), parts: (0..parts).map(part).collect(), hash }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`KvError::TooLarge`]
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.get_at(key, self.now())
    }

    /// Sets a value.
    ///
    /// # Errors
    /// [`KvError::TooLarge`], [`KvError::InvalidTtl`]
    pub fn set(&self, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), KvError> {
        self.set_at(key, value, ttl_ms, self.now())
    }

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// [`KvError::TooLarge`]
    pub fn delete(&self, key: &str) -> Result<bool, KvError> {
        self.delete_at(key, self.now())
    }

    /// Adds to a number and gives the sum. `ttl_ms` is for an entry that this makes.
    ///
    /// # Errors
    /// [`KvError::TooLarge`], [`KvError::InvalidTtl`], [`KvError::NotANumber`], [`KvError::Overflow`]
    pub fn increment(&self, key: &str, amount: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
        self.increment_at(key, amount, ttl_ms, self.now())
    }

    /// Sets or removes a value if what is there is `expected`.
    ///
    /// # Errors
    /// [`KvError::Mismatch`], [`KvError::TooLarge`], [`KvError::InvalidTtl`]
    pub fn compare_and_swap(&self, key: &str, expected: Option<&[u8]>, value: Option<&[u8]>, ttl_ms: Option<u64>) -> Result<(), KvError> {
        self.compare_and_swap_at(key, expected, value, ttl_ms, self.now())
    }

    /// Sets the value of a key that is not there, and keeps it until it ends, whatever else needs room.
    ///
    /// # Errors
    /// [`KvError::Mismatch`], [`KvError::Full`], [`KvError::TooLarge`], [`KvError::InvalidTtl`]
    pub fn pin(&self, key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
        self.pin_at(key, value, ttl_ms, self.now())
    }

    fn get_at(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.part(key)?.get(key, now, <[u8]>::to_vec))
    }

    /// Whether a key has this value. The time it takes does not tell where another one differs.
    pub(super) fn has_at(&self, key: &str, value: &[u8], now: u64) -> bool {
        let is_it = |there: &[u8]| crypto::equal(there, value);
        self.part(key).is_ok_and(|part| part.get(key, now, is_it).unwrap_or(false))
    }

    pub(super) fn set_at(&self, key: &str, value: &[u8], ttl_ms: Option<u64>, now: u64) -> Result<(), KvError> {
        let ends = ends(ttl_ms, now)?;
        if value.len() > MAX_VALUE {
            return Err(KvError::TooLarge);
        }
        self.part(key)?.change(key, value.len(), now, |_| Change::Set(Entry::new(value, ends, now)), |_| ())
    }

    fn delete_at(&self, key: &str, now: u64) -> Result<bool, KvError> {
        Ok(self.part(key)?.remove(key, now))
    }

    fn increment_at(&self, key: &str, amount: i64, ttl_ms: Option<u64>, now: u64) -> Result<i64, KvError> {
        /// Digits of the longest number, with its sign.
        const LONGEST: usize = 20;
        let new_ends = ends(ttl_ms, now)?;
        let decide = |there: Option<&Entry>| {
            let (before, ends) = there.map_or((Ok(0), new_ends), |entry| (number(entry.value()), entry.ends()));
            match before.and_then(|before| before.checked_add(amount).ok_or(KvError::Overflow)) {
                Ok(sum) => Change::Set(Entry::new(sum.to_string().as_bytes(), ends, now)),
                Err(error) => Change::Refuse(error),
            }
        };
        // Only what was set is the sum: `decide` may have been asked more than once.
        let sum = |now: Option<&Entry>| now.map_or(Err(KvError::NotANumber), |entry| number(entry.value()));
        self.part(key)?.change(key, LONGEST, now, decide, sum)?
    }

    fn compare_and_swap_at(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl_ms: Option<u64>,
        now: u64,
    ) -> Result<(), KvError> {
        let ends = ends(ttl_ms, now)?;
        if value.is_some_and(|value| value.len() > MAX_VALUE) {
            return Err(KvError::TooLarge);
        }
        let decide = |there: Option<&Entry>| match value {
            _ if there.map(Entry::value) != expected => Change::Refuse(KvError::Mismatch),
            Some(value) => Change::Set(Entry::new(value, ends, now)),
            None => Change::Remove,
        };
        self.part(key)?.change(key, value.map_or(0, <[u8]>::len), now, decide, |_| ())
    }

    fn pin_at(&self, key: &str, value: &[u8], ttl_ms: u64, now: u64) -> Result<(), KvError> {
        let ends = ends(Some(ttl_ms), now)?;
        if value.len() > MAX_VALUE {
            return Err(KvError::TooLarge);
        }
        self.part(key)?.pin(key, value, ends, now)
    }

    /// Nanoseconds since its beginning.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn part(&self, key: &str) -> Result<&Part, KvError> {
        if key.len() > MAX_KEY {
            return Err(KvError::TooLarge);
        }
        // The maps go by the same hash, and by other bits of it.
        let hash = usize::try_from(self.hash.hash_one(key) >> 24).unwrap_or_default();
        self.parts.get(hash % self.parts.len()).ok_or(KvError::TooLarge)
    }
}

impl Holder for Store {
    fn held(&self) -> Vec<(Held, u64)> {
        let sum = |of: fn(&Part) -> u64| self.parts.iter().map(of).sum();
        vec![(Held::KvEntries, sum(Part::entries)), (Held::KvBytes, sum(Part::bytes)), (Held::KvEvicted, sum(Part::evicted))]
    }
}

/// When an entry made now ends.
fn ends(ttl_ms: Option<u64>, now: u64) -> Result<u64, KvError> {
    match ttl_ms {
        None => Ok(u64::MAX),
        Some(ttl @ 1..=LONGEST_TTL_MS) => Ok(now.saturating_add(nanoseconds(Duration::from_millis(ttl)))),
        Some(_) => Err(KvError::InvalidTtl),
    }
}

/// Decimal text, as `increment` keeps it.
fn number(value: &[u8]) -> Result<i64, KvError> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(KvError::NotANumber)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
