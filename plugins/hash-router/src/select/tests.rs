//! Choosing, with members whose state a test sets and whose questions it counts.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default)]
struct Fake {
    away: Vec<usize>,
    tried: Vec<usize>,
    in_flight: Vec<u32>,
    asked: RefCell<Vec<usize>>,
}

impl Candidates for Fake {
    fn available(&self, member: usize) -> bool {
        self.asked.borrow_mut().push(member);
        !self.away.contains(&member)
    }

    fn tried(&self, member: usize) -> bool {
        self.tried.contains(&member)
    }

    fn in_flight(&self, member: usize) -> u32 {
        self.in_flight[member]
    }

    fn all_in_flight(&self) -> u32 {
        self.in_flight.iter().sum()
    }
}

fn order() -> impl Iterator<Item = usize> {
    [2, 0, 1, 3].into_iter()
}

#[test]
fn only_the_first_member_is_asked_for() {
    let candidates = Fake::default();
    assert_eq!(first(order(), &candidates), Some(2));
    assert_eq!(*candidates.asked.borrow(), [2]);
}

#[test]
fn members_that_are_away_or_tried_are_passed_over() {
    assert_eq!(first(order(), &Fake { away: vec![2], ..Fake::default() }), Some(0));
    assert_eq!(first(order(), &Fake { away: vec![2], tried: vec![0], ..Fake::default() }), Some(1));
}

#[test]
fn when_nobody_is_available_it_is_as_if_all_were() {
    let all_away = |tried: Vec<usize>| Fake { away: vec![0, 1, 2, 3], tried, in_flight: vec![0; 4], ..Fake::default() };
    for (tried, chosen) in [(vec![], 2), (vec![2], 0), (vec![0], 2), (vec![2, 0, 1], 3), (vec![0, 1, 2, 3], 2)] {
        assert_eq!(first(order(), &all_away(tried.clone())), Some(chosen), "{tried:?}");
        assert_eq!(bounded(order, &all_away(tried.clone()), 1.25, &[1; 4]), Some(chosen), "{tried:?}, bounded");
    }
    // 8 + 1 requests: no more than 3 for each, available or not.
    let full = Fake { in_flight: vec![2, 2, 3, 1], ..all_away(vec![]) };
    assert_eq!(bounded(order, &full, 1.25, &[1; 4]), Some(0));
    // One that is available again has them all, tried or not.
    let back = |tried: Vec<usize>| Fake { away: vec![0, 1, 2], ..all_away(tried) };
    for tried in [vec![], vec![3]] {
        assert_eq!((first(order(), &back(tried.clone())), bounded(order, &back(tried), 1.25, &[1; 4])), (Some(3), Some(3)));
    }
    assert_eq!(first(std::iter::empty(), &Fake::default()), None);
}

#[test]
fn when_all_that_are_there_were_tried_the_first_is_tried_again() {
    assert_eq!(first(order(), &Fake { away: vec![2, 3], tried: vec![0, 1], ..Fake::default() }), Some(0));
}

#[test]
fn nobody_is_asked_for_twice() {
    for (tried, chosen, asked) in [(vec![2, 0], Some(3), vec![2, 1, 3]), (vec![2, 0, 3], Some(2), vec![2, 1]), (vec![], Some(2), vec![2])] {
        let candidates = Fake { away: vec![1], tried, ..Fake::default() };
        assert_eq!(first(order(), &candidates), chosen);
        assert_eq!(*candidates.asked.borrow(), asked);
    }
    let nobody = Fake { away: vec![0, 1, 2, 3], ..Fake::default() };
    assert_eq!((first(order(), &nobody), nobody.asked.into_inner()), (Some(2), vec![2, 0, 1, 3]));
}

#[test]
fn a_member_at_its_bound_is_passed_over() {
    // 8 + 1 requests over 4 members: a quarter more than 2.25 is 2.8, so 3 are allowed.
    let candidates = |in_flight: [u32; 4]| Fake { in_flight: in_flight.to_vec(), ..Fake::default() };
    assert_eq!(bounded(order, &candidates([2, 2, 2, 2]), 1.25, &[1; 4]), Some(2));
    assert_eq!(bounded(order, &candidates([2, 2, 3, 1]), 1.25, &[1; 4]), Some(0));
    assert_eq!(bounded(order, &candidates([3, 2, 3, 0]), 1.25, &[1; 4]), Some(1));
    assert_eq!(bounded(order, &candidates([0, 0, 0, 0]), 1.01, &[1; 4]), Some(2), "an idle upstream bounds nothing");
}

#[test]
fn the_bound_follows_the_weight() {
    // 9 + 1 requests, weights 1, 1, 5, 1: member 2 may have ceil(1.25 * 10 * 5 / 8) = 8, the others 2.
    let candidates = |in_flight: [u32; 4]| Fake { in_flight: in_flight.to_vec(), ..Fake::default() };
    assert_eq!(bounded(order, &candidates([1, 1, 7, 0]), 1.25, &[1, 1, 5, 1]), Some(2));
    assert_eq!(bounded(order, &candidates([1, 0, 8, 0]), 1.25, &[1, 1, 5, 1]), Some(0));
    assert_eq!(bounded(order, &candidates([2, 0, 7, 0]), 1.25, &[5, 1, 1, 1]), Some(0));
}

#[test]
fn with_members_away_the_bound_is_that_of_the_others() {
    // 20 + 1 requests; the bound of four would be ceil(1.25 * 21 / 4) = 7, that of two is 14.
    let candidates = |in_flight: [u32; 4]| Fake { in_flight: in_flight.to_vec(), away: vec![2, 3], ..Fake::default() };
    assert_eq!(bounded(order, &candidates([13, 7, 0, 0]), 1.25, &[1; 4]), Some(0));
    assert_eq!(bounded(order, &candidates([14, 6, 0, 0]), 1.25, &[1; 4]), Some(1), "below the bound of four");
    assert_eq!(bounded(order, &candidates([14, 7, 0, 0]), 1.25, &[1; 4]), Some(1));
}

#[test]
fn bounded_passes_over_the_tried_and_ends_as_unbounded_does() {
    let fake = |away: Vec<usize>, tried: Vec<usize>| Fake { away, tried, in_flight: vec![0; 4], ..Fake::default() };
    assert_eq!(bounded(order, &fake(vec![], vec![2]), 1.25, &[1; 4]), Some(0));
    assert_eq!(bounded(order, &fake(vec![1, 3], vec![0, 2]), 1.25, &[1; 4]), Some(2));
}

proptest! {
    #[test]
    fn no_member_ever_goes_above_its_bound(
        members in 1_usize..20, factor in 1.01_f64..3.0, requests in prop::collection::vec(0_usize..4, 1..300),
    ) {
        // Few different keys, so that without a bound a few members would have everything.
        let weights = vec![1; members];
        let mut candidates = Fake { in_flight: vec![0; members], ..Fake::default() };
        for key in requests {
            let chosen = bounded(|| (0..members).map(|step| (key + step) % members), &candidates, factor, &weights).unwrap();
            candidates.in_flight[chosen] += 1;
            let all = f64::from(candidates.all_in_flight());
            let bound = (factor * all / members as f64).ceil();
            prop_assert!(f64::from(candidates.in_flight[chosen]) <= bound, "{:?}", candidates.in_flight);
        }
    }
}
