//! nginx's ring (`ngx_http_upstream_init_chash` in `ngx_http_upstream_hash_module.c`), which is that of Perl's
//! Cache::Memcached::Fast.

use crc32fast::Hasher;

use super::member::Member;
use super::ring::{self, Ring};

/// Points per unit of weight.
const POINTS: u64 = 160;

/// Lays out members: every point is the CRC32 of `HOST \0 PORT PREV_HASH`, where `PREV_HASH` is the point before it in 4
/// bytes, little-endian, and starts at 0. Weights are not reduced: 2 and 4 make another ring than 1 and 2, as in nginx.
pub(super) fn build(members: &[Member]) -> Result<Ring, String> {
    ring::check(members.iter().map(|member| u64::from(member.weight) * POINTS).sum())?;

    let mut points = Vec::new();
    for (owner, member) in (0_u16..).zip(members) {
        let mut base = Hasher::new();
        base.update(member.host.as_bytes());
        base.update(b"\0");
        base.update(member.written_port.as_bytes());
        let mut previous = 0_u32;
        for _ in 0..u64::from(member.weight) * POINTS {
            let mut hasher = base.clone();
            hasher.update(&previous.to_le_bytes());
            previous = hasher.finalize();
            points.push((previous, owner));
        }
    }
    Ok(Ring::new(points))
}
