//! Maglev hashing (Eisenbud et al.: Maglev: A Fast and Reliable Software Network Load Balancer, NSDI 2016, section 3.4).

use super::member::Member;
use crate::hash::of_name;

/// The paper's smaller table; with up to 655 members it keeps their shares within about a percent of each other.
pub const DEFAULT_TABLE_SIZE: u32 = 65_537;

/// Bounds of `table_size`. The largest takes 2 MB per instance.
const TABLE_SIZES: std::ops::RangeInclusive<u32> = 251..=1_000_003;

/// Which hash of a name gives its offset, and which its skip.
const OFFSET_SEED: u64 = 0;
const SKIP_SEED: u64 = 1;

/// A number of entries that is prime, so that every skip visits every entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize(u32);

impl TableSize {
    /// Checks a size: a prime from 251 to 1 000 003.
    pub fn new(size: u32) -> Result<Self, String> {
        if !TABLE_SIZES.contains(&size) {
            return Err(format!("`table_size`: {size} is outside {} to {}", TABLE_SIZES.start(), TABLE_SIZES.end()));
        }
        if !is_prime(size) {
            let next = (size..).find(|candidate| is_prime(*candidate)).unwrap_or(DEFAULT_TABLE_SIZE);
            return Err(format!("`table_size`: {size} is not a prime; the next one is {next}"));
        }
        Ok(Self(size))
    }
}

/// The lookup table.
#[derive(Debug)]
pub(super) struct Maglev {
    cells: Vec<u16>,
}

/// The order in which one member wants entries: `(offset + j * skip) mod size`.
#[derive(Debug, Clone, Copy)]
struct Permutation {
    offset: u32,
    /// From 1 to the size less 1.
    skip: u32,
}

impl Maglev {
    /// Fills the table. Members take turns in the order of their names, so the same members make the same table anywhere.
    pub(super) fn build(members: &[Member], size: TableSize) -> Result<Self, String> {
        let size = size.0;
        if u32::try_from(members.len()).is_ok_and(|members| members > size) {
            return Err(format!("`table_size`: {size} entries are not enough for {} endpoints", members.len()));
        }
        let mut turns: Vec<(u16, &Member)> = (0_u16..).zip(members).collect();
        turns.sort_unstable_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let turns: Vec<_> = turns.into_iter().map(|(owner, member)| (owner, member.weight, Permutation::of(&member.name, size))).collect();
        Ok(Self { cells: populate(&turns, size) })
    }

    pub(super) fn cells(&self) -> &[u16] {
        &self.cells
    }

    /// The entry a hash falls on. Who cannot have that member goes on to the entries after it: neighbours in the table are
    /// unrelated, so the keys of a member that is away spread over all others.
    pub(super) fn start(&self, hash: u64) -> usize {
        let size = u64::try_from(self.cells.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(hash % size).unwrap_or_default()
    }
}

impl Permutation {
    fn of(name: &str, size: u32) -> Self {
        let remainder = |hash: u64, of: u32| u32::try_from(hash % u64::from(of)).unwrap_or_default();
        Self { offset: remainder(of_name(name, OFFSET_SEED), size), skip: remainder(of_name(name, SKIP_SEED), size - 1) + 1 }
    }
}

/// Pseudocode 1 of the paper: in turn, each member takes the next entry of its permutation that is free. With weights a member
/// has fewer turns ("by altering the relative frequency of the backends' turns"): in round `r` it has had `r * weight / heaviest`.
fn populate(turns: &[(u16, u16, Permutation)], size: u32) -> Vec<u16> {
    /// No member: there are at most 65535, so the last index is 65534.
    const FREE: u16 = u16::MAX;

    let heaviest = turns.iter().map(|(_, weight, _)| u64::from(*weight)).max().unwrap_or(1);
    let mut cells = vec![FREE; usize::try_from(size).unwrap_or_default()];
    let mut progress: Vec<(u32, u64)> = turns.iter().map(|(_, _, permutation)| (permutation.offset, 0)).collect();
    let mut free = if turns.is_empty() { 0 } else { cells.len() };
    while free > 0 {
        for ((owner, weight, permutation), (next, credit)) in turns.iter().zip(&mut progress) {
            *credit += u64::from(*weight);
            if *credit < heaviest {
                continue;
            }
            *credit -= heaviest;
            // Ends: the size is prime, so the permutation visits every entry, and one is free.
            let taken = loop {
                let entry = usize::try_from(*next).ok().and_then(|entry| cells.get_mut(entry));
                *next = step(*next, permutation.skip, size);
                match entry {
                    Some(entry) if *entry != FREE => {}
                    other => break other,
                }
            };
            if let Some(entry) = taken {
                *entry = *owner;
            }
            free -= 1;
            if free == 0 {
                break;
            }
        }
    }
    cells
}

/// The next entry of a permutation; both numbers are below the size, which is below 2^31.
fn step(entry: u32, skip: u32, size: u32) -> u32 {
    let next = entry + skip;
    if next >= size { next - size } else { next }
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests;
