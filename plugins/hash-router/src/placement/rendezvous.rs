//! Rendezvous hashing (Thaler, Ravishankar: Using Name-Based Mappings to Increase Hit Rates, IEEE/ACM Transactions on Networking
//! 6, 1998), with weights by the logarithmic method (Schindelhauer, Schomaker: Weighted Distributed Hash Tables, SPAA 2005).

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
    last: Option<(f64, u64, usize)>,
}

impl Rendezvous {
    pub(super) fn build(members: &[Member]) -> Self {
        let even = members.windows(2).all(|pair| matches!(pair, [one, other] if one.weight == other.weight));
        let weights = if even { Vec::new() } else { members.iter().map(|member| f64::from(member.weight)).collect() };
        Self { seeds: members.iter().map(|member| of_name(&member.name, 0)).collect(), weights }
    }

    pub(super) fn scores(&self, hash: u64) -> Scores<'_> {
        Scores { members: self, hash, last: None }
    }
}

impl Scores<'_> {
    /// The best member below the last one. Every call looks at every member; nobody needs more than a few.
    pub(super) fn next(&mut self) -> Option<usize> {
        let all = (0..).zip(&self.members.seeds).map(|(member, seed)| {
            let draw = mix(self.hash ^ seed);
            let score = self.members.weights.get(member).map_or(0.0, |weight| score(*weight, draw));
            (score, draw, member)
        });
        let below = all.filter(|rank| self.last.is_none_or(|last| above(&last, rank)));
        self.last = below.reduce(|best, rank| if above(&rank, &best) { rank } else { best });
        self.last.map(|(_, _, member)| member)
    }
}

/// Whether one rank comes before another. Without weights the scores are equal and the draws decide; draws of two members are
/// equal only if their names' hashes are.
fn above(one: &(f64, u64, usize), other: &(f64, u64, usize)) -> bool {
    one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)).then(other.2.cmp(&one.2)).is_gt()
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
