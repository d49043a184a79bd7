use std::time::Duration;

use super::super::availability::{FIRST_BACKOFF, THRESHOLD};
use super::super::registry::tests::{assembled, model};
use super::*;

/// Endpoints with these weights; they are called `a`, `b`, `c` and so on.
fn round_robin(weights: &[u16]) -> RoundRobin {
    RoundRobin::new(assembled(&model(weights)))
}

fn picked(round_robin: &RoundRobin, tried: &[EndpointId], now: Instant) -> usize {
    let picked = round_robin.pick(tried, now).unwrap().id;
    round_robin.upstream.endpoints.iter().position(|endpoint| endpoint.id == picked).unwrap()
}

/// So many picks, as letters.
fn sequence(round_robin: &RoundRobin, picks: usize, now: Instant) -> String {
    (0..picks).map(|_| char::from(b'a' + picked(round_robin, &[], now) as u8)).collect()
}

fn counts(round_robin: &RoundRobin, picks: usize, now: Instant) -> Vec<usize> {
    let mut counts = vec![0; round_robin.upstream.endpoints.len()];
    (0..picks).for_each(|_| counts[picked(round_robin, &[], now)] += 1);
    counts
}

/// No connection can be made to it.
fn fail(round_robin: &RoundRobin, index: usize, now: Instant) {
    (0..THRESHOLD).for_each(|_| round_robin.upstream.endpoints[index].state.availability.failed(now));
}

fn succeed(round_robin: &RoundRobin, index: usize) {
    round_robin.upstream.endpoints[index].state.availability.succeeded();
}

#[test]
fn equal_weights_take_turns() {
    let now = Instant::now();
    assert_eq!(sequence(&round_robin(&[1, 1, 1]), 7, now), "abcabca");
    assert_eq!(sequence(&round_robin(&[9, 9]), 5, now), "ababa");
    assert_eq!(sequence(&round_robin(&[3]), 3, now), "aaa");
}

#[test]
fn a_heavy_one_is_spread_over_all_of_it() {
    let now = Instant::now();
    assert_eq!(sequence(&round_robin(&[5, 1, 1]), 14, now), "aaabcaaaaabcaa");
    assert_eq!(sequence(&round_robin(&[1, 2]), 6, now), "babbab");
    assert_eq!(sequence(&round_robin(&[1, 3, 2]), 6, now), "bcabcb");
}

#[test]
fn shares_are_exact_whatever_the_weights() {
    let now = Instant::now();
    for weights in [&[7, 11, 13][..], &[65_535, 1], &[1, 2, 3, 4, 5, 6], &[100, 100, 1]] {
        let round_robin = round_robin(weights);
        let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        let wanted: Vec<usize> = weights.iter().map(|weight| usize::from(*weight)).collect();
        for _ in 0..3 {
            assert_eq!(counts(&round_robin, total, now), wanted);
        }
    }
}

#[test]
fn one_that_is_unavailable_has_no_turns_and_makes_none_up() {
    let start = Instant::now();
    for (weights, without, all) in [(&[1, 1, 1][..], [30, 0, 30], [20, 20, 20]), (&[1, 4, 1], [30, 0, 30], [10, 40, 10])] {
        let round_robin = round_robin(weights);
        counts(&round_robin, 12, start);
        fail(&round_robin, 1, start);
        assert_eq!(counts(&round_robin, 60, start), without, "{weights:?}");
        succeed(&round_robin, 1);
        let after = counts(&round_robin, 60, start);
        assert!(after.iter().zip(all).all(|(count, wanted)| count.abs_diff(wanted) <= 1), "{weights:?}: {after:?}");
    }
}

#[test]
fn one_whose_pause_is_over_is_tried_again() {
    let start = Instant::now();
    for weights in [&[1, 1][..], &[1, 2]] {
        let round_robin = round_robin(weights);
        fail(&round_robin, 0, start);
        assert_eq!(counts(&round_robin, 10, start + FIRST_BACKOFF - Duration::from_millis(2)), [0, 10]);
        assert!(counts(&round_robin, 10, start + FIRST_BACKOFF + Duration::from_millis(1))[0] > 0, "{weights:?}");
    }
}

#[test]
fn what_was_tried_comes_last_of_those_that_are_available() {
    let now = Instant::now();
    for weights in [&[1, 1, 1][..], &[9, 2, 1]] {
        let round_robin = round_robin(weights);
        let id = |index: usize| round_robin.upstream.endpoints[index].id;
        for _ in 0..20 {
            assert_ne!(picked(&round_robin, &[id(0)], now), 0, "{weights:?}");
        }
        assert_eq!(picked(&round_robin, &[id(0), id(1)], now), 2);
        fail(&round_robin, 2, now);
        assert_ne!(picked(&round_robin, &[id(0), id(1)], now), 2, "an available one, though it was tried");
        // That took nobody's turn.
        succeed(&round_robin, 2);
        let total = weights.iter().map(|weight| usize::from(*weight)).sum();
        assert!(counts(&round_robin, total, now).iter().zip(weights).all(|(count, weight)| count.abs_diff(usize::from(*weight)) <= 1));
    }
}

#[test]
fn where_none_is_available_all_count_as_such() {
    let now = Instant::now();
    for number in 3..30 {
        let weights: Vec<u16> = (1..=number).collect();
        let round_robin = round_robin(&weights);
        (0..weights.len()).for_each(|index| fail(&round_robin, index, now));
        counts(&round_robin, weights.len(), now);
        assert_eq!(counts(&round_robin, 5 * weights.len(), now), vec![5; weights.len()]);
    }
    for weights in [&[1, 1, 1][..], &[3, 2, 1]] {
        let round_robin = round_robin(weights);
        (0..3).for_each(|index| fail(&round_robin, index, now));
        assert_eq!(counts(&round_robin, 30, now), [10, 10, 10]);
        let id = |index: usize| round_robin.upstream.endpoints[index].id;
        assert_eq!(picked(&round_robin, &[id(0), id(2)], now), 1);
        assert!(round_robin.pick(&[id(0), id(1), id(2)], now).is_some());
        (0..3).for_each(|index| succeed(&round_robin, index));
        assert!(counts(&round_robin, 12, now).iter().all(|count| *count > 0));
    }
}

#[test]
fn thousands_of_endpoints_each_have_their_turns() {
    let now = Instant::now();
    let equal = round_robin(&[1; 10_000]);
    assert!(counts(&equal, 20_000, now).iter().all(|count| *count == 2));
    let weights: Vec<u16> = (0..10_000).map(|index| 1 + index % 3).collect();
    let weighted = round_robin(&weights);
    assert!(counts(&weighted, 19_999, now).iter().zip(&weights).all(|(count, weight)| *count == usize::from(*weight)));
    // Half of them fail at once, and come back.
    (0..10_000).step_by(2).for_each(|index| fail(&weighted, index, now));
    assert!(counts(&weighted, 30_000, now).iter().step_by(2).all(|count| *count == 0));
    (0..10_000).step_by(2).for_each(|index| succeed(&weighted, index));
    counts(&weighted, 10_000, now);
    assert!(counts(&weighted, 20_000, now).iter().all(|count| *count > 0));
}

#[test]
fn routes_to_one_upstream_share_its_turns() {
    let (one, other) = (assembled(&model(&[1, 1])), assembled(&model(&[1, 1])));
    let all = RoundRobins::new([&one, &other, &one]);
    let now = Instant::now();
    let picks = [0, 2, 0, 1].map(|route| {
        let round_robin = all.of(route).unwrap();
        picked(round_robin, &[], now)
    });
    assert_eq!(picks, [0, 1, 0, 0]);
    assert!(all.of(3).is_none());
}
