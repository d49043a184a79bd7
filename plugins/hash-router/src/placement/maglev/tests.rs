//! Filling the table, against the paper's own example.

use super::*;

/// Table 1 of the paper: three backends and a table of 7 entries, with the permutations
/// B0 = 3 0 4 1 5 2 6, B1 = 0 2 4 6 1 3 5 and B2 = 3 4 5 6 0 1 2.
const B0: (u16, u16, Permutation) = (0, 1, Permutation { offset: 3, skip: 4 });
const B1: (u16, u16, Permutation) = (1, 1, Permutation { offset: 0, skip: 2 });
const B2: (u16, u16, Permutation) = (2, 1, Permutation { offset: 3, skip: 1 });

#[test]
fn the_paper_s_example_fills_as_published() {
    assert_eq!(populate(&[B0, B1, B2], 7), [1, 0, 1, 0, 2, 2, 0], "before");
    assert_eq!(populate(&[B0, B2], 7), [0, 0, 0, 0, 2, 2, 2], "after B1 is gone");
}

#[test]
fn a_weight_is_a_number_of_turns() {
    let weighted = |(owner, _, permutation): (u16, u16, Permutation), weight| (owner, weight, permutation);
    let cells = populate(&[weighted(B0, 1), weighted(B1, 4), weighted(B2, 2)], 7);
    let count = |owner: u16| cells.iter().filter(|cell| **cell == owner).count();
    assert_eq!([count(0), count(1), count(2)], [1, 4, 2]);
}

#[test]
fn every_entry_has_a_member_and_members_differ_by_little() {
    let member = |number: u32| Member { name: format!("10.0.0.{number}:80"), weight: 1 };
    let members: Vec<_> = (0..100).map(member).collect();
    let maglev = Maglev::build(&members, TableSize::new(DEFAULT_TABLE_SIZE).unwrap()).unwrap();
    let mut counts = [0_u32; 100];
    maglev.cells().iter().for_each(|cell| counts[usize::from(*cell)] += 1);
    // Turns are equal, so the numbers of entries differ by one at most.
    assert!(counts.iter().all(|count| (655..=656).contains(count)), "{counts:?}");
}

#[test]
fn a_hash_falls_on_its_remainder() {
    let maglev = Maglev { cells: vec![0; 7] };
    assert_eq!([0, 6, 7, 20].map(|hash| maglev.start(hash)), [0, 6, 0, 6]);
}

#[test]
fn sizes_are_primes_within_bounds() {
    for size in [251, 65_537, 655_373, 1_000_003] {
        assert!(TableSize::new(size).is_ok(), "{size}");
    }
    for size in [0, 1, 2, 241, 253, 65_535, 1_000_001, 1_000_033, u32::MAX] {
        assert!(TableSize::new(size).is_err(), "{size}");
    }
}
