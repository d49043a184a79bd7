//! Random numbers fit for secrets: the operating system's generator.

use crate::sys;

/// `length` random bytes, at most 4096; more gives 4096.
pub fn bytes(length: u32) -> Vec<u8> {
    sys::random::bytes(length)
}

/// A random 64-bit number.
pub fn number() -> u64 {
    sys::random::number()
}
