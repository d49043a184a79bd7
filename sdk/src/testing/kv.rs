//! Entries of the double, by its clock, which stands still until a test moves it. Each test's thread has its own, and room for all,
//! unless it says that there is none left for what is pinned.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::capabilities::clock;
use crate::bindings::imports::plugway::gateway::kv::KvError;

/// The gateway's limits.
const MAX_KEY: usize = 1 << 10;
const MAX_VALUE: usize = 64 << 10;
const LONGEST_TTL_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

#[derive(Clone)]
struct Entry {
    value: Vec<u8>,
    /// Nanoseconds of the double's clock.
    ends: u64,
}

thread_local! {
    static ENTRIES: RefCell<BTreeMap<String, Entry>> = const { RefCell::new(BTreeMap::new()) };
    static NO_ROOM: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    Ok(find(key)?.map(|entry| entry.value))
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), KvError> {
    let ends = ends(ttl_ms)?;
    find(key)?;
    put(key, value, ends)
}

pub(crate) fn delete(key: &str) -> Result<bool, KvError> {
    let there = find(key)?.is_some();
    ENTRIES.with_borrow_mut(|entries| entries.remove(key));
    Ok(there)
}

pub(crate) fn increment(key: &str, amount: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
    let new = ends(ttl_ms)?;
    let (before, ends) = match find(key)? {
        Some(entry) => (number(&entry.value)?, entry.ends),
        None => (0, new),
    };
    let sum = before.checked_add(amount).ok_or(KvError::Overflow)?;
    put(key, sum.to_string().as_bytes(), ends)?;
    Ok(sum)
}

pub(crate) fn compare_and_swap(key: &str, expected: Option<&[u8]>, value: Option<&[u8]>, ttl_ms: Option<u64>) -> Result<(), KvError> {
    let ends = ends(ttl_ms)?;
    if find(key)?.as_ref().map(|entry| entry.value.as_slice()) != expected {
        return Err(KvError::Mismatch);
    }
    match value {
        Some(value) => put(key, value, ends),
        None => delete(key).map(drop),
    }
}

pub(crate) fn pin(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), KvError> {
    let ends = ends(Some(ttl_ms))?;
    if find(key)?.is_some() {
        return Err(KvError::Mismatch);
    }
    if NO_ROOM.get() {
        return Err(KvError::Full);
    }
    put(key, value, ends)
}

/// From now on what is pinned has all the room there is for it.
pub fn fill_pinned() {
    NO_ROOM.set(true);
}

/// An entry that has not ended.
fn find(key: &str) -> Result<Option<Entry>, KvError> {
    super::granted::used("kv");
    if key.len() > MAX_KEY {
        return Err(KvError::TooLarge);
    }
    let now = clock::monotonic();
    Ok(ENTRIES.with_borrow(|entries| entries.get(key).filter(|entry| entry.ends > now).cloned()))
}

fn put(key: &str, value: &[u8], ends: u64) -> Result<(), KvError> {
    if value.len() > MAX_VALUE {
        return Err(KvError::TooLarge);
    }
    ENTRIES.with_borrow_mut(|entries| entries.insert(key.to_owned(), Entry { value: value.to_vec(), ends }));
    Ok(())
}

fn ends(ttl_ms: Option<u64>) -> Result<u64, KvError> {
    match ttl_ms {
        None => Ok(u64::MAX),
        Some(ttl @ 1..=LONGEST_TTL_MS) => Ok(clock::monotonic().saturating_add(ttl * 1_000_000)),
        Some(_) => Err(KvError::InvalidTtl),
    }
}

fn number(value: &[u8]) -> Result<i64, KvError> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(KvError::NotANumber)
}
