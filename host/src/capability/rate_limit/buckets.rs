//! Buckets by key: a bounded number, found by any worker without a lock. Why so, and what it costs, is in
//! `docs/adr/0009-buckets-are-found-without-a-lock.md`.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use papaya::{Equivalent, HashMap};
use seize::Collector;

use super::bucket::Bucket;

/// Keys of one part at most: as many as are looked through at once when there is no room.
const PART: usize = 1_024;
/// Between two searches for room in one part, nanoseconds: what they cost is then a known share of a worker at most.
const PAUSE: u64 = 1_000_000;

/// All buckets of one plugin.
#[derive(Debug)]
pub(super) struct Buckets {
    /// A power of two.
    parts: Box<[Part]>,
    /// Keyed with random numbers: who sends keys cannot choose where they go.
    hash: RandomState,
}

/// What a key leads to.
pub(super) enum Found<'b> {
    /// Its bucket.
    Kept(&'b Bucket),
    /// Nothing: all there is room for are in use.
    NoRoom,
}

#[derive(Debug)]
struct Part {
    map: HashMap<Key, Bucket, BuildHasherDefault<Hashed>>,
    most: usize,
    used: AtomicUsize,
    /// No search for room before then.
    search_at: AtomicU64,
    /// When one last began. A bucket that was forgotten then was full then, and who read the clock before and comes late finds
    /// the new one no fuller.
    searched_at: AtomicU64,
}

#[derive(Debug)]
struct Key {
    hash: u64,
    limit: u32,
    bytes: Box<[u8]>,
}

/// The same without owning it: looking up copies nothing.
#[derive(Clone, Copy)]
struct Borrowed<'k> {
    hash: u64,
    limit: u32,
    bytes: &'k [u8],
}

/// Keys bring their hash with them.
#[derive(Debug, Default)]
struct Hashed(u64);

// === impl Key ===

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit && self.bytes == other.bytes
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.limit == key.limit && *self.bytes == *key.bytes
    }
}

impl Borrowed<'_> {
    fn to_key(self) -> Key {
        Key { hash: self.hash, limit: self.limit, bytes: self.bytes.into() }
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

// === impl Buckets ===

impl Buckets {
    pub(super) fn new(most: usize) -> Self {
        let parts = most.div_ceil(PART).max(1).next_power_of_two();
        // What each thread keeps for reading without a lock is kept once, and not for every part.
        let collector = Arc::new(Collector::new());
        let part = |_| Part {
            map: HashMap::builder().hasher(BuildHasherDefault::default()).shared_collector(Arc::clone(&collector)).build(),
            most: most.div_ceil(parts),
            used: AtomicUsize::new(0),
            search_at: AtomicU64::new(0),
            searched_at: AtomicU64::new(0),
        };
        Self { parts: (0..parts).map(part).collect(), hash: RandomState::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.used.load(Ordering::Relaxed)).sum()
    }

    /// Does something with the bucket of a key that has one.
    pub(super) fn look<R>(&self, limit: u32, bytes: &[u8], run: impl FnOnce(&Bucket) -> R) -> Option<R> {
        let (part, key) = self.find(limit, bytes)?;
        part.map.pin().get(&key).map(run)
    }

    /// Does something with the bucket of a key, which is made if there is room. `run` says `None` of a bucket that was
    /// forgotten meanwhile, and is asked again with another.
    pub(super) fn with<R>(&self, limit: u32, bytes: &[u8], now: u64, run: impl Fn(Found<'_>) -> Option<R>) -> Option<R> {
        let (part, key) = self.find(limit, bytes)?;
        let map = part.map.pin();
        loop {
            let bucket = match map.get(&key) {
                Some(bucket) => bucket,
                None if !part.has_room(now) => return run(Found::NoRoom),
                None => match map.try_insert(key.to_key(), part.bucket()) {
                    Ok(bucket) => {
                        part.used.fetch_add(1, Ordering::Relaxed);
                        bucket
                    }
                    // Another worker was quicker.
                    Err(occupied) => occupied.current,
                },
            };
            match run(Found::Kept(bucket)) {
                Some(answer) => return Some(answer),
                None => part.remove_retired(&key),
            }
        }
    }

    fn find<'k>(&self, limit: u32, bytes: &'k [u8]) -> Option<(&Part, Borrowed<'k>)> {
        let mut state = self.hash.build_hasher();
        state.write_u32(limit);
        state.write(bytes);
        let hash = state.finish();
        // The map goes by the lowest and the highest bits.
        let number = usize::try_from(hash >> 24).unwrap_or_default() & (self.parts.len() - 1);
        Some((self.parts.get(number)?, Borrowed { hash, limit, bytes }))
    }
}

// === impl Part ===

impl Part {
    fn bucket(&self) -> Bucket {
        Bucket::full_since(self.searched_at.load(Ordering::Acquire))
    }

    /// Whether one more may be made. Two workers that see the last place at once both take it: the bound may be passed by as
    /// many as there are workers.
    fn has_room(&self, now: u64) -> bool {
        self.used.load(Ordering::Relaxed) < self.most || self.forget_full(now)
    }

    /// Forgets buckets that are full, which nobody can tell from new ones. Whether there were any.
    fn forget_full(&self, now: u64) -> bool {
        let search_at = self.search_at.load(Ordering::Relaxed);
        let pause = now.saturating_add(PAUSE);
        // One worker searches, the others go on.
        if search_at > now || self.search_at.compare_exchange(search_at, pause, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        self.searched_at.fetch_max(now, Ordering::Release);
        let map = self.map.pin();
        let mut earliest = u64::MAX;
        for (key, bucket) in &map {
            match bucket.retire(now) {
                Ok(()) => self.remove_retired(&Borrowed { hash: key.hash, limit: key.limit, bytes: &key.bytes }),
                Err(full_at) => earliest = earliest.min(full_at),
            }
        }
        let found = self.used.load(Ordering::Relaxed) < self.most;
        if !found {
            // Before then none of them is full, save those that tokens are given back to.
            self.search_at.store(earliest.max(pause), Ordering::Relaxed);
        }
        found
    }

    fn remove_retired(&self, key: &Borrowed<'_>) {
        // A new bucket of the same key may be there already: it is not retired, and stays.
        if let Ok(Some(_)) = self.map.pin().remove_if(key, |_, bucket| bucket.is_retired()) {
            self.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
