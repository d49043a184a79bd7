//! Scores, and what a change of weight moves.

use super::*;

fn members(weights: &[u16]) -> Vec<Member> {
    let name = |number: usize| format!("10.0.0.{number}:80");
    let member = |(number, weight): (usize, &u16)| Member { name: name(number), weight: *weight };
    weights.iter().enumerate().map(member).collect()
}

fn firsts(weights: &[u16]) -> Vec<usize> {
    let rendezvous = Rendezvous::build(&members(weights));
    (0..5000).map(|key| rendezvous.scores(mix(key)).next().unwrap()).collect()
}

#[test]
fn equal_weights_choose_as_no_weights_do() {
    let plain = Rendezvous::build(&members(&[1, 1, 1, 1]));
    assert!(plain.weights.is_empty());
    let scored = Rendezvous { weights: vec![3.0; 4], seeds: plain.seeds.clone() };
    for key in 0..1000 {
        let order = |rendezvous: &Rendezvous| {
            let mut scores = rendezvous.scores(mix(key));
            std::array::from_fn::<_, 5, _>(|_| scores.next())
        };
        assert_eq!(order(&plain), order(&scored));
    }
}

#[test]
fn an_order_that_is_read_to_its_end_is_that_of_the_scores() {
    let [even, uneven] = [vec![1; 40], (1..41).collect::<Vec<u16>>()];
    for weights in [even, uneven] {
        let rendezvous = Rendezvous::build(&members(&weights));
        for key in 0..200 {
            let score_of = |member: usize| {
                let draw = mix(mix(key) ^ rendezvous.seeds[member]);
                (rendezvous.weights.get(member).map_or(0.0, |weight| score(*weight, draw)), draw)
            };
            let mut expected: Vec<usize> = (0..weights.len()).collect();
            expected.sort_by(|one, other| score_of(*other).partial_cmp(&score_of(*one)).unwrap());
            let mut scores = rendezvous.scores(mix(key));
            assert_eq!((0..weights.len()).map(|_| scores.next().unwrap()).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn a_larger_weight_only_attracts_keys() {
    let (before, after) = (firsts(&[2, 2, 3, 2]), firsts(&[2, 2, 6, 2]));
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(!moved.is_empty());
    assert!(moved.iter().all(|(_, after)| **after == 2));
}

#[test]
fn the_same_proportion_is_the_same_placement() {
    assert_eq!(firsts(&[1, 2, 5]), firsts(&[100, 200, 500]));
}

#[test]
fn a_score_is_the_formula_s() {
    // -3 / ln(1/2) = 4.328..., computed by hand; the middle of the draws is u = 1/2.
    let score = score(3.0, 1 << 63);
    assert!((score - 4.328_085_122_666_89).abs() < 1e-9, "{score}");
    assert!(super::score(1.0, 0).is_finite() && super::score(1.0, 0) > 0.0);
    let best = super::score(1.0, u64::MAX);
    assert!(best.is_finite() && best > super::score(1.0, u64::MAX >> 1), "{best}");
}
