//! The remainder of the hash: the simplest placement, the best balanced, and the one that moves almost every key when the
//! membership changes.

use super::member::Member;
use super::seen::Seen;
use crate::hash::mix;

/// Members with as many slots as their weight, in the order of their names.
#[derive(Debug)]
pub(super) struct Modulo {
    /// Index and weight of a member.
    shares: Vec<(usize, u64)>,
    /// Where each share ends.
    ends: Vec<u64>,
    total: u64,
}

/// Draws for one hash.
#[derive(Debug)]
pub(super) struct Draws<'a> {
    members: &'a Modulo,
    hash: u64,
}

impl Modulo {
    pub(super) fn build(members: &[Member]) -> Self {
        let mut by_name: Vec<(usize, &Member)> = members.iter().enumerate().collect();
        by_name.sort_unstable_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let shares: Vec<_> = by_name.into_iter().map(|(index, member)| (index, u64::from(member.weight))).collect();
        let ends: Vec<u64> = shares
            .iter()
            .scan(0, |end, (_, weight)| {
                *end += weight;
                Some(*end)
            })
            .collect();
        let total = ends.last().copied().unwrap_or_default();
        Self { shares, ends, total }
    }

    pub(super) fn draws(&self, hash: u64) -> Draws<'_> {
        Draws { members: self, hash }
    }
}

impl Draws<'_> {
    /// The member whose slot is the remainder of the hash. After that the hash is mixed and the slots of the members seen are
    /// left out, so that the keys of a member that is away spread over all others by weight.
    pub(super) fn next(&mut self, seen: &Seen) -> Option<usize> {
        let Modulo { shares, ends, total } = self.members;
        if seen.is_empty() {
            let slot = self.hash.checked_rem(*total)?;
            return shares.get(ends.partition_point(|end| *end <= slot)).map(|(member, _)| *member);
        }
        self.hash = mix(self.hash.wrapping_add(1));
        let left = || shares.iter().filter(|(member, _)| !seen.contains(*member));
        let mut slot = self.hash.checked_rem(left().map(|(_, weight)| weight).sum())?;
        for (member, weight) in left() {
            match slot.checked_sub(*weight) {
                None => return Some(*member),
                Some(rest) => slot = rest,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
