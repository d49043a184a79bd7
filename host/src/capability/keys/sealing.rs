//! Sealing: AES-256-GCM (NIST SP 800-38D) with a key and nonce for each message, derived by HKDF (RFC 5869). Random nonces under one key
//! would wear it out after 2^32 messages; a salt of 256 bits never meets itself.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use super::KeyError;

/// Says how the rest is to be read; another way of sealing would begin with another.
const VERSION: u8 = 1;
/// Bytes of the salt.
const SALT: usize = 32;
/// Bytes that are added to a message.
pub(super) const SEALING_ADDS: usize = 1 + SALT + MAX_TAG_LEN;
/// Bytes of the derived key, and of the nonce behind it.
const DERIVED: usize = 32 + NONCE_LEN;
/// Shortest key, bytes. A password is none: whoever has one sealed message could try them all.
const SHORTEST_KEY: usize = 32;

/// A symmetric key.
pub(super) struct SealingKey(Box<[u8]>);

/// What is derived for one message.
struct Derived;

impl KeyType for Derived {
    fn len(&self) -> usize {
        DERIVED
    }
}

impl SealingKey {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, String> {
        match bytes.len() {
            SHORTEST_KEY.. => Ok(Self(bytes.into())),
            length => Err(format!("it has {length} bytes, and a key has {SHORTEST_KEY} or more: write one with `openssl rand -hex 32`")),
        }
    }

    /// Version, salt, what was encrypted, tag.
    pub(super) fn seal(&self, context: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| unavailable())?;
        let (key, nonce) = self.derive(&salt, context).ok_or_else(unavailable)?;
        let mut sealed = Vec::with_capacity(1 + SALT + message.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(message);
        let tag = {
            let (_, encrypted) = sealed.split_at_mut(1 + SALT);
            key.seal_in_place_separate_tag(nonce, Aad::from([VERSION]), encrypted).map_err(|_| unavailable())?
        };
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(super) fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (version, rest) = sealed.split_first().ok_or(KeyError::Mismatch)?;
        let (salt, encrypted) = rest.split_first_chunk::<SALT>().ok_or(KeyError::Mismatch)?;
        if *version != VERSION {
            return Err(KeyError::Mismatch);
        }
        let (key, nonce) = self.derive(salt, context).ok_or(KeyError::Mismatch)?;
        let mut message = encrypted.to_vec();
        let length = key.open_in_place(nonce, Aad::from([VERSION]), &mut message).map_err(|_| KeyError::Mismatch)?.len();
        message.truncate(length);
        Ok(message)
    }

    /// The context is what HKDF calls `info`: what was sealed for one thing does not open as another.
    fn derive(&self, salt: &[u8; SALT], context: &str) -> Option<(LessSafeKey, Nonce)> {
        let info: [&[u8]; 2] = [b"plugway seal 1\0", context.as_bytes()];
        let mut derived = [0; DERIVED];
        Salt::new(HKDF_SHA256, salt).extract(&self.0).expand(&info, Derived).ok()?.fill(&mut derived).ok()?;
        let (key, nonce) = derived.split_at_checked(DERIVED - NONCE_LEN)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        Some((key, Nonce::try_assume_unique_for_key(nonce).ok()?))
    }
}

/// The operating system gave no random bytes.
fn unavailable() -> KeyError {
    KeyError::InvalidKey("nothing can be sealed now".to_owned())
}
