//! `crypto`: digests, HMAC and the checking of signatures, done by ring, but for P-521 (`es512`). A symmetric secret can never be taken for a public
//! key: there is no way to make one of it (RFC 8725, section 2.1).

mod es512;
mod jwk;

use ring::{digest as ring_digest, hmac as ring_hmac, signature};
use subtle::ConstantTimeEq;

/// Most input of one call, bytes: its time grows with what the guest passes.
const MAX_INPUT: usize = 1 << 20;

/// Why something could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CryptoError {
    /// The key is not what the algorithm needs; the text says why.
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
    /// As of any signature.
    Signature(CryptoError),
}

impl From<CryptoError> for JwsError {
    fn from(error: CryptoError) -> Self {
        Self::Signature(error)
    }
}

/// Digest algorithms (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// A public key for checking signatures.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: Key,
    /// Its thumbprint, as base64url.
    name: Box<str>,
}

#[derive(Debug, Clone)]
enum Key {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed (SEC 1, section 2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(es512::Key),
    Ed25519(Vec<u8>),
}

/// A digest of the data.
///
/// # Errors
/// [`CryptoError::TooLarge`]
pub fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    bounded(data.len())?;
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => &ring_digest::SHA256,
        DigestAlgorithm::Sha384 => &ring_digest::SHA384,
        DigestAlgorithm::Sha512 => &ring_digest::SHA512,
    };
    Ok(ring_digest::digest(algorithm, data).as_ref().to_vec())
}

/// HMAC (RFC 2104) of the data.
///
/// # Errors
/// [`CryptoError::TooLarge`]
pub fn hmac(algorithm: DigestAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    bounded(key.len().saturating_add(data.len()))?;
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => ring_hmac::HMAC_SHA256,
        DigestAlgorithm::Sha384 => ring_hmac::HMAC_SHA384,
        DigestAlgorithm::Sha512 => ring_hmac::HMAC_SHA512,
    };
    Ok(ring_hmac::sign(&ring_hmac::Key::new(algorithm, key), data).as_ref().to_vec())
}

/// Compares without telling by its time where the first difference is. Lengths are no secret.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// What a JSON Web Signature in compact form is about, decoded. Says nothing of its signature.
///
/// # Errors
/// [`JwsError::Malformed`]
pub fn payload(jws: &str) -> Result<Vec<u8>, JwsError> {
    let (signed, _) = jws.rsplit_once('.').ok_or(JwsError::Malformed)?;
    // Of a fourth part the dot is in the payload, where base64url has none.
    let (_, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
    jwk::decode(payload).ok_or(JwsError::Malformed)
}

fn bounded(bytes: usize) -> Result<(), CryptoError> {
    if bytes > MAX_INPUT { Err(CryptoError::TooLarge) } else { Ok(()) }
}

impl PublicKey {
    /// Reads a JSON Web Key (RFC 7517): `RSA` of 2048 to 8192 bits, `EC` on P-256, P-384 or P-521, `OKP` with Ed25519 (RFC 8037).
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] with what is wrong; the text never holds the key.
    pub fn from_jwk(jwk: &str) -> Result<Self, CryptoError> {
        bounded(jwk.len())?;
        let key = jwk::read(jwk)?;
        let name = jwk::encode(&thumbprint(&key)).into();
        Ok(Self { key, name })
    }

    /// Checks a signature by the algorithm's name in JWS (RFC 7518, section 3.1; RFC 8037, section 3.1).
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] for an algorithm of another family than the key's, [`CryptoError::Unsupported`] for `none`
    /// and everything unknown, [`CryptoError::Mismatch`] where the signature is not of this key and message.
    pub fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        bounded(message.len().saturating_add(signature.len()))?;
        let rsa: &signature::RsaParameters = match algorithm {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
            "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
            "ES256" | "ES384" | "ES512" | "EdDSA" => return self.verify_on_curve(algorithm, message, signature),
            _ => return Err(CryptoError::Unsupported),
        };
        let Key::Rsa { n, e } = &self.key else { return Err(self.wrong_family(algorithm)) };
        signature::RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).map_err(|_| CryptoError::Mismatch)
    }

    /// Checks a JSON Web Signature in compact form (RFC 7515, section 7.1), and gives its payload.
    ///
    /// # Errors
    /// [`JwsError::Malformed`], or as [`verify`](Self::verify).
    pub fn verify_jws(&self, algorithm: &str, jws: &str) -> Result<Vec<u8>, JwsError> {
        bounded(jws.len())?;
        let (signed, signature) = jws.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, _) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        // Nobody here asks what it says.
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if header.is_empty() || !header.bytes().all(legal) {
            return Err(JwsError::Malformed);
        }
        let signature = jwk::decode(signature).ok_or(JwsError::Malformed)?;
        self.verify(algorithm, signed.as_bytes(), &signature)?;
        payload(jws)
    }

    /// Its JWK thumbprint with SHA-256 (RFC 7638).
    pub fn thumbprint(&self) -> Vec<u8> {
        thumbprint(&self.key)
    }

    /// The same as text: no other key has it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn verify_on_curve(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let (verifier, key): (&'static dyn signature::VerificationAlgorithm, &[u8]) = match (algorithm, &self.key) {
            ("ES256", Key::P256(point)) => (&signature::ECDSA_P256_SHA256_FIXED, point),
            ("ES384", Key::P384(point)) => (&signature::ECDSA_P384_SHA384_FIXED, point),
            ("ES512", Key::P521(key)) => return key.verify(message, signature),
            ("EdDSA", Key::Ed25519(point)) => (&signature::ED25519, point),
            _ => return Err(self.wrong_family(algorithm)),
        };
        signature::UnparsedPublicKey::new(verifier, key).verify(message, signature).map_err(|_| CryptoError::Mismatch)
    }

    fn wrong_family(&self, algorithm: &str) -> CryptoError {
        let family = match &self.key {
            Key::Rsa { .. } => "RSA",
            Key::P256(_) => "EC P-256",
            Key::P384(_) => "EC P-384",
            Key::P521(_) => "EC P-521",
            Key::Ed25519(_) => "Ed25519",
        };
        CryptoError::InvalidKey(format!("{algorithm} cannot be checked with a key of {family}"))
    }
}

/// Of the required members in the order of their names, without white space.
fn thumbprint(key: &Key) -> Vec<u8> {
    let text = match key {
        Key::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, jwk::encode(e), jwk::encode(n)),
        Key::P256(point) => ec_members("P-256", point),
        Key::P384(point) => ec_members("P-384", point),
        Key::P521(key) => ec_members("P-521", key.point()),
        Key::Ed25519(point) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, jwk::encode(point)),
    };
    ring_digest::digest(&ring_digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Of a point that begins with the byte for "uncompressed".
fn ec_members(curve: &str, point: &[u8]) -> String {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, jwk::encode(x), jwk::encode(y))
}

#[cfg(test)]
mod tests;
