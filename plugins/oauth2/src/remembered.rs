//! Tokens that were found good, so that the next request with one costs no signature. Only a token that passed gets in,
//! and it is found again only by every one of its bytes, by the place whose rules it passed.
//!
//! All places of an instance share one memory and its bounds: places can be many, an instance's budget is one.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use plugway_sdk::random;

use crate::bytes::is_same;
use crate::pass::Pass;

/// Most tokens one instance keeps. Each has an identity in the gateway's table of handles, which is finite.
pub(crate) const MOST_TOKENS: usize = 1_000;
/// Most bytes they take here, all told.
pub(crate) const MOST_BYTES: usize = 2 << 20;
/// Most bytes of one: none may drive out many.
const MOST_BYTES_OF_ONE: usize = MOST_BYTES / 32;

thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new()) };
}

/// The tokens of one place. When it goes, so do they.
#[derive(Debug)]
pub(crate) struct Remembered {
    place: u64,
    /// Whether it ever kept one.
    has_kept: Cell<bool>,
}

/// Those of all places.
struct Memory {
    entries: HashMap<Key, Entry, BuildHasherDefault<Mixed>>,
    /// The next to go first.
    queue: VecDeque<Key>,
    bytes: usize,
    /// How many places there were.
    places: u64,
    /// Makes fingerprints nobody else can work out.
    secret: Option<[u64; 2]>,
}

/// Place and fingerprint.
type Key = (u64, u64);

/// Keys are as good as random, and nobody can choose them: they need no more than to be mixed into one number.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    /// An odd factor keeps places apart: it maps no two numbers to one.
    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    }
}

struct Entry {
    token: Box<[u8]>,
    pass: Pass,
    bytes: usize,
    /// Since it was last spared.
    was_used: bool,
}

impl Remembered {
    /// A new place, with a number of its own: what an earlier configuration let pass is nothing to it.
    pub(crate) fn new() -> Self {
        MEMORY.with_borrow_mut(|memory| {
            memory.secret.get_or_insert_with(|| [random::number(), random::number()]);
            memory.places += 1;
            Self { place: memory.places, has_kept: Cell::new(false) }
        })
    }

    /// Shows what is kept of a token, if anything is.
    pub(crate) fn look_up<R>(&self, token: &[u8], show: impl FnOnce(&Pass) -> R) -> Option<R> {
        MEMORY.with_borrow_mut(|memory| {
            let key = memory.key(self.place, token)?;
            let entry = memory.entries.get_mut(&key)?;
            if !is_same(&entry.token, token) {
                return None;
            }
            entry.was_used = true;
            Some(show(&entry.pass))
        })
    }

    /// Keeps a token that passed, and drops others until there is room.
    pub(crate) fn keep(&self, token: &[u8], pass: Pass) {
        let bytes = size_of::<Entry>() + token.len() + pass.bytes();
        if bytes > MOST_BYTES_OF_ONE {
            return;
        }
        self.has_kept.set(true);
        MEMORY.with_borrow_mut(|memory| {
            let Some(key) = memory.key(self.place, token) else { return };
            memory.remove(key);
            while memory.entries.len() >= MOST_TOKENS || memory.bytes + bytes > MOST_BYTES {
                memory.make_room();
            }
            memory.entries.insert(key, Entry { token: token.into(), pass, bytes, was_used: false });
            memory.queue.push_back(key);
            memory.bytes += bytes;
        });
    }

    /// Forgets a token.
    pub(crate) fn forget(&self, token: &[u8]) {
        MEMORY.with_borrow_mut(|memory| {
            if let Some(key) = memory.key(self.place, token) {
                memory.remove(key);
            }
        });
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        // Thousands of places may go at once, and each looks through what is kept of all.
        if !self.has_kept.get() {
            return;
        }
        // A native test's thread may have dropped the memory first.
        let _ = MEMORY.try_with(|memory| memory.borrow_mut().remove_place(self.place));
    }
}

impl Memory {
    const fn new() -> Self {
        Self { entries: HashMap::with_hasher(BuildHasherDefault::new()), queue: VecDeque::new(), bytes: 0, places: 0, secret: None }
    }

    /// Where a token would be. Of its end only, which is the signature: as good as random, and nobody has the signatures of
    /// others. Keyed, so that the time of a search says nothing of what is kept: whoever gets as far as the comparison knew
    /// the last 96 bits of the signature before. A collision costs a verification, no more.
    fn key(&self, place: u64, token: &[u8]) -> Option<Key> {
        let [first, second] = self.secret?;
        let [low, high] = halves(u128::from_le_bytes(*token.last_chunk()?));
        // Both halves of a product: every bit of either number tells.
        let [low, high] = halves(u128::from(low ^ first) * u128::from(high ^ second));
        Some((place, low ^ high))
    }

    /// Drops the one that has waited longest; one that was used meanwhile waits once more.
    fn make_room(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            match self.entries.get_mut(&key) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.queue.push_back(key);
                }
                _ => return self.remove_entry(key),
            }
        }
    }

    fn remove(&mut self, key: Key) {
        if self.entries.contains_key(&key) {
            self.remove_entry(key);
            self.queue.retain(|queued| *queued != key);
        }
    }

    fn remove_entry(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.bytes;
        }
    }

    fn remove_place(&mut self, place: u64) {
        let bytes = &mut self.bytes;
        self.entries.retain(|key, entry| {
            let stays = key.0 != place;
            *bytes -= if stays { 0 } else { entry.bytes };
            stays
        });
        self.queue.retain(|queued| queued.0 != place);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

/// How much is kept, for the tests of the whole plugin.
#[cfg(test)]
pub(crate) fn kept() -> (usize, usize) {
    MEMORY.with_borrow(|memory| {
        assert_eq!(memory.entries.len(), memory.queue.len());
        assert_eq!(memory.entries.values().map(|entry| entry.bytes).sum::<usize>(), memory.bytes);
        (memory.entries.len(), memory.bytes)
    })
}

#[cfg(test)]
mod tests;
