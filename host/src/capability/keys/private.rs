//! Private keys: read from PEM (PKCS #8, PKCS #1) or as a JSON Web Key (RFC 7517; RFC 7518, section 6; RFC 8037, section 2), and signing with
//! them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{self, KeyPairComponents, PublicKeyComponents};
use ring::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaEncoding};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::KeyError;

/// One that signs.
pub(super) enum PrivateKey {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// What a JSON Web Key turned out to be.
pub(super) enum Jwk {
    Private(Box<PrivateKey>),
    Symmetric(Vec<u8>),
}

/// Members of the kinds that are taken.
#[derive(Deserialize)]
struct Members {
    kty: String,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

const CONVERT: &str = "convert it with `openssl pkcs8 -topk8 -nocrypt`";

impl PrivateKey {
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, String> {
        match PrivateKeyDer::from_pem_slice(text) {
            Ok(PrivateKeyDer::Pkcs8(der)) => Self::from_pkcs8(der.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(der)) => rsa::KeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).map_err(rejected),
            Ok(PrivateKeyDer::Sec1(_)) => Err(format!("it is an EC key in SEC 1: {CONVERT}")),
            _ => Err(format!("it is no private key in PEM, or has a password: {CONVERT}")),
        }
    }

    /// The kind stands in the key, and ring tells it by trying.
    fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        let random = SystemRandom::new();
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(key));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der, &random) {
            return Ok(Self::P384(key));
        }
        rsa::KeyPair::from_pkcs8(der).map(Self::Rsa).map_err(rejected)
    }

    pub(super) fn algorithms(&self) -> &'static [&'static str] {
        match self {
            Self::Rsa(_) => &["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"],
            Self::P256(_) => &["ES256"],
            Self::P384(_) => &["ES384"],
            Self::Ed25519(_) => &["EdDSA"],
        }
    }

    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::InvalidKey("nothing could be signed with it".to_owned());
        let random = SystemRandom::new();
        match (self, algorithm) {
            (Self::Rsa(key), _) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => return Err(KeyError::Unsupported),
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            (Self::P256(key), "ES256") | (Self::P384(key), "ES384") => {
                key.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(failed)
            }
            (Self::Ed25519(key), "EdDSA") => Ok(key.sign(message).as_ref().to_vec()),
            _ => Err(KeyError::Unsupported),
        }
    }
}

/// Reads a JSON Web Key that has a private part.
pub(super) fn read_jwk(text: &[u8]) -> Result<Jwk, String> {
    // serde_json's message may hold a piece of the key.
    let members: Members = serde_json::from_slice(text)
        .map_err(|error| format!("it is no JSON Web Key (line {}, column {})", error.line(), error.column()))?;
    if members.kty == "oct" {
        return member("k", members.k.as_deref()).map(Jwk::Symmetric);
    }
    if members.d.is_none() {
        return Err("it is a public key: give the private one, with `d`".to_owned());
    }
    let private = match (members.kty.as_str(), members.crv.as_deref()) {
        ("RSA", _) => rsa_key(&members)?,
        ("EC", Some("P-256")) => PrivateKey::P256(curve_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &members)?),
        ("EC", Some("P-384")) => PrivateKey::P384(curve_key(&ECDSA_P384_SHA384_FIXED_SIGNING, &members)?),
        ("OKP", Some("Ed25519")) => {
            let (seed, public) = (member("d", members.d.as_deref())?, member("x", members.x.as_deref())?);
            PrivateKey::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map_err(rejected)?)
        }
        _ => return Err("keys of type RSA, EC (P-256, P-384), OKP (Ed25519) and oct are taken".to_owned()),
    };
    Ok(Jwk::Private(Box::new(private)))
}

fn rsa_key(members: &Members) -> Result<PrivateKey, String> {
    let of = |name: &str, text: &Option<String>| member(name, text.as_deref());
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: of("n", &members.n)?, e: of("e", &members.e)? },
        d: of("d", &members.d)?,
        p: of("p", &members.p)?,
        q: of("q", &members.q)?,
        dP: of("dp", &members.dp)?,
        dQ: of("dq", &members.dq)?,
        qInv: of("qi", &members.qi)?,
    };
    rsa::KeyPair::from_components(&components).map(PrivateKey::Rsa).map_err(rejected)
}

fn curve_key(algorithm: &'static signature::EcdsaSigningAlgorithm, members: &Members) -> Result<EcdsaKeyPair, String> {
    let point = [&[4][..], &member("x", members.x.as_deref())?, &member("y", members.y.as_deref())?].concat();
    let private = member("d", members.d.as_deref())?;
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &point, &SystemRandom::new()).map_err(rejected)
}

fn member(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("its `{name}` is missing"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its `{name}` is not base64url without padding"))
}

/// ring's word for what is wrong, such as `TooSmall` or `InconsistentComponents`.
fn rejected(why: ring::error::KeyRejected) -> String {
    format!("it cannot be used ({why}): RSA from 2048 to 4096 bits, EC on P-256 or P-384 with its public part, and Ed25519 can")
}
