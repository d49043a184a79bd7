//! Sketches read by a second hand: DDSketch's bins as its format has them, added up in a map.

use std::collections::BTreeMap;

/// Bins and their counts.
#[derive(Debug, Default, Clone)]
pub(super) struct Bins(BTreeMap<i64, f64>);

impl Bins {
    /// What stands in a column `latency`.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some((mark, mut rest)) = bytes.split_first() else { return };
        let count = unsigned(&mut rest);
        match mark {
            // Each with its distance from the one before.
            0x05 => {
                let mut index = 0;
                for _ in 0..count {
                    index += signed(&mut rest);
                    *self.0.entry(index).or_default() += double(&mut rest);
                }
            }
            // From the first on, with the distance they all have.
            0x0D => {
                let (first, distance) = (signed(&mut rest), signed(&mut rest));
                for number in 0..count as i64 {
                    *self.0.entry(first + number * distance).or_default() += double(&mut rest);
                }
            }
            other => panic!("bins are written as {other:#x}"),
        }
        assert!(rest.is_empty(), "{rest:?}");
    }

    pub(super) fn count(&self) -> f64 {
        self.0.values().sum()
    }

    /// The middle of the bin with the value of that rank, microseconds; `None` without values.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * (self.count() - 1.0)).floor();
        let gamma: f64 = 1.02 / 0.98;
        let mut below = 0.0;
        for (index, count) in &self.0 {
            below += count;
            if below > rank {
                return Some(gamma.powf(*index as f64) * 2.0 * gamma / (1.0 + gamma));
            }
        }
        None
    }
}

/// Seven bits a byte, the lowest first.
fn unsigned(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in 0..9 {
        let (byte, tail) = rest.split_first().unwrap();
        *rest = tail;
        if shift == 8 || *byte < 0x80 {
            return value | u64::from(*byte) << (7 * shift);
        }
        value |= u64::from(byte & 0x7F) << (7 * shift);
    }
    unreachable!()
}

/// Zigzag: the lowest bit is the sign.
fn signed(rest: &mut &[u8]) -> i64 {
    let value = unsigned(rest);
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A floating-point number: the bits of itself plus one less those of one, turned by six, seven of them a byte from the top.
fn double(rest: &mut &[u8]) -> f64 {
    let mut bits: u64 = 0;
    let mut shift: i32 = 57;
    loop {
        let (byte, tail) = rest.split_first().unwrap();
        *rest = tail;
        if shift == 1 {
            bits |= u64::from(*byte);
            break;
        }
        if *byte < 0x80 {
            bits |= u64::from(*byte) << shift;
            break;
        }
        bits |= u64::from(byte & 0x7F) << shift;
        shift -= 7;
    }
    f64::from_bits(bits.rotate_right(6).wrapping_add(1.0_f64.to_bits())) - 1.0
}
