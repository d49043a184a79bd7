use plugway_sdk::Identity;

use super::*;
use crate::claims::Lifetime;
use crate::pass::Given;

fn pass(subject: &str) -> Pass {
    Pass {
        counts_until: None,
        checked_with: None,
        binding: Default::default(),
        lifetime: Lifetime { begins: None, expires: 0.0 },
        given: Given::AtOnce(Identity::new(subject), Vec::new()),
    }
}

fn subject(pass: &Pass) -> String {
    match &pass.given {
        Given::AtOnce(identity, _) => identity.subject(),
        Given::AtEnd(..) => String::new(),
    }
}

/// As long as real ones, the same but for the number at the end.
fn token(number: usize) -> Vec<u8> {
    format!("{}.{number:032}", "h".repeat(500)).into_bytes()
}

fn knows(place: &Remembered, number: usize) -> bool {
    place.look_up(&token(number), |_| ()).is_some()
}

#[test]
fn a_token_is_known_by_every_byte_and_to_its_place_only() {
    let (place, other) = (Remembered::new(), Remembered::new());
    place.keep(&token(1), pass("ann"));
    assert_eq!(place.look_up(&token(1), subject), Some("ann".to_owned()));
    assert!(!knows(&other, 1));
    for at in 0..token(1).len() {
        let mut forged = token(1);
        forged[at] ^= 1;
        assert!(place.look_up(&forged, |_| ()).is_none(), "byte {at}");
    }
    // The same end, which is all a fingerprint sees, behind something shorter or longer.
    let (whole, end) = (token(1), &token(1)[100..]);
    for forged in [end.to_vec(), [&whole[..], end].concat(), whole[whole.len() - 16..].to_vec(), Vec::new(), b"short".to_vec()] {
        assert!(place.look_up(&forged, |_| ()).is_none(), "{} bytes", forged.len());
    }
    assert!(knows(&place, 1));
}

#[test]
fn what_the_fingerprint_takes_for_the_same_is_kept_once() {
    let place = Remembered::new();
    let (one, two) = (b"one.0123456789abcdef".to_vec(), b"two.0123456789abcdef".to_vec());
    place.keep(&one, pass("ann"));
    place.keep(&two, pass("bob"));
    assert_eq!(kept().0, 1);
    assert!(place.look_up(&one, |_| ()).is_none());
    assert_eq!(place.look_up(&two, subject), Some("bob".to_owned()));
}

#[test]
fn keeps_no_more_tokens_than_it_may_and_spares_those_in_use() {
    let (place, other) = (Remembered::new(), Remembered::new());
    (0..MOST_TOKENS).for_each(|number| place.keep(&token(number), pass("ann")));
    assert_eq!(kept().0, MOST_TOKENS);
    assert!(knows(&place, 0) && knows(&place, 7));
    (0..10).for_each(|number| other.keep(&token(MOST_TOKENS + number), pass("ann")));
    assert_eq!(kept().0, MOST_TOKENS);
    // Ten of the oldest had to go; two of them were in use.
    assert_eq!((0..20).filter(|number| !knows(&place, *number)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]);
    // All in use: one goes nevertheless.
    assert_eq!((0..MOST_TOKENS).filter(|number| knows(&place, *number)).count(), MOST_TOKENS - 10);
    other.keep(&token(MOST_TOKENS + 10), pass("ann"));
    assert_eq!(kept().0, MOST_TOKENS);
    assert!(knows(&other, MOST_TOKENS + 10));
}

#[test]
fn keeps_no_more_bytes_than_it_may() {
    let place = Remembered::new();
    let large = |number: usize| [vec![b'h'; MOST_BYTES_OF_ONE - 1000], token(number)].concat();
    for number in 0..100 {
        place.keep(&large(number), pass("ann"));
        assert!(kept().1 <= MOST_BYTES);
    }
    assert!((30..=33).contains(&kept().0), "{:?}", kept());
    assert!(place.look_up(&large(99), |_| ()).is_some());

    let before = kept();
    place.keep(&[vec![b'h'; MOST_BYTES_OF_ONE], token(0)].concat(), pass("ann"));
    let wide = Pass { given: Given::AtOnce(Identity::new("ann"), vec![Some("v".repeat(MOST_BYTES_OF_ONE))]), ..pass("ann") };
    place.keep(&token(0), wide);
    assert_eq!(kept(), before, "too large to keep");
}

#[test]
fn forgets_one_token_or_a_place() {
    let (place, other) = (Remembered::new(), Remembered::new());
    (0..5).for_each(|number| place.keep(&token(number), pass("ann")));
    (0..5).for_each(|number| other.keep(&token(number), pass("ann")));
    place.forget(&token(3));
    place.forget(&token(3));
    assert!(!knows(&place, 3) && knows(&other, 3));
    assert_eq!(kept().0, 9);
    drop(place);
    assert_eq!(kept().0, 5);
    drop(other);
    assert_eq!(kept(), (0, 0));
}
