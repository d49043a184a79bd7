//! Keys of the double: the same library as the gateway's, so signatures are real. Each test's thread has its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use ring::{digest, hmac};
use serde_json::Value as Json;

use crate::bindings::imports::plugway::gateway::keys::KeyError;

/// The gateway's limits.
const MAX_INPUT: usize = 1 << 20;
/// Bytes that sealing adds: whatever could be sealed can be opened.
const SEALING_ADDS: usize = 49;
const SHORTEST_KEY: usize = 32;

thread_local! {
    static KEYS: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants the plugin under test a key: a JSON Web Key with its private part (`EC` on P-256, or `OKP` with Ed25519), or 32 bytes
/// or more to seal with. The gateway takes other keys too.
pub fn set_key(name: &str, key: impl AsRef<[u8]>) {
    KEYS.with_borrow_mut(|keys| keys.insert(name.to_owned(), key.as_ref().to_vec()));
}

enum Private {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) fn algorithms(key: &str) -> Result<Vec<String>, KeyError> {
    Ok(vec![private(key)?.algorithm().to_owned()])
}

pub(crate) fn sign(key: &str, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    bounded(message)?;
    let key = private(key)?;
    if algorithm != key.algorithm() {
        return Err(KeyError::Unsupported);
    }
    match key {
        Private::P256(key) => key.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()).map_err(|_| unusable()),
        Private::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
    }
}

/// Not the gateway's format, which nobody but the gateway reads.
pub(crate) fn seal(key: &str, context: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    bounded(message)?;
    let mut salt = [0; 48];
    SystemRandom::new().fill(&mut salt).map_err(|_| unusable())?;
    let (key, nonce) = derived(&symmetric(key)?, &salt, context)?;
    let mut encrypted = message.to_vec();
    let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut encrypted).map_err(|_| unusable())?;
    // As many bytes more as the gateway adds.
    Ok([&salt[..33], &encrypted, tag.as_ref()].concat())
}

pub(crate) fn open(key: &str, context: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    if sealed.len() > MAX_INPUT + SEALING_ADDS {
        return Err(KeyError::TooLarge);
    }
    let key = symmetric(key)?;
    let (salt, encrypted) = sealed.split_at_checked(33).ok_or(KeyError::Mismatch)?;
    let (key, nonce) = derived(&key, salt, context)?;
    let mut message = encrypted.to_vec();
    let length = key.open_in_place(nonce, Aad::empty(), &mut message).map_err(|_| KeyError::Mismatch)?.len();
    message.truncate(length);
    Ok(message)
}

impl Private {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }
}

fn derived(key: &[u8], salt: &[u8], context: &str) -> Result<(LessSafeKey, Nonce), KeyError> {
    let salt = salt.get(..33).unwrap_or(salt);
    let bound = [salt, context.as_bytes()].concat();
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &bound);
    let nonce = digest::digest(&digest::SHA256, &bound);
    let key = UnboundKey::new(&AES_256_GCM, derived.as_ref()).map_err(|_| unusable())?;
    let nonce = nonce.as_ref().first_chunk().copied().ok_or_else(unusable)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}

fn find(name: &str) -> Result<Vec<u8>, KeyError> {
    let granted = || KEYS.with_borrow(|keys| keys.get(name).cloned());
    super::granted::keys().then(granted).flatten().ok_or(KeyError::NotGranted)
}

fn symmetric(name: &str) -> Result<Vec<u8>, KeyError> {
    match find(name)? {
        key if key.starts_with(b"{") => Err(KeyError::InvalidKey("a private key signs and does not seal".to_owned())),
        key if key.len() < SHORTEST_KEY => Err(KeyError::InvalidKey(format!("it has {} bytes, and a key has 32 or more", key.len()))),
        key => Ok(key),
    }
}

fn private(name: &str) -> Result<Private, KeyError> {
    let key = find(name)?;
    let jwk: Json = serde_json::from_slice(&key).map_err(|_| KeyError::InvalidKey("it is no private key".to_owned()))?;
    let member = |name: &str| {
        let text = jwk.get(name).and_then(Json::as_str).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(text).map_err(|_| unusable())
    };
    match jwk.get("kty").and_then(Json::as_str) {
        Some("EC") => {
            let point = [&[4][..], &member("x")?, &member("y")?].concat();
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &member("d")?, &point, &SystemRandom::new())
                .map(Private::P256)
                .map_err(|_| unusable())
        }
        Some("OKP") => Ed25519KeyPair::from_seed_and_public_key(&member("d")?, &member("x")?).map(Private::Ed25519).map_err(|_| unusable()),
        _ => Err(unusable()),
    }
}

fn bounded(input: &[u8]) -> Result<(), KeyError> {
    if input.len() > MAX_INPUT { Err(KeyError::TooLarge) } else { Ok(()) }
}

fn unusable() -> KeyError {
    KeyError::InvalidKey("it cannot be used".to_owned())
}
