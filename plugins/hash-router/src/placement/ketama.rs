//! libketama's ring (Richard Jones, last.fm, 2007; `ketama_create_continuum` in `libketama/ketama.c`).

use md5::{Digest, Md5};

use super::member::Member;
use super::ring::{self, Ring};

/// Digests of a member with an average weight. Each makes 4 points.
const DIGESTS: f64 = 40.0;

/// Lays out members: MD5 of `host:port-k` gives 4 points, little-endian; a member has `floor(share * 40 * members)` digests.
///
/// A weight below a fortieth of the average gives no point: such a member gets no key of its own, with us as with libketama.
pub(super) fn build(members: &[Member]) -> Result<Ring, String> {
    let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    let digests: Vec<u32> = members.iter().map(|member| digests(member.weight, total, members.len())).collect();
    ring::check(digests.iter().map(|digests| u64::from(*digests) * 4).sum())?;

    let mut points = Vec::new();
    for (owner, (member, digests)) in (0_u16..).zip(members.iter().zip(digests)) {
        for number in 0..digests {
            let digest = Md5::digest(format!("{}-{number}", member.name));
            points.extend(digest.as_chunks().0.iter().map(|bytes| (u32::from_le_bytes(*bytes), owner)));
        }
    }
    Ok(Ring::new(points))
}

/// The points of a ring in ascending order, as libketama's `ketama_print_continuum` shows them.
pub fn points(members: &[Member]) -> Result<Vec<u32>, String> {
    build(members).map(Ring::into_points)
}

/// How many digests a member has. The mixture of precisions is libketama's: another one would round some weights otherwise.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "C's conversions, kept; the result lies between 0 and 40 times 65535"
)]
fn digests(weight: u16, total: u64, members: usize) -> u32 {
    let share = f32::from(weight) / total as f32;
    ((f64::from(share) * DIGESTS * f64::from(members as f32)) as f32).floor() as u32
}

#[cfg(test)]
mod tests;
