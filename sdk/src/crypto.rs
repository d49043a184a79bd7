//! Cryptography, done natively by the gateway. The plugin needs `grants = { crypto = {} }`.

use std::fmt;

pub use crate::bindings::imports::plugway::gateway::crypto::DigestAlgorithm;
use crate::error::{CryptoError, JwsError};
use crate::sys;

/// A digest of at most 1 MiB of data.
pub fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(sys::crypto::digest(algorithm, data)?)
}

/// HMAC (RFC 2104) of key and data of at most 1 MiB together.
pub fn hmac(algorithm: DigestAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(sys::crypto::hmac(algorithm, key, data)?)
}

/// Compares without telling by its time where the first difference is.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    sys::crypto::equal(left, right)
}

/// A public key for checking signatures. Read it in `configure` and keep it.
pub struct PublicKey {
    raw: sys::crypto::PublicKey,
}

impl PublicKey {
    /// Reads a JSON Web Key (RFC 7517): `RSA` from 2048 to 8192 bits, `EC` on P-256, P-384 or P-521, `OKP` with Ed25519.
    /// Anything else is `InvalidKey`: other curves and types, and private and symmetric keys, since there is no way to take a public
    /// key for a shared secret.
    pub fn from_jwk(jwk: &str) -> Result<Self, CryptoError> {
        Ok(Self { raw: sys::crypto::PublicKey::from_jwk(jwk)? })
    }

    /// Checks a signature by the algorithm's name in JWS (RFC 7518, section 3.1; RFC 8037): `RS256`, `RS384`, `RS512`,
    /// `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`. An algorithm of another family than the key's is
    /// `InvalidKey`, `none` and anything else `Unsupported`.
    pub fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        Ok(self.raw.verify(algorithm, message, signature)?)
    }
}

impl PublicKey {
    /// Checks a JSON Web Signature in compact form (RFC 7515, section 7.1), and gives its payload, decoded. `algorithm` is as in
    /// [`verify`](Self::verify), and never what the header says: read that first, and decide.
    ///
    /// What was found good is remembered for all instances of the plugin, and not computed again: this is for what comes again, and `verify`
    /// for what comes once.
    pub fn verify_jws(&self, algorithm: &str, jws: &str) -> Result<Vec<u8>, JwsError> {
        Ok(self.raw.verify_jws(algorithm, jws)?)
    }

    /// Its JWK thumbprint with SHA-256, 32 bytes (RFC 7638): of the key alone, whatever else the JSON said.
    pub fn thumbprint(&self) -> Vec<u8> {
        self.raw.thumbprint()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}
