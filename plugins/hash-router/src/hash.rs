//! Key hashes: from bytes to the number a placement starts from.

use md5::Md5;
use sha1::{Digest, Sha1};
use twox_hash::XxHash3_64;

/// What makes a number of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// XXH3 with 64 bits and seed 0 (xxHash specification 0.2).
    Xxh3,
    /// The first 8 bytes of SHA-1 (FIPS 180-4), little-endian.
    Sha1,
    /// The first 8 bytes of MD5 (RFC 1321), little-endian: its low 32 bits are libketama's `ketama_hashi`.
    Md5,
    /// CRC-32 (ISO 3309), nginx's `ngx_crc32_long`; the high 32 bits are zero.
    Crc32,
}

impl Hash {
    /// The hash of a key.
    pub fn of(self, key: &[u8]) -> u64 {
        match self {
            Self::Xxh3 => XxHash3_64::oneshot(key),
            Self::Sha1 => first_eight(&Sha1::digest(key)),
            Self::Md5 => first_eight(&Md5::digest(key)),
            Self::Crc32 => u64::from(crc32fast::hash(key)),
        }
    }
}

/// XXH3 of a member's name. The seed tells several hashes of one name apart.
pub(crate) fn of_name(name: &str, seed: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, name.as_bytes())
}

/// Makes numbers that differ in few bits differ in half of them: the finaliser of MurmurHash3 in Stafford's variant 13, as in
/// `SplittableRandom` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, figure 16).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn first_eight(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the first 8 bytes of a digest as it is printed.
    fn printed(hex: &str) -> u64 {
        u64::from_str_radix(hex, 16).unwrap().swap_bytes()
    }

    #[test]
    fn xxh3_agrees_with_the_reference() {
        // As the reference implementation (Cyan4973/xxHash, through the Python package `xxhash`) prints them. The last input
        // is longer than 240 bytes, where XXH3 has another algorithm.
        assert_eq!(Hash::Xxh3.of(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(Hash::Xxh3.of(b"abc"), 0x78af_5f94_892f_3950);
        let long: Vec<u8> = (0..=255).chain(0..=255).collect();
        assert_eq!(Hash::Xxh3.of(&long), 0x1059_105a_d19b_fa09);
    }

    #[test]
    fn sha1_agrees_with_fips_180() {
        assert_eq!(Hash::Sha1.of(b"abc"), printed("a9993e364706816a"));
        assert_eq!(Hash::Sha1.of(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), printed("84983e441c3bd26e"));
    }

    #[test]
    fn md5_agrees_with_rfc_1321() {
        assert_eq!(Hash::Md5.of(b""), printed("d41d8cd98f00b204"));
        assert_eq!(Hash::Md5.of(b"message digest"), printed("f96b697d7cb7938d"));
    }

    #[test]
    fn crc32_agrees_with_the_published_check_value() {
        assert_eq!(Hash::Crc32.of(b"123456789"), 0xcbf4_3926);
        assert_eq!(Hash::Crc32.of(b""), 0);
    }

    #[test]
    fn mixing_flips_half_of_the_bits() {
        let flips: u32 = (0..64).flat_map(|bit| (0..100).map(move |n| (mix(n) ^ mix(n ^ (1 << bit))).count_ones())).sum();
        let mean = f64::from(flips) / 6400.0;
        assert!((31.0..33.0).contains(&mean), "{mean}");
    }
}
