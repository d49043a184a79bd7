//! A limit of the whole gateway that a worker keeps without asking the others each time.
//!
//! Places are counted once for all workers. A worker that gives one back may keep it, up to a part of all there are, and takes from those first: as long
//! as about as many are given back as are taken, no worker writes where another one reads. Never more than the limit are taken. What one keeps another may
//! be short of, which is an eighth of a limit at most, 256 places for each worker, and nothing of a small limit.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// All workers together keep one place of so many.
const PART: usize = 8;
/// Most places that one worker keeps.
const MOST: usize = 256;

/// The places of all: those that are taken, and those that are kept.
#[derive(Debug, Default)]
pub struct Places(AtomicUsize);

/// The places that one worker keeps. Nobody else may take or give back by it.
#[derive(Debug, Default)]
pub struct Kept(AtomicUsize);

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// For all.
    pub limit: usize,
    /// That one worker may keep.
    most_kept: usize,
}

// === impl Quota ===

impl Quota {
    /// So many places for so many workers; where there is none of these, nobody keeps any.
    pub fn new(limit: usize, workers: usize) -> Self {
        let most_kept = (limit / PART).checked_div(workers).unwrap_or(0).min(MOST);
        Self { limit, most_kept }
    }
}

// === impl Places ===

impl Places {
    /// Takes a place, unless all are taken or kept.
    pub fn take(&self, kept: &Kept, quota: Quota) -> bool {
        let own = kept.0.load(Relaxed);
        if own > 0 {
            kept.0.store(own - 1, Relaxed);
            return true;
        }
        // One addition in the common case; the refused one is taken back.
        if self.0.fetch_add(1, Relaxed) < quota.limit {
            return true;
        }
        self.0.fetch_sub(1, Relaxed);
        false
    }

    /// Gives a place back, or keeps it.
    pub fn give_back(&self, kept: &Kept, quota: Quota) {
        let own = kept.0.load(Relaxed);
        if own < quota.most_kept {
            kept.0.store(own + 1, Relaxed);
        } else {
            self.0.fetch_sub(1, Relaxed);
        }
    }

    /// Gives back what is kept beyond another quota than there was.
    pub fn trim(&self, kept: &Kept, quota: Quota) {
        let own = kept.0.load(Relaxed);
        if own > quota.most_kept {
            kept.0.store(quota.most_kept, Relaxed);
            self.0.fetch_sub(own - quota.most_kept, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes and gives back by chance, on two workers; the most that were taken at once.
    fn live(limit: usize) -> usize {
        let (places, kept) = (Places::default(), [Kept::default(), Kept::default()]);
        let quota = Quota::new(limit, kept.len());
        let (mut taken, mut top) = ([0_usize; 2], 0);
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let worker = (random >> 40) as usize % 2;
            if random >> 60 < 9 {
                taken[worker] += usize::from(places.take(&kept[worker], quota));
            } else if taken[worker] > 0 {
                taken[worker] -= 1;
                places.give_back(&kept[worker], quota);
            }
            assert!(kept[worker].0.load(Relaxed) <= quota.most_kept);
            top = top.max(taken[0] + taken[1]);
        }
        assert_eq!(places.0.load(Relaxed), taken.iter().sum::<usize>() + kept.iter().map(|kept| kept.0.load(Relaxed)).sum::<usize>());
        top
    }

    #[test]
    fn the_limit_is_reached_but_for_a_part_and_never_passed() {
        for limit in [1, 2, 15, 100] {
            let top = live(limit);
            assert!(top <= limit && top >= limit - limit / PART, "{limit}: {top}");
        }
    }

    #[test]
    fn of_a_small_limit_nothing_is_kept() {
        let most = |limit, workers| Quota::new(limit, workers).most_kept;
        assert_eq!((most(15, 2), most(16, 2), most(65_536, 2), most(65_536, 0)), (0, 1, MOST, 0));
        let (places, one, other, quota) = (Places::default(), Kept::default(), Kept::default(), Quota::new(1, 2));
        for _ in 0..3 {
            assert!(places.take(&one, quota) && !places.take(&other, quota));
            places.give_back(&one, quota);
            assert!(places.take(&other, quota) && !places.take(&one, quota));
            places.give_back(&other, quota);
        }
    }

    #[test]
    fn a_smaller_limit_leaves_nobody_short_of_what_was_kept_by_a_greater_one() {
        let (places, one, other) = (Places::default(), Kept::default(), Kept::default());
        let (greater, smaller) = (Quota::new(160, 2), Quota::new(4, 2));
        for kept in [&one, &other] {
            assert!((0..10).all(|_| places.take(kept, greater)));
            (0..10).for_each(|_| places.give_back(kept, greater));
        }
        assert_eq!((places.0.load(Relaxed), places.take(&Kept::default(), smaller)), (20, false));
        [&one, &other].into_iter().for_each(|kept| places.trim(kept, smaller));
        assert_eq!((0..10).filter(|_| places.take(&one, smaller)).count(), 4);
    }
}
