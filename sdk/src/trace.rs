//! Notes in the span of the running hook, for whoever looks at the trace of its request. Where the request is not sampled
//! nothing is kept, and a call costs no more than being made: about 0.1 µs.
//!
//! ```
//! # let hit = true;
//! plugway_sdk::trace::set_attribute("cache.hit", hit);
//! if plugway_sdk::trace::recording() {
//!     plugway_sdk::trace::add_event("cache looked up", [("entries", 12.into()), ("tenant", "acme".into())]);
//! }
//! ```
//!
//! One hook may note 32 attributes and 32 events, 8 KiB in all; what is more is dropped, and the span says how much was.

use crate::sys;
use crate::value::Value;

/// Whether what is noted now is kept; ask before building a dear note.
pub fn recording() -> bool {
    sys::trace::recording()
}

/// Sets an attribute of the span; a later one of the same name replaces it.
pub fn set_attribute(name: &str, value: impl Into<Value>) {
    sys::trace::set_attribute(name, &value.into());
}

/// Adds an event that happens now, with attributes of its own.
pub fn add_event<'a>(name: &str, attributes: impl IntoIterator<Item = (&'a str, Value)>) {
    let attributes: Vec<_> = attributes.into_iter().collect();
    let lent: Vec<_> = attributes.iter().map(|(name, value)| (*name, value)).collect();
    sys::trace::add_event(name, &lent);
}
