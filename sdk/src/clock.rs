//! The time.

use std::time::Duration;

use crate::sys;

/// Time since the Unix epoch by the wall clock, which can jump.
pub fn now() -> Duration {
    Duration::from_nanos(sys::clock::now())
}

/// Time since an arbitrary start; never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(sys::clock::monotonic())
}
