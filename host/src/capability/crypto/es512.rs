//! ES512: ECDSA on P-521 with SHA-512 (RFC 7518, section 3.4), the one algorithm of its family that ring does not have. Done by RustCrypto's `p521`; why, and
//! what it costs, is in `docs/adr/0031-p-521-is-checked-by-rustcrypto.md`. Only public values come here.

use p521::ecdsa::signature::Verifier;
use p521::ecdsa::{Signature, VerifyingKey};

use super::CryptoError;

/// A public key on the curve.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Uncompressed (SEC 1, section 2.3.3).
    point: Vec<u8>,
    verifier: Box<VerifyingKey>,
}

impl Key {
    /// None where the point is not on the curve.
    pub(super) fn read(point: Vec<u8>) -> Option<Self> {
        let verifier = Box::new(VerifyingKey::from_sec1_bytes(&point).ok()?);
        Some(Self { point, verifier })
    }

    pub(super) fn point(&self) -> &[u8] {
        &self.point
    }

    /// A signature is both numbers, 66 bytes each.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::Mismatch)?;
        self.verifier.verify(message, &signature).map_err(|_| CryptoError::Mismatch)
    }
}
