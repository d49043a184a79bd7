//! Those of `crypto`.

use std::fmt;

use crate::bindings::imports::plugway::gateway as raw;

/// Why something could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CryptoError {
    /// The key is not what the algorithm needs; why.
    InvalidKey(String),
    /// The algorithm is not supported.
    Unsupported,
    /// The signature does not match.
    Mismatch,
    /// More than 1 MiB of input.
    TooLarge,
}

/// Why a JSON Web Signature was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwsError {
    /// Not three parts of base64url without padding.
    Malformed,
    /// The key is not what the algorithm needs; why.
    InvalidKey(String),
    /// The algorithm is not supported.
    Unsupported,
    /// The signature does not match.
    Mismatch,
    /// More than 1 MiB of input.
    TooLarge,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidKey(why) => write!(f, "the key cannot be used: {why}"),
            Self::Unsupported => f.write_str("the algorithm is not supported"),
            Self::Mismatch => f.write_str("the signature does not match"),
            Self::TooLarge => f.write_str("more than 1 MiB of input"),
        }
    }
}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not three parts of base64url without padding"),
            Self::InvalidKey(why) => write!(f, "the key cannot be used: {why}"),
            Self::Unsupported => f.write_str("the algorithm is not supported"),
            Self::Mismatch => f.write_str("the signature does not match"),
            Self::TooLarge => f.write_str("more than 1 MiB of input"),
        }
    }
}

impl std::error::Error for CryptoError {}
impl std::error::Error for JwsError {}

impl From<raw::crypto::CryptoError> for CryptoError {
    fn from(error: raw::crypto::CryptoError) -> Self {
        match error {
            raw::crypto::CryptoError::InvalidKey(why) => Self::InvalidKey(why),
            raw::crypto::CryptoError::Unsupported => Self::Unsupported,
            raw::crypto::CryptoError::Mismatch => Self::Mismatch,
            raw::crypto::CryptoError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<raw::crypto::JwsError> for JwsError {
    fn from(error: raw::crypto::JwsError) -> Self {
        match error {
            raw::crypto::JwsError::Malformed => Self::Malformed,
            raw::crypto::JwsError::InvalidKey(why) => Self::InvalidKey(why),
            raw::crypto::JwsError::Unsupported => Self::Unsupported,
            raw::crypto::JwsError::Mismatch => Self::Mismatch,
            raw::crypto::JwsError::TooLarge => Self::TooLarge,
        }
    }
}
