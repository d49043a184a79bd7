//! `crypto`, linked only where granted.

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::capability::crypto::{self, PublicKey};
use crate::plugin::bindings::plugway::gateway::crypto::{CryptoError, DigestAlgorithm, Host, HostPublicKey, JwsError};
use crate::plugin::guest::{Guest, PublicKeyHandle};

type Handle = Resource<PublicKeyHandle>;
type Computed<T> = Result<std::result::Result<T, CryptoError>>;

impl From<crypto::CryptoError> for CryptoError {
    fn from(error: crypto::CryptoError) -> Self {
        match error {
            crypto::CryptoError::InvalidKey(why) => Self::InvalidKey(why),
            crypto::CryptoError::Unsupported => Self::Unsupported,
            crypto::CryptoError::Mismatch => Self::Mismatch,
            crypto::CryptoError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<crypto::JwsError> for JwsError {
    fn from(error: crypto::JwsError) -> Self {
        match error {
            crypto::JwsError::Malformed => Self::Malformed,
            crypto::JwsError::Signature(crypto::CryptoError::InvalidKey(why)) => Self::InvalidKey(why),
            crypto::JwsError::Signature(crypto::CryptoError::Unsupported) => Self::Unsupported,
            crypto::JwsError::Signature(crypto::CryptoError::Mismatch) => Self::Mismatch,
            crypto::JwsError::Signature(crypto::CryptoError::TooLarge) => Self::TooLarge,
        }
    }
}

impl From<DigestAlgorithm> for crypto::DigestAlgorithm {
    fn from(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256,
            DigestAlgorithm::Sha384 => Self::Sha384,
            DigestAlgorithm::Sha512 => Self::Sha512,
        }
    }
}

impl Host for Guest {
    fn digest(&mut self, algorithm: DigestAlgorithm, data: Vec<u8>) -> Computed<Vec<u8>> {
        Ok(crypto::digest(algorithm.into(), &data).map_err(Into::into))
    }

    fn hmac(&mut self, algorithm: DigestAlgorithm, key: Vec<u8>, data: Vec<u8>) -> Computed<Vec<u8>> {
        Ok(crypto::hmac(algorithm.into(), &key, &data).map_err(Into::into))
    }

    fn equal(&mut self, left: Vec<u8>, right: Vec<u8>) -> Result<bool> {
        Ok(crypto::equal(&left, &right))
    }
}

impl HostPublicKey for Guest {
    fn from_jwk(&mut self, jwk: String) -> Computed<Handle> {
        Ok(match PublicKey::from_jwk(&jwk) {
            Ok(key) => Ok(self.wasi.table.push(PublicKeyHandle(key))?),
            Err(error) => Err(error.into()),
        })
    }

    fn verify(&mut self, key: Handle, algorithm: String, message: Vec<u8>, signature: Vec<u8>) -> Computed<()> {
        let key = &self.wasi.table.get(&key)?.0;
        Ok(key.verify(&algorithm, &message, &signature).map_err(Into::into))
    }

    fn verify_jws(&mut self, key: Handle, algorithm: String, jws: String) -> Result<std::result::Result<Vec<u8>, JwsError>> {
        let key = &self.wasi.table.get(&key)?.0;
        let payload = match &self.signatures {
            Some(signatures) => signatures.verify_jws(key, &algorithm, &jws),
            None => key.verify_jws(&algorithm, &jws),
        };
        Ok(payload.map_err(Into::into))
    }

    fn thumbprint(&mut self, key: Handle) -> Result<Vec<u8>> {
        Ok(self.wasi.table.get(&key)?.0.thumbprint())
    }

    fn drop(&mut self, key: Handle) -> Result<()> {
        self.wasi.table.delete(key)?;
        Ok(())
    }
}
