//! Cryptography of the double: the same libraries as the gateway's, so signatures are checked for real.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use ring::{digest as ring_digest, hmac as ring_hmac};
use serde_json::Value as Json;

use crate::bindings::imports::plugway::gateway::crypto::{CryptoError, DigestAlgorithm, JwsError};

/// The gateway's limit on input, bytes.
const MAX_INPUT: usize = 1 << 20;

fn bounded(bytes: usize) -> Result<(), CryptoError> {
    if bytes > MAX_INPUT { Err(CryptoError::TooLarge) } else { Ok(()) }
}

pub(crate) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    bounded(data.len())?;
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => &ring_digest::SHA256,
        DigestAlgorithm::Sha384 => &ring_digest::SHA384,
        DigestAlgorithm::Sha512 => &ring_digest::SHA512,
    };
    Ok(ring_digest::digest(algorithm, data).as_ref().to_vec())
}

pub(crate) fn hmac(algorithm: DigestAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    bounded(key.len() + data.len())?;
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => ring_hmac::HMAC_SHA256,
        DigestAlgorithm::Sha384 => ring_hmac::HMAC_SHA384,
        DigestAlgorithm::Sha512 => ring_hmac::HMAC_SHA512,
    };
    Ok(ring_hmac::sign(&ring_hmac::Key::new(algorithm, key), data).as_ref().to_vec())
}

pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (left, right)| differ | (left ^ right)) == 0
}

/// What stands in for the gateway's key. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl PublicKey {
    pub(crate) fn from_jwk(jwk: &str) -> Result<Self, CryptoError> {
        bounded(jwk.len())?;
        // serde_json's message may hold a piece of the input, and the input may be a private key.
        let jwk: Json = serde_json::from_str(jwk).map_err(|_| invalid("not a JSON Web Key"))?;
        if ["d", "k"].iter().any(|member| jwk.get(member).is_some_and(|value| !value.is_null())) {
            return Err(invalid("this is a private or shared key; give the public one"));
        }
        let text = |member: &str| jwk.get(member).and_then(Json::as_str);
        let bytes = |member: &str| {
            let text = text(member).ok_or_else(|| invalid(&format!("`{member}` is missing")))?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid(&format!("`{member}` is not base64url")))
        };
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != size || y.len() != size {
                return Err(invalid("the point has the wrong length"));
            }
            Ok([&[4][..], &x, &y].concat())
        };
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (modulus, exponent) = (stripped(bytes("n")?), stripped(bytes("e")?));
                let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
                if !(2048..=8192).contains(&bits) || exponent.is_empty() {
                    return Err(invalid("an RSA key has 2048 to 8192 bits"));
                }
                Ok(Self::Rsa { modulus, exponent })
            }
            (Some("EC"), Some("P-256")) => Ok(Self::P256(point(32)?)),
            (Some("EC"), Some("P-384")) => Ok(Self::P384(point(48)?)),
            (Some("EC"), Some("P-521")) => {
                let point = point(66)?;
                p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| invalid("the point is not on the curve"))?;
                Ok(Self::P521(point))
            }
            (Some("OKP"), Some("Ed25519")) => match bytes("x")? {
                key if key.len() == 32 => Ok(Self::Ed25519(key)),
                _ => Err(invalid("an Ed25519 key has 32 bytes")),
            },
            (Some("oct"), _) => Err(invalid("a symmetric key is no public key")),
            _ => Err(invalid("neither RSA, P-256, P-384, P-521 nor Ed25519")),
        }
    }

    pub(crate) fn thumbprint(&self) -> Vec<u8> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
        };
        let members = match self {
            Self::Rsa { modulus, exponent } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(exponent), text(modulus)),
            Self::P256(key) => point("P-256", key),
            Self::P384(key) => point("P-384", key),
            Self::P521(key) => point("P-521", key),
            Self::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(key)),
        };
        ring_digest::digest(&ring_digest::SHA256, members.as_bytes()).as_ref().to_vec()
    }

    pub(crate) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        bounded(message.len() + signature.len())?;
        let verified = match (self, family(algorithm).ok_or(CryptoError::Unsupported)?) {
            (Self::Rsa { modulus, exponent }, Family::Rsa(parameters)) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
            }
            (Self::P256(key), Family::P256(algorithm))
            | (Self::P384(key), Family::P384(algorithm))
            | (Self::Ed25519(key), Family::Ed25519(algorithm)) => UnparsedPublicKey::new(algorithm, key).verify(message, signature),
            (Self::P521(key), Family::P521) => return es512(key, message, signature),
            _ => return Err(invalid("the algorithm belongs to another kind of key")),
        };
        verified.map_err(|_| CryptoError::Mismatch)
    }
}

impl PublicKey {
    pub(crate) fn verify_jws(&self, algorithm: &str, jws: &str) -> Result<Vec<u8>, JwsError> {
        if jws.len() > MAX_INPUT {
            return Err(JwsError::TooLarge);
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Malformed);
        let (signed, signature) = jws.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if header.is_empty() || !header.bytes().all(legal) {
            return Err(JwsError::Malformed);
        }
        self.verify(algorithm, signed.as_bytes(), &decode(signature)?).map_err(|error| match error {
            CryptoError::InvalidKey(why) => JwsError::InvalidKey(why),
            CryptoError::Unsupported => JwsError::Unsupported,
            CryptoError::Mismatch => JwsError::Mismatch,
            CryptoError::TooLarge => JwsError::TooLarge,
        })?;
        decode(payload)
    }
}

/// Zeros in front of a number do not count: however it is written, it is one key with one thumbprint.
fn stripped(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

enum Family {
    Rsa(&'static RsaParameters),
    P256(&'static dyn VerificationAlgorithm),
    P384(&'static dyn VerificationAlgorithm),
    P521,
    Ed25519(&'static dyn VerificationAlgorithm),
}

fn family(algorithm: &str) -> Option<Family> {
    Some(match algorithm {
        "RS256" => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => Family::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        "ES256" => Family::P256(&signature::ECDSA_P256_SHA256_FIXED),
        "ES384" => Family::P384(&signature::ECDSA_P384_SHA384_FIXED),
        "ES512" => Family::P521,
        "EdDSA" => Family::Ed25519(&signature::ED25519),
        _ => return None,
    })
}

fn es512(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    use p521::ecdsa::signature::Verifier;
    use p521::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| invalid("the point is not on the curve"))?;
    let signature = Signature::from_slice(signature).map_err(|_| CryptoError::Mismatch)?;
    key.verify(message, &signature).map_err(|_| CryptoError::Mismatch)
}

fn invalid(why: &str) -> CryptoError {
    CryptoError::InvalidKey(why.to_owned())
}
