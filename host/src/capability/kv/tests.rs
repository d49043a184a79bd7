//! The store against a map that keeps everything, its bounds, and many hands at once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn store() -> Store {
    Store::new(1_000, 8 << 20)
}

fn text(store: &Store, key: &str) -> Option<String> {
    store.get(key).unwrap().map(|value| String::from_utf8(value).unwrap())
}

fn held(store: &Store) -> (u64, u64, u64) {
    match store.held()[..] {
        [(Held::KvEntries, entries), (Held::KvBytes, bytes), (Held::KvEvicted, evicted)] => (entries, bytes, evicted),
        ref other => panic!("{other:?}"),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, Option<u64>),
    Delete(u8),
    Add(u8, i64, Option<u64>),
    Swap(u8, Option<u8>, Option<u8>, Option<u64>),
    Pin(u8, u8, u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (key, ttl, value) = (0..6_u8, prop::option::of(1..50_u64), prop::option::of(b'0'..b'4'));
    prop_oneof![
        (key.clone(), b'0'..b'4', ttl.clone()).prop_map(|(key, value, ttl)| Step::Set(key, value, ttl)),
        key.clone().prop_map(Step::Delete),
        (key.clone(), -5..5_i64, ttl.clone()).prop_map(|(key, amount, ttl)| Step::Add(key, amount, ttl)),
        (key.clone(), value.clone(), value, ttl).prop_map(|(key, expected, value, ttl)| Step::Swap(key, expected, value, ttl)),
        (key, b'0'..b'4', 1..50_u64).prop_map(|(key, value, ttl)| Step::Pin(key, value, ttl)),
        (1..40_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn a_store_does_what_a_map_with_times_does(steps in prop::collection::vec(step(), 1..120)) {
        let store = store();
        let mut model: BTreeMap<String, (Vec<u8>, u64)> = BTreeMap::new();
        let mut now = 0;
        for step in steps {
            let ends = |ttl: Option<u64>| ttl.map_or(u64::MAX, |ttl| now + ttl * MS);
            match step {
                Step::Set(key, value, ttl) => {
                    let key = key.to_string();
                    store.set_at(&key, &[value], ttl, now).unwrap();
                    model.insert(key, (vec![value], ends(ttl)));
                }
                Step::Delete(key) => {
                    let key = key.to_string();
                    prop_assert_eq!(store.delete_at(&key, now), Ok(model.remove(&key).is_some()));
                }
                Step::Add(key, amount, ttl) => {
                    let key = key.to_string();
                    let known = model.entry(key.clone()).or_insert((b"0".to_vec(), ends(ttl)));
                    let sum = number(&known.0).unwrap() + amount;
                    known.0 = sum.to_string().into_bytes();
                    prop_assert_eq!(store.increment_at(&key, amount, ttl, now), Ok(sum));
                }
                Step::Swap(key, expected, value, ttl) => {
                    let key = key.to_string();
                    let (expected, value) = (expected.map(|byte| [byte]), value.map(|byte| [byte]));
                    let (expected, value) = (expected.as_ref().map(<[u8; 1]>::as_slice), value.as_ref().map(<[u8; 1]>::as_slice));
                    let fits = model.get(&key).map(|(value, _)| value.as_slice()) == expected;
                    let right = if fits { Ok(()) } else { Err(KvError::Mismatch) };
                    prop_assert_eq!(store.compare_and_swap_at(&key, expected, value, ttl, now), right);
                    match value {
                        Some(value) if fits => drop(model.insert(key, (value.to_vec(), ends(ttl)))),
                        None if fits => drop(model.remove(&key)),
                        _ => {}
                    }
                }
                Step::Pin(key, value, ttl) => {
                    let key = key.to_string();
                    let right = if model.contains_key(&key) { Err(KvError::Mismatch) } else { Ok(()) };
                    prop_assert_eq!(store.pin_at(&key, &[value], ttl, now), right);
                    if right.is_ok() {
                        model.insert(key, (vec![value], ends(Some(ttl))));
                    }
                }
                Step::Pass(time) => now += time * MS,
            }
            model.retain(|_, (_, ends)| *ends > now);
            for key in (0..6).map(|key| key.to_string()) {
                prop_assert_eq!(store.get_at(&key, now).unwrap(), model.get(&key).map(|(value, _)| value.clone()));
            }
        }
        // Every entry is accounted for, to the byte.
        (0..6).for_each(|key| assert!(store.delete_at(&key.to_string(), now).is_ok()));
        prop_assert_eq!(held(&store), (0, 0, 0));
        // And so is what was pinned: all of the room for it is there.
        let room = 1_000 - 250;
        (0..room).for_each(|key| assert_eq!(store.pin_at(&key.to_string(), b"", 1, now), Ok(())));
        prop_assert_eq!(store.pin_at("one more", b"", 1, now), Err(KvError::Full));
    }

    #[test]
    fn a_store_stays_within_its_bounds(sizes in prop::collection::vec((0..40_u8, 0..60_000_usize), 1..100)) {
        let store = Store::new(10, 1 << 20);
        for (now, (key, size)) in (0..).zip(sizes) {
            store.set_at(&key.to_string(), &vec![0; size], None, now).unwrap();
            let (entries, bytes, _) = held(&store);
            prop_assert!(entries <= 10 && bytes <= 1 << 20, "{entries} entries, {bytes} bytes");
            prop_assert!(store.get_at(&key.to_string(), now).unwrap().is_some(), "what was set last is there");
        }
    }
}

#[test]
fn what_ended_goes_first_and_then_what_was_not_used_for_longest() {
    let store = Store::new(3, 1 << 20);
    let there = |now| ["asked", "idle", "ended", "new", "newer"].map(|key| store.get_at(key, now).unwrap().is_some());
    store.set_at("asked", b"v", None, 0).unwrap();
    store.set_at("idle", b"v", None, MS).unwrap();
    store.set_at("ended", b"v", Some(5), 2 * MS).unwrap();
    assert!(store.get_at("asked", 3 * MS).unwrap().is_some());
    // The ended one makes room by itself, and nobody is evicted.
    store.set_at("new", b"v", None, 10 * MS).unwrap();
    assert_eq!(held(&store).2, 0);
    store.set_at("newer", b"v", None, 11 * MS).unwrap();
    assert_eq!(there(12 * MS), [true, false, false, true, true]);
    assert_eq!((held(&store).0, held(&store).2), (3, 1));
}

#[test]
fn a_counter_in_a_full_store_is_not_what_goes_for_itself() {
    for max_entries in 1..4 {
        let store = Store::new(max_entries, 1 << 20);
        (1..max_entries).for_each(|key| store.set_at(&key.to_string(), b"", None, 0).unwrap());
        (0..5).for_each(|time| assert_eq!(store.increment_at("n", 1, None, time), Ok(time as i64 + 1)));
        assert_eq!(held(&store), (max_entries as u64, held(&store).1, 0), "nothing had to go");
    }
}

#[test]
fn a_value_that_grows_makes_room_for_itself() {
    let store = Store::new(100, 1 << 20);
    let keys = || (0..20).map(|key| key.to_string());
    for (now, key) in (0..).zip(keys()) {
        store.set_at(&key, &vec![0; 40_000], None, now).unwrap();
    }
    assert_eq!(held(&store).2, 0);
    for (now, key) in (100..).zip(keys()) {
        store.set_at(&key, &vec![0; 60_000], None, now).unwrap();
        assert!(held(&store).1 <= 1 << 20);
        assert_eq!(store.get_at(&key, now).unwrap().map(|value| value.len()), Some(60_000));
    }
    assert!(held(&store).2 > 0);
}

#[test]
fn numbers_are_text() {
    let store = store();
    assert_eq!(store.increment("n", 5, None), Ok(5));
    assert_eq!(store.increment("n", -7, None), Ok(-2));
    assert_eq!(text(&store, "n").as_deref(), Some("-2"));
    store.set("n", b"41", None).unwrap();
    assert_eq!(store.increment("n", 1, None), Ok(42));
    store.set("n", b"many", None).unwrap();
    assert_eq!(store.increment("n", 1, None), Err(KvError::NotANumber));
    assert_eq!(text(&store, "n").as_deref(), Some("many"));
    for (there, amount) in [(i64::MAX, 1), (i64::MIN, -1)] {
        store.set("n", there.to_string().as_bytes(), None).unwrap();
        assert_eq!(store.increment("n", amount, None), Err(KvError::Overflow));
    }
    assert_eq!(store.increment("longest", i64::MIN, None), Ok(i64::MIN));
}

#[test]
fn sizes_and_times_are_bounded() {
    let store = store();
    let (key, value) = ("k".repeat(MAX_KEY), vec![0; MAX_VALUE]);
    assert_eq!(store.set(&key, &value, Some(LONGEST_TTL_MS)), Ok(()));
    assert_eq!(store.get(&key).unwrap().map(|value| value.len()), Some(MAX_VALUE));
    let too_long = format!("{key}k");
    assert_eq!(store.set(&too_long, b"", None), Err(KvError::TooLarge));
    assert_eq!(store.get(&too_long), Err(KvError::TooLarge));
    assert_eq!(store.delete(&too_long), Err(KvError::TooLarge));
    let too_large = vec![0; MAX_VALUE + 1];
    assert_eq!(store.set("k", &too_large, None), Err(KvError::TooLarge));
    assert_eq!(store.compare_and_swap("k", None, Some(&too_large), None), Err(KvError::TooLarge));
    for ttl in [0, LONGEST_TTL_MS + 1] {
        assert_eq!(store.set("k", b"", Some(ttl)), Err(KvError::InvalidTtl));
        assert_eq!(store.increment("k", 1, Some(ttl)), Err(KvError::InvalidTtl));
        assert_eq!(store.compare_and_swap("k", None, None, Some(ttl)), Err(KvError::InvalidTtl));
    }
    assert_eq!(store.get("k"), Ok(None));
}

#[test]
fn a_store_of_any_size_has_room_for_the_largest_entry_and_stays_small() {
    for (max_entries, max_bytes) in [(1, 1 << 20), (7, 1 << 20), (10_000, 1 << 20), (1_000_000, 16 << 20)] {
        let store = Store::new(max_entries, max_bytes);
        for number in 0..2 * (max_bytes / MAX_VALUE).max(max_entries.min(200)) {
            let key = format!("{number:0MAX_KEY$}");
            store.set(&key, &vec![0; MAX_VALUE], None).unwrap();
            assert!(store.get(&key).unwrap().is_some());
        }
        let (entries, bytes, evicted) = held(&store);
        assert!(entries <= max_entries as u64 && bytes <= max_bytes as u64 && evicted > 0, "{max_entries} {max_bytes}: {entries} {bytes}");
    }
}

#[test]
fn many_hands_count_right() {
    let store = store();
    let swaps: u64 = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut swapped = 0;
                    for number in 0..1_000 {
                        store.increment(if number % 2 == 0 { "a" } else { "b" }, 1, None).unwrap();
                        let there = store.get("swapped").unwrap();
                        let next = there.as_deref().map_or(1, |there| super::number(there).unwrap() + 1).to_string();
                        swapped += u64::from(store.compare_and_swap("swapped", there.as_deref(), Some(next.as_bytes()), None).is_ok());
                    }
                    swapped
                })
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).sum()
    });
    assert_eq!((text(&store, "a").as_deref(), text(&store, "b").as_deref()), (Some("4000"), Some("4000")));
    assert_eq!(text(&store, "swapped"), Some(swaps.to_string()));
    assert_eq!(held(&store).0, 3);
}

#[test]
fn many_hands_in_a_full_store_keep_its_bounds() {
    let store = Store::new(64, 1 << 20);
    std::thread::scope(|scope| {
        for hand in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..2_000 {
                    let key = format!("{}", (number * 7 + hand * 13) % 200);
                    match number % 3 {
                        0 => store.set(&key, &vec![0; number % 500], None).unwrap(),
                        1 => drop(store.get(&key).unwrap()),
                        _ => drop(store.delete(&key).unwrap()),
                    }
                    let (entries, ..) = held(store);
                    // One more for each hand that is about to put one in.
                    assert!(entries <= 64 + 4, "{entries}");
                }
            });
        }
    });
    let (entries, bytes, _) = held(&store);
    assert!(entries <= 64, "{entries}");
    let there = (0..200)
        .filter_map(|key| store.get(&key.to_string()).unwrap().map(|value| (key.to_string().len() + value.len() + OVERHEAD) as u64));
    assert_eq!(there.clone().count() as u64, entries);
    assert_eq!(there.sum::<u64>(), bytes);
}

#[test]
fn what_is_pinned_stays_for_its_time_whatever_else_needs_room() {
    let store = Store::new(8, 1 << 20);
    let key = |number: u64| format!("used-{number}");
    (0..6).for_each(|number| assert_eq!(store.pin_at(&key(number), b"1", 100, number * MS), Ok(())));
    // Three quarters are what it may have, and nobody is forgotten for one more.
    assert_eq!(store.pin_at("one more", b"1", 100, 7 * MS), Err(KvError::Full));
    assert_eq!(store.pin_at(&key(0), b"1", 100, 7 * MS), Err(KvError::Mismatch));
    for number in 0..1_000_u64 {
        store.set_at(&number.to_string(), &vec![0; MAX_VALUE], None, 8 * MS + number).unwrap();
        assert_eq!(store.increment_at("n", 1, None, 8 * MS + number).map(|_| ()), Ok(()));
        let (entries, bytes, _) = held(&store);
        assert!(entries <= 8 && bytes <= 1 << 20, "{entries} entries, {bytes} bytes");
    }
    (0..6).for_each(|number| assert_eq!(store.pin_at(&key(number), b"1", 100, 99 * MS), Err(KvError::Mismatch), "{number}"));
    // The first of them has ended, and the second not yet.
    assert_eq!(store.pin_at("one more", b"1", 100, 100 * MS), Ok(()));
    assert_eq!(store.pin_at("another", b"1", 100, 100 * MS), Err(KvError::Full));
    assert_eq!(store.pin_at(&key(1), b"1", 100, 100 * MS), Err(KvError::Mismatch));
    // The plugin itself may take one away, or make of it what others are.
    assert_eq!(store.delete_at(&key(1), 100 * MS), Ok(true));
    assert_eq!(store.pin_at("another", b"1", 1, 100 * MS), Ok(()));
    store.set_at(&key(2), b"2", None, 100 * MS).unwrap();
    assert_eq!(store.pin_at("a third", b"1", 1, 100 * MS), Ok(()));
    assert_eq!(store.pin_at("a fourth", b"1", 1, 100 * MS), Err(KvError::Full));
    // What was pinned last may end first.
    assert_eq!(store.pin_at("a fourth", b"1", 1, 101 * MS), Ok(()));
}

#[test]
fn pinned_bytes_are_bounded_too_and_so_is_what_is_pinned() {
    let store = Store::new(1_000, 1 << 20);
    let pinned = (0..32).take_while(|number| store.pin_at(&number.to_string(), &vec![0; MAX_VALUE], 1, 0).is_ok()).count();
    assert_eq!(pinned, 11, "three quarters of a mebibyte");
    assert_eq!(store.pin_at("small", b"", 1, 0), Ok(()));
    assert_eq!(store.pin_at("k", &vec![0; MAX_VALUE + 1], 1, 0), Err(KvError::TooLarge));
    assert_eq!(store.pin_at(&"k".repeat(MAX_KEY + 1), b"", 1, 0), Err(KvError::TooLarge));
    [0, LONGEST_TTL_MS + 1].iter().for_each(|ttl| assert_eq!(store.pin_at("k", b"", *ttl, 0), Err(KvError::InvalidTtl)));
}

#[test]
fn of_many_hands_that_pin_one_key_one_is_the_first() {
    let store = Store::new(400, 1 << 20);
    let pinned: usize = std::thread::scope(|scope| {
        let hand = |hand: usize| {
            let store = &store;
            move || {
                let of = |number: usize| {
                    store.set(&format!("{hand} {number}"), b"", None).unwrap();
                    usize::from(store.pin(&number.to_string(), b"", 1_000_000) == Ok(()))
                };
                (0..300).map(of).sum::<usize>()
            }
        };
        let hands: Vec<_> = (0..4).map(|number| scope.spawn(hand(number))).collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).sum()
    });
    assert_eq!(pinned, 300, "three quarters of 400");
    assert_eq!(store.pin("one more", b"", 1_000), Err(KvError::Full));
}
