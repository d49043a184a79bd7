//! Keys and values in the gateway's memory, for all instances of the plugin on all workers. The plugin needs
//! `grants = { kv = {} }`.
//!
//! ```
//! use plugway_sdk::kv;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), plugway_sdk::Error> {
//! kv::set("greeting", "hello", None)?;
//! assert_eq!(kv::get("greeting")?.as_deref(), Some(&b"hello"[..]));
//! assert_eq!(kv::increment("visits", 1, Some(Duration::from_secs(60)))?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Entries belong to the plugin by its configured name. They outlive an instance and a swap of the plugin, not the gateway. Where
//! there is no room what was not used for longest goes, so an entry may be gone at any time; what is pinned stays for its time.

use std::time::Duration;

use crate::error::KvError;
use crate::sys;

/// The value of a key.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    Ok(sys::kv::get(key)?)
}

/// Sets the value of a key, for so long, or for as long as there is room. In whole milliseconds.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), KvError> {
    Ok(sys::kv::set(key, value.as_ref(), milliseconds(ttl))?)
}

/// Removes a key. Whether it was there.
pub fn delete(key: &str) -> Result<bool, KvError> {
    Ok(sys::kv::delete(key)?)
}

/// Adds to a number, which is kept as decimal text, and gives the sum. A key that is not there counts as 0, and lives for `ttl`
/// from now; one that is there ends when it would have ended anyway.
pub fn increment(key: &str, amount: i64, ttl: Option<Duration>) -> Result<i64, KvError> {
    Ok(sys::kv::increment(key, amount, milliseconds(ttl))?)
}

/// Sets a value, or removes it where `value` is `None`, if what is there is `expected`; `None` expects that there is nothing.
/// Otherwise it is a [`KvError::Mismatch`].
pub fn compare_and_swap(key: &str, expected: Option<&[u8]>, value: Option<&[u8]>, ttl: Option<Duration>) -> Result<(), KvError> {
    Ok(sys::kv::compare_and_swap(key, expected, value, milliseconds(ttl))?)
}

/// Sets the value of a key that is not there, and keeps it for so long whatever else needs room; a key that is there is a
/// [`KvError::Mismatch`]. For what must not be forgotten before its time, such as that something was used. What is pinned may have three
/// quarters of the room; where it has them this is [`KvError::Full`].
pub fn pin(key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), KvError> {
    Ok(sys::kv::pin(key, value.as_ref(), milliseconds(Some(ttl)).unwrap_or_default())?)
}

fn milliseconds(ttl: Option<Duration>) -> Option<u64> {
    ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}
