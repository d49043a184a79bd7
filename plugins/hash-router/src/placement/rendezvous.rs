//! Rendezvous hashing (Thaler, Ravishankar: Using Name-Based Mappings to Increase Hit Rates, IEEE/ACM Transactions on Networking
//! 6, 1998), with weights by the logarithmic method (Schindelhauer, Schomaker: Weighted Distributed Hash Tables, SPAA 2005).

use std::cmp::Ordering;

use super::member::Member;
use crate::hash::{mix, of_name};

/// Hashes of the members' names, and their weights.
#[derive(Debug)]
pub(super) struct Rendezvous {
    seeds: Vec<u64>,
    /// Empty when all are equal: then the logarithm decides nothing and is left out.
    weights: Vec<f64>,
}

/// The scores of all members for one hash, read from the highest down.
#[derive(Debug)]
pub(super) struct Scores<'a> {
    members: &'a Rendezvous,
    hash: u64,
    last: Option<Rank>,
    given: usize,
    /// Once more than a few were asked for: all that are left, the best at the end.
    left: Option<Vec<Rank>>,
}

/// Score, draw and index of a member.
type Rank = (f64, u64, usize);

/// So many are found by a look at all members for each. Who asks for more has met members that are away, and may have to ask for all of them: then
/// sorting what is left costs less.
const FEW: usize = 8;

impl Rendezvous {
    pub(super) fn build(members: &[Member]) -> Self {
        let even = members.windows(2).all(|pair| matches!(pair, [one, other] if one.weight == other.weight));
        let weights = if even { Vec::new() } else { members.iter().map(|member| f64::from(member.weight)).collect() };
        Self { seeds: members.iter().map(|member| of_name(&member.name, 0)).collect(), weights }
    }

    pub(super) fn scores(&self, hash: u64) -> Scores<'_> {
        Scores { members: self, hash, last: None, given: 0, left: None }
    }
}

impl<'a> Scores<'a> {
    /// The best member below the last one.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.given == FEW && self.left.is_none() {
            let mut left: Vec<Rank> = self.below().collect();
            left.sort_unstable_by(rank);
            self.left = Some(left);
        }
        let next = match &mut self.left {
            Some(left) => left.pop(),
            None => self.below().max_by(rank),
        };
        self.given += 1;
        self.last = next;
        next.map(|(_, _, member)| member)
    }

    /// All members below the last one.
    fn below(&self) -> impl Iterator<Item = Rank> + use<'a> {
        let Self { members, hash, last, .. } = *self;
        let all = (0..).zip(&members.seeds).map(move |(member, seed)| {
            let draw = mix(hash ^ seed);
            let score = members.weights.get(member).map_or(0.0, |weight| score(*weight, draw));
            (score, draw, member)
        });
        all.filter(move |other| last.is_none_or(|last| rank(&last, other).is_gt()))
    }
}

/// How one rank stands to another: greater comes first. Without weights the scores are equal and the draws decide; draws of two members are
/// equal only if their names' hashes are.
fn rank(one: &Rank, other: &Rank) -> Ordering {
    one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)).then(other.2.cmp(&one.2))
}

/// `-weight / ln(u)` with `u` in (0, 1): the largest of these belongs to a member in proportion to its weight.
///
/// 52 bits of the draw, since 53 and a half unit more would round up to 1, whose logarithm is 0.
#[expect(clippy::cast_precision_loss, reason = "52 bits and a half are exact")]
fn score(weight: f64, draw: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 52) as f64;
    -weight / (((draw >> 12) as f64 + 0.5) * UNIT).ln()
}

#[cfg(test)]
mod tests;
