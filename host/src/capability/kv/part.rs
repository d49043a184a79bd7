//! One part of a store: a map that is read and changed without a lock, and an exact account of what is in it.
//!
//! Room is taken before an entry is put in, so the bound holds at every moment. Whoever finds none looks through the part
//! once, and removes what has ended and then what was not used for longest, until an eighth is free: what one such search
//! costs is shared by many that come after it. What is pinned is passed over, and never has more than three quarters of the
//! room (`pinned`), so there is always something else to remove.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use papaya::{Compute, HashMap, Operation};
use seize::Collector;

use super::KvError;
use super::pinned::Pinned;

/// Bytes an entry costs besides its key and value, about.
pub(super) const OVERHEAD: usize = 128;

/// A value, when it ends, and when it was last used, nanoseconds of the store's clock.
pub(super) struct Entry {
    value: Box<[u8]>,
    ends: u64,
    used: AtomicU64,
    pinned: bool,
}

/// What becomes of an entry.
pub(super) enum Change {
    /// It is this from now on.
    Set(Entry),
    /// It goes.
    Remove,
    /// It stays as it is.
    Refuse(KvError),
}

pub(super) struct Part {
    map: HashMap<Box<str>, Entry, RandomState>,
    /// With those for which room is taken.
    entries: AtomicUsize,
    bytes: AtomicUsize,
    evicted: AtomicU64,
    max_entries: usize,
    max_bytes: usize,
    pinned: Pinned,
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(value: &[u8], ends: u64, now: u64) -> Self {
        Self { value: value.into(), ends, used: AtomicU64::new(now), pinned: false }
    }

    fn pinned(value: &[u8], ends: u64, now: u64) -> Self {
        Self { pinned: true, ..Self::new(value, ends, now) }
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    pub(super) fn ends(&self) -> u64 {
        self.ends
    }

    fn has_ended(&self, now: u64) -> bool {
        self.ends <= now
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

// === impl Part ===

impl Part {
    pub(super) fn new(max_entries: usize, max_bytes: usize, hash: RandomState, collector: Arc<Collector>) -> Self {
        Self {
            map: HashMap::builder().hasher(hash).shared_collector(collector).build(),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            max_entries,
            max_bytes,
            pinned: Pinned::new(max_entries, max_bytes),
        }
    }

    /// Reads the value of a key, unless it has ended.
    pub(super) fn get<R>(&self, key: &str, now: u64, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let map = self.map.pin();
        let entry = map.get(key).filter(|entry| !entry.has_ended(now))?;
        entry.used.store(now, Ordering::Relaxed);
        Some(read(&entry.value))
    }

    /// Changes one entry at once: nobody else changes it between what `decide` sees and what it says. It may be asked again
    /// when somebody was quicker, and sets no more than `most` bytes. `read` sees what is there then.
    pub(super) fn change<R>(
        &self,
        key: &str,
        most: usize,
        now: u64,
        decide: impl Fn(Option<&Entry>) -> Change,
        read: impl FnOnce(Option<&Entry>) -> R,
    ) -> Result<R, KvError> {
        // What is there already has its room, and is not what has to go for itself.
        let most = size(key, most);
        let (entries, bytes) = self.get(key, now, |there| (0, most.saturating_sub(size(key, there.len())))).unwrap_or((1, most));
        self.make_room(entries, bytes, now);
        let map = self.map.pin();
        let changed = map.compute(key.into(), |there| match decide(there.map(|(_, entry)| entry).filter(|entry| !entry.has_ended(now))) {
            Change::Set(entry) => Operation::Insert(entry),
            Change::Remove if there.is_some() => Operation::Remove,
            Change::Remove => Operation::Abort(None),
            Change::Refuse(why) => Operation::Abort(Some(why)),
        });
        let (old, new, refused) = match changed {
            Compute::Inserted(_, new) => (None, Some(new), None),
            Compute::Updated { old: (_, old), new: (_, new) } => (Some(old), Some(new), None),
            Compute::Removed(_, old) => (Some(old), None, None),
            Compute::Aborted(refused) => (None, None, refused),
        };
        let kept = new.map_or(0, |entry| size(key, entry.value.len()));
        // What is there now takes its room before what was taken for it is given back.
        self.entries.fetch_add(usize::from(new.is_some()), Ordering::Relaxed);
        self.bytes.fetch_add(kept, Ordering::Relaxed);
        self.release(entries, bytes);
        if let Some(old) = old {
            self.is_gone(key, old);
        }
        refused.map_or_else(|| Ok(read(new)), Err)
    }

    /// Puts in what is not there, and keeps it until it ends.
    pub(super) fn pin(&self, key: &str, value: &[u8], ends: u64, now: u64) -> Result<(), KvError> {
        let bytes = size(key, value.len());
        // Whoever comes with what was pinned before takes no room, and is told so where there is none.
        if self.get(key, now, |_| ()).is_some() {
            return Err(KvError::Mismatch);
        }
        self.pinned.take(bytes, now, || self.remove_ended(now))?;
        let decide = |there: Option<&Entry>| match there {
            None => Change::Set(Entry::pinned(value, ends, now)),
            Some(_) => Change::Refuse(KvError::Mismatch),
        };
        let put = self.change(key, value.len(), now, decide, |_| ());
        match put {
            Ok(()) => self.pinned.ends(ends),
            Err(_) => self.pinned.release(bytes),
        }
        put
    }

    /// Removes a key; whether it was there and had not ended.
    pub(super) fn remove(&self, key: &str, now: u64) -> bool {
        let map = self.map.pin();
        map.remove(key).is_some_and(|entry| {
            self.is_gone(key, entry);
            !entry.has_ended(now)
        })
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed) as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn make_room(&self, entries: usize, bytes: usize, now: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A search spares what was used while it ran. If that is everything, or what was there is gone meanwhile, the bound is
        // passed by this one entry.
        for _ in 0..2 {
            if self.is_within(self.max_entries, self.max_bytes) {
                return;
            }
            self.search(now);
        }
    }

    fn is_gone(&self, key: &str, entry: &Entry) {
        let bytes = size(key, entry.value.len());
        self.release(1, bytes);
        if entry.pinned {
            self.pinned.release(bytes);
        }
    }

    fn release(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_within(&self, entries: usize, bytes: usize) -> bool {
        self.entries.load(Ordering::Relaxed) <= entries && self.bytes.load(Ordering::Relaxed) <= bytes
    }

    /// Removes what has ended; of what is pinned and has not, it is told when.
    fn remove_ended(&self, now: u64) {
        let map = self.map.pin();
        for (key, entry) in &map {
            if !entry.has_ended(now) {
                if entry.pinned {
                    self.pinned.ends(entry.ends);
                }
            } else if let Ok(Some((_, entry))) = map.remove_if(&**key, |_, entry| entry.has_ended(now)) {
                self.is_gone(key, entry);
            }
        }
    }

    /// Removes what has ended, and then the eldest until an eighth is free.
    fn search(&self, now: u64) {
        let map = self.map.pin();
        let mut by_age = Vec::with_capacity(map.len());
        for (key, entry) in &map {
            if !entry.has_ended(now) {
                if !entry.pinned {
                    by_age.push((entry.used(), key));
                }
            } else if let Ok(Some((_, entry))) = map.remove_if(&**key, |_, entry| entry.has_ended(now)) {
                self.is_gone(key, entry);
            }
        }
        by_age.sort_unstable();
        for (used, key) in by_age {
            if self.is_within(self.max_entries - self.max_entries / 8, self.max_bytes - self.max_bytes / 8) {
                return;
            }
            if let Ok(Some((_, entry))) = map.remove_if(&**key, |_, entry| entry.used() == used && !entry.pinned) {
                self.is_gone(key, entry);
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Nothing of what is in it: it is the plugin's.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("entries", &self.entries).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn size(key: &str, value: usize) -> usize {
    key.len() + value + OVERHEAD
}
