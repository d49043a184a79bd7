//! The bucket against the textbook, and the table under many hands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::bucket::Bucket;
use super::*;

const SECOND: u64 = 1_000_000_000;

fn quota(tokens: u32, period_ms: u64, burst: u32) -> Quota {
    Quota::new(tokens, period_ms, burst).unwrap()
}

fn limits(max_keys: usize, quota: Quota) -> (RateLimits, u32) {
    let mut limits = RateLimits::new(Arc::new(Limiter::new(max_keys)));
    let limit = limits.declare("limit", quota).unwrap();
    (limits, limit)
}

/// A bucket as textbooks have it: a level that rises with time. It is counted in nanoseconds of filling, so nothing is rounded.
struct Textbook {
    level: u64,
    at: u64,
    quota: Quota,
}

impl Textbook {
    fn take(&mut self, tokens: u32, now: u64) -> (bool, u32) {
        let full = self.quota.interval() * u64::from(self.quota.burst());
        self.level = (self.level + (now - self.at)).min(full);
        self.at = now;
        let cost = self.quota.interval() * u64::from(tokens);
        let admitted = cost <= self.level;
        if admitted {
            self.level -= cost;
        }
        (admitted, u32::try_from(self.level / self.quota.interval()).unwrap())
    }
}

proptest! {
    #[test]
    fn a_bucket_does_what_the_textbook_says(
        tokens in 1..2_000_u32,
        period_ms in 2..100_000_u64,
        burst in 1..50_u32,
        steps in prop::collection::vec((0..3_u32, 0..500_000_000_u64), 1..200),
    ) {
        let quota = quota(tokens, period_ms, burst);
        let bucket = Bucket::default();
        let mut textbook = Textbook { level: quota.interval() * u64::from(burst), at: 0, quota };
        let mut now = 0;
        for (tokens, passed) in steps {
            now += passed;
            let tokens = tokens.min(burst);
            let taken = bucket.take(&quota, tokens, now).unwrap();
            prop_assert_eq!((taken.admitted, taken.remaining), textbook.take(tokens, now));
            // The wait is exact: a nanosecond earlier it is not so yet.
            if !taken.admitted {
                let at = |now| Bucket::full_since(bucket.full_at()).take(&quota, tokens, now).unwrap().admitted;
                prop_assert!(!at(now + taken.wait - 1) && at(now + taken.wait));
            } else if taken.wait > 0 {
                let left = |now| Bucket::full_since(bucket.full_at()).take(&quota, 0, now).unwrap().remaining;
                prop_assert_eq!((left(now + taken.wait - 1), left(now + taken.wait)), (taken.remaining, taken.remaining + 1));
            } else {
                prop_assert_eq!(taken.remaining, burst);
            }
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more(taken in 0..20_u32, given in 0..40_u32) {
        let quota = quota(1, 1_000, 20);
        let bucket = Bucket::default();
        bucket.take(&quota, taken, SECOND).unwrap();
        bucket.give_back(&quota, given);
        prop_assert_eq!(bucket.take(&quota, 0, SECOND).unwrap().remaining, (20 - taken + given).min(20));
    }
}

#[test]
fn a_quota_is_within_bounds() {
    assert_eq!(Quota::new(0, 1_000, 1), Err(QuotaError::Tokens));
    assert_eq!(Quota::new(1_000_001, 1_000, 1), Err(QuotaError::Tokens));
    assert!(Quota::new(1_000_000, 1_000, 1).is_ok());
    assert_eq!(Quota::new(1, 0, 1), Err(QuotaError::Period));
    assert_eq!(Quota::new(1, u64::MAX, 1), Err(QuotaError::Period));
    assert_eq!(Quota::new(1, 1_000, 0), Err(QuotaError::Burst));
    assert_eq!(Quota::new(1, 365 * 24 * 60 * 60 * 1_000, 11), Err(QuotaError::Burst));
    assert_eq!(Quota::new(1, 365 * 24 * 60 * 60 * 1_000, u32::MAX), Err(QuotaError::Burst));
}

#[test]
fn many_hands_take_exactly_what_a_bucket_has() {
    let (limits, limit) = limits(100, quota(1, 1_000, 1_000));
    let takers: Vec<_> = (0..8).map(|_| limits.clone()).collect();
    let taken: usize = std::thread::scope(|scope| {
        let run = |limits: RateLimits| move || (0..1_000).filter(|_| limits.take_at(limit, b"key", 1, SECOND).unwrap().admitted).count();
        let threads: Vec<_> = takers.into_iter().map(|limits| scope.spawn(run(limits))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 1_000);
}

#[test]
fn forgetting_and_finding_buckets_at_once_makes_no_tokens() {
    // More keys than there is room for, and time that passes: buckets are forgotten and made anew all the time.
    const INTERVAL_MS: u64 = 3;
    let quota = quota(1, INTERVAL_MS, 1);
    let buckets = Buckets::new(8);
    let clock = AtomicU64::new(0);
    let per_key: Vec<HashMap<u8, u64>> = std::thread::scope(|scope| {
        let run = |thread: u8| {
            let (buckets, clock) = (&buckets, &clock);
            move || {
                let mut taken = HashMap::new();
                for step in 0..20_000_u32 {
                    let key = (step.wrapping_mul(31).wrapping_add(u32::from(thread) * 7) % 12) as u8;
                    let now = clock.fetch_add(50_000, Ordering::Relaxed);
                    let kept = buckets.with(0, &[key], now, |found| match found {
                        Found::Kept(bucket) => bucket.take(&quota, 1, now).map(|taken| taken.admitted),
                        Found::NoRoom => Some(false),
                    });
                    *taken.entry(key).or_insert(0) += u64::from(kept.unwrap());
                }
                taken
            }
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let passed = clock.into_inner();
    let most = 1 + passed / (INTERVAL_MS * 1_000_000);
    let all: u64 = per_key.iter().flat_map(HashMap::values).sum();
    for key in 0..12 {
        let taken: u64 = per_key.iter().filter_map(|taken| taken.get(&key)).sum();
        assert!(taken <= most, "key {key}: {taken} of {most}");
    }
    assert!(all > most, "{all}: buckets were forgotten, so several keys got their tokens");
    assert!(buckets.len() <= 8 + 4, "{}", buckets.len());
}

#[test]
fn a_full_bucket_makes_room_and_one_in_use_does_not() {
    let (limits, limit) = limits(2, quota(1, 1_000, 2));
    let take = |key: &[u8], now| limits.take_at(limit, key, 1, now).unwrap().admitted;
    assert!(take(b"a", SECOND) && take(b"b", SECOND));
    // No room: `c` and `d` share one bucket of two tokens.
    assert!(take(b"c", SECOND) && take(b"d", SECOND) && !take(b"c", SECOND) && !take(b"d", SECOND));
    assert_eq!(limits.limiter.held(), [(Held::RateLimitKeys, 2), (Held::RateLimitShared, 4)]);
    // Those that have a bucket keep it.
    assert!(take(b"a", SECOND) && !take(b"a", SECOND));
    // Two seconds later all are full, and forgotten for whoever comes.
    assert!(take(b"c", 3 * SECOND) && take(b"d", 3 * SECOND) && take(b"d", 3 * SECOND) && !take(b"d", 3 * SECOND));
    assert_eq!(limits.limiter.held(), [(Held::RateLimitKeys, 2), (Held::RateLimitShared, 4)]);
}

#[test]
fn the_same_limit_has_the_same_buckets_and_another_quota_others() {
    let limiter = Arc::new(Limiter::new(100));
    let [mut one, mut two] = [0, 1].map(|_| RateLimits::new(Arc::clone(&limiter)));
    let limit = one.declare("limit", quota(1, 1_000, 1)).unwrap();
    assert_eq!(one.declare("limit", quota(1, 1_000, 1)), Ok(limit));
    assert_eq!(one.declare("limit", quota(2, 2_000, 1)), Ok(limit), "the same rate");
    let other = two.declare("limit", quota(2, 1_000, 1)).unwrap();
    let same = two.declare("limit", quota(1, 1_000, 1)).unwrap();
    assert!(one.take_at(limit, b"k", 1, SECOND).unwrap().admitted);
    assert!(!two.take_at(same, b"k", 1, SECOND).unwrap().admitted);
    assert!(two.take_at(other, b"k", 1, SECOND).unwrap().admitted);
    // A limit that no instance has any more is one less of the 256.
    drop(two);
    for number in 0..255 {
        one.declare(&number.to_string(), quota(1, 1_000, 1)).unwrap();
    }
    assert_eq!(one.declare("one more", quota(1, 1_000, 1)), Err(RateLimitError::TooMany));
}

#[test]
fn a_limit_outlives_the_instances_that_declared_it() {
    let limiter = Arc::new(Limiter::new(100));
    let admitted = || {
        let mut instance = RateLimits::new(Arc::clone(&limiter));
        let limit = instance.declare("limit", quota(1, 1_000, 2)).unwrap();
        instance.take_at(limit, b"k", 1, SECOND).unwrap().admitted
    };
    // As where each request has an instance of its own.
    assert_eq!([admitted(), admitted(), admitted(), admitted()], [true, true, false, false]);
}

#[test]
fn long_keys_are_told_apart_and_too_long_ones_refused() {
    let (limits, limit) = limits(100, quota(1, 1_000, 1));
    let keys = ["k".repeat(64), "k".repeat(65), "k".repeat(66), "k".repeat(MAX_KEY)];
    for key in &keys {
        assert!(limits.take_at(limit, key.as_bytes(), 1, SECOND).unwrap().admitted);
        assert!(!limits.take_at(limit, key.as_bytes(), 1, SECOND).unwrap().admitted);
        limits.give_back(limit, key.as_bytes(), 1).unwrap();
        assert!(limits.take_at(limit, key.as_bytes(), 1, SECOND).unwrap().admitted);
    }
    assert_eq!(limits.take(limit, &[0; MAX_KEY + 1], 1), Err(RateLimitError::TooLarge));
    assert_eq!(limits.take(limit, b"k", 2), Err(RateLimitError::TooLarge));
    assert_eq!(limits.take(limit + 1, b"k", 1), Err(RateLimitError::UnknownLimit));
    assert_eq!(limits.give_back(limit + 1, b"k", 1), Err(RateLimitError::UnknownLimit));
}

#[test]
fn a_million_keys_take_no_more_room_and_nothing_from_those_that_are_known() {
    const ROOM: usize = 1_024;
    let (limits, limit) = limits(ROOM, quota(1, 60_000, 3));
    let take = |key: &[u8], now| limits.take_at(limit, key, 1, now).unwrap().admitted;
    // A client in good standing has spent one of three.
    assert!(take(b"known", SECOND));
    // Somebody invents keys. As many as there is room for have a bucket; of all others as many requests pass as of one.
    let admitted = (0..1_000_000_u32).filter(|number| take(&number.to_be_bytes(), SECOND)).count();
    let kept = limits.limiter.buckets.len();
    assert!(kept <= ROOM + 1, "{kept} buckets");
    // Parts fill unevenly, and one that is full sends its keys to the shared bucket.
    assert!(admitted <= ROOM + 3, "{admitted} of a million were admitted");
    // Who was known is counted as exactly as before.
    assert!(take(b"known", SECOND) && take(b"known", SECOND) && !take(b"known", SECOND));
    // Who comes now is refused with the crowd rather than let pass, and is let in when there is room again.
    assert!(!take(b"late", SECOND));
    assert!(take(b"late", SECOND + 181 * SECOND));
}

#[test]
fn a_name_that_is_kept_has_an_end() {
    let (mut limits, _) = limits(1, quota(1, 1_000, 1));
    assert!(limits.declare(&"l".repeat(MAX_NAME), quota(1, 1_000, 1)).is_ok());
    assert_eq!(limits.declare(&"l".repeat(MAX_NAME + 1), quota(1, 1_000, 1)), Err(RateLimitError::TooLarge));
}
