//! SHA-256 of a key, which is all that is kept of one: no key can be worked out from it.

use std::fmt;

use plugway_sdk::CryptoError;
use plugway_sdk::crypto::{self, DigestAlgorithm};

/// How one is written, before its 64 digits.
pub(crate) const PREFIX: &str = "sha256:";

/// One key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// That of a key.
    pub(crate) fn of(key: &[u8]) -> Result<Self, CryptoError> {
        let digest = crypto::digest(DigestAlgorithm::Sha256, key)?;
        digest.try_into().map(Self).map_err(|_| CryptoError::Unsupported)
    }

    /// As written: `sha256:` and 64 hexadecimal digits.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 64 && digits.is_ascii())?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| !pair.contains('+'))?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// Its first bits: nobody can choose them without knowing the key.
    pub(crate) fn beginning(&self) -> Option<[u8; 8]> {
        self.0.first_chunk().copied()
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(&hexadecimal(&self.0))
    }
}

/// Bytes as digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
