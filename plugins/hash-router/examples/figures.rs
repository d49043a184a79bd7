//! Prints the table of balance and movement in `docs/plugins/hash-router.md`.

use plugway_plugin_hash_router::hash::Hash;
use plugway_plugin_hash_router::placement::maglev::{DEFAULT_TABLE_SIZE, TableSize};
use plugway_plugin_hash_router::placement::{Kind, Member, Placement};

/// Enough that the sample itself scatters by less than a percent with 100 endpoints.
const KEYS: u32 = 2_000_000;

fn main() -> Result<(), String> {
    println!("| placement | endpoints | fullest | emptiest | moved, one removed | moved, one added |");
    println!("|---|---|---|---|---|---|");
    for (name, kind, hash) in [
        ("maglev", Kind::Maglev(TableSize::new(DEFAULT_TABLE_SIZE)?), Hash::Xxh3),
        ("ketama", Kind::Ketama, Hash::Md5),
        ("ketama-nginx", Kind::KetamaNginx, Hash::Crc32),
        ("rendezvous", Kind::Rendezvous, Hash::Xxh3),
        ("modulo", Kind::Modulo, Hash::Xxh3),
    ] {
        for count in [10, 100] {
            let whole = placed(kind, hash, 0..count)?;
            let counts: Vec<f64> = (0..count).map(|member| share(&whole, member) * f64::from(count)).collect();
            let fullest = counts.iter().copied().fold(f64::MIN, f64::max);
            let emptiest = counts.iter().copied().fold(f64::MAX, f64::min);
            // The fourth goes: neither end of the list. Its own keys must move; only those of others count.
            let without = placed(kind, hash, (0..count).filter(|member| *member != 3))?;
            let with = placed(kind, hash, 0..=count)?;
            let removed = moved(&whole, &without, |before, _| before != 3);
            let added = moved(&whole, &with, |_, after| after != count);
            println!("| `{name}` | {count} | {fullest:.3} | {emptiest:.3} | {removed:.2} % | {added:.2} % |");
        }
    }
    Ok(())
}

/// The member each key goes to.
fn placed(kind: Kind, hash: Hash, numbers: impl Iterator<Item = u32>) -> Result<Vec<u32>, String> {
    let numbers: Vec<u32> = numbers.collect();
    let member = |number: &u32| Member { name: format!("10.0.0.{number}:8080"), weight: 1 };
    let members: Vec<Member> = numbers.iter().map(member).collect();
    let placement = Placement::build(kind, &members)?;
    let place = |key: u32| {
        let first = placement.order(hash.of(format!("/users/{key}").as_bytes())).next();
        first.and_then(|index| numbers.get(index).copied()).unwrap_or(u32::MAX)
    };
    Ok((0..KEYS).map(place).collect())
}

/// The part of the keys that a member has.
fn share(placed: &[u32], member: u32) -> f64 {
    placed.iter().filter(|place| **place == member).count() as f64 / f64::from(KEYS)
}

/// The percentage of all keys that moved although they need not have.
fn moved(before: &[u32], after: &[u32], counts: impl Fn(u32, u32) -> bool) -> f64 {
    let moved = before.iter().zip(after).filter(|(before, after)| before != after && counts(**before, **after));
    moved.count() as f64 * 100.0 / f64::from(KEYS)
}
