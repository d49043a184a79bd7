//! The account of what is pinned in one part of a store: it may have three quarters of the room, so that other entries have some, and
//! where it has them nothing more is pinned. Who finds none looks for what has ended, and not again before something can have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::KvError;

#[derive(Debug)]
pub(super) struct Pinned {
    /// With those for which room is taken.
    entries: AtomicUsize,
    bytes: AtomicUsize,
    max_entries: usize,
    max_bytes: usize,
    /// No later than the first of them ends; on the store's clock.
    first_end: AtomicU64,
}

impl Pinned {
    /// Of a part with room for so much.
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_entries: max_entries - max_entries.div_ceil(4),
            max_bytes: max_bytes - max_bytes.div_ceil(4),
            first_end: AtomicU64::new(u64::MAX),
        }
    }

    /// Takes room for one. `remove_ended` has to say of all that are left when they [end](Self::ends).
    pub(super) fn take(&self, bytes: usize, now: u64, remove_ended: impl FnOnce()) -> Result<(), KvError> {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A flood that is refused must not look through everything each time.
        if !self.is_within() && self.first_end.load(Ordering::Relaxed) <= now {
            self.first_end.store(u64::MAX, Ordering::Relaxed);
            remove_ended();
        }
        if self.is_within() {
            return Ok(());
        }
        self.release(bytes);
        Err(KvError::Full)
    }

    /// One that is there ends then.
    pub(super) fn ends(&self, ends: u64) {
        self.first_end.fetch_min(ends, Ordering::Relaxed);
    }

    /// One is gone.
    pub(super) fn release(&self, bytes: usize) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_within(&self) -> bool {
        self.entries.load(Ordering::Relaxed) <= self.max_entries && self.bytes.load(Ordering::Relaxed) <= self.max_bytes
    }
}
