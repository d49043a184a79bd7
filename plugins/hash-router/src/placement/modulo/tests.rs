//! Slots, computed by hand.

use super::*;

fn member(name: &str, weight: u16) -> Member {
    Member { name: name.to_owned(), weight }
}

fn first(modulo: &Modulo, hash: u64) -> usize {
    modulo.draws(hash).next(&Seen::default()).unwrap()
}

#[test]
fn slots_are_weights_in_the_order_of_names() {
    // By name: a (2 slots), b (1 slot), c (3 slots); by position c is 0.
    let modulo = Modulo::build(&[member("c:80", 3), member("a:80", 2), member("b:80", 1)]);
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|hash| first(&modulo, hash)), [1, 1, 2, 0, 0, 0, 1, 1]);
}

#[test]
fn the_second_choice_is_among_the_others_by_weight() {
    let modulo = Modulo::build(&[member("a:80", 1), member("b:80", 1), member("c:80", 3)]);
    let mut counts = [0_u32; 3];
    for key in 0..4000 {
        // Every hash is a multiple of 5, so the first choice is `a`.
        let mut draws = modulo.draws(key * 5);
        let mut seen = Seen::default();
        assert_eq!(draws.next(&seen), Some(0));
        seen.insert(0, 3);
        counts[draws.next(&seen).unwrap()] += 1;
    }
    assert_eq!(counts[0], 0);
    assert!((850..1150).contains(&counts[1]), "{counts:?}");
}
