//! A limit of the whole gateway that a worker keeps without asking the others each time.
//!
//! Places are counted once for all workers. A worker that gives one back may keep it, up to a part of all there are, and takes from those first: as long
//! as about as many are given back as are taken, no worker writes where another one reads. Never more than the limit are taken. What one keeps another may
//! be short of, which is [an eighth](PART) of a limit at most, [`MOST`] places for each worker, and nothing of a small limit.

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

impl Places {
    /// Takes a place, unless so many are taken or kept.
    pub fn take(&self, kept: &Kept, limit: usize) -> bool {
        let own = kept.0.load(Relaxed);
        if own > 0 {
            kept.0.store(own - 1, Relaxed);
            return true;
        }
        // One addition in the common case; the refused one is taken back.
        if self.0.fetch_add(1, Relaxed) < limit {
            return true;
        }
        self.0.fetch_sub(1, Relaxed);
        false
    }

    /// Gives a place back, or keeps it where fewer than `most` are kept.
    pub fn give_back(&self, kept: &Kept, most: usize) {
        let own = kept.0.load(Relaxed);
        if own < most {
            kept.0.store(own + 1, Relaxed);
        } else {
            // With what was kept by a greater limit.
            kept.0.store(most, Relaxed);
            self.0.fetch_sub(1 + own - most, Relaxed);
        }
    }
}

/// How many places of a limit one of so many workers may keep.
pub fn most_kept(limit: usize, workers: usize) -> usize {
    (limit / PART / workers.max(1)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes and gives back by chance, on two workers; the most that were taken at once.
    fn live(limit: usize) -> usize {
        let (places, kept) = (Places::default(), [Kept::default(), Kept::default()]);
        let most = most_kept(limit, kept.len());
        let (mut taken, mut top) = ([0_usize; 2], 0);
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let worker = (random >> 40) as usize % 2;
            if random >> 60 < 9 {
                taken[worker] += usize::from(places.take(&kept[worker], limit));
            } else if taken[worker] > 0 {
                taken[worker] -= 1;
                places.give_back(&kept[worker], most);
            }
            assert!(kept[worker].0.load(Relaxed) <= most);
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
        assert_eq!((most_kept(15, 2), most_kept(16, 2), most_kept(65_536, 2), most_kept(8, 0)), (0, 1, MOST, 1));
        let (places, one, other) = (Places::default(), Kept::default(), Kept::default());
        for _ in 0..3 {
            assert!(places.take(&one, 1) && !places.take(&other, 1));
            places.give_back(&one, most_kept(1, 2));
            assert!(places.take(&other, 1) && !places.take(&one, 1));
            places.give_back(&other, most_kept(1, 2));
        }
    }

    #[test]
    fn a_smaller_limit_takes_back_what_was_kept_by_a_greater_one() {
        let (places, kept) = (Places::default(), Kept::default());
        assert!((0..10).all(|_| places.take(&kept, 100)));
        (0..9).for_each(|_| places.give_back(&kept, 6));
        assert_eq!((kept.0.load(Relaxed), places.0.load(Relaxed)), (6, 7));
        places.give_back(&kept, 2);
        assert_eq!((kept.0.load(Relaxed), places.0.load(Relaxed)), (2, 2));
    }
}
