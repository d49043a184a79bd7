//! `keys`: private and symmetric keys that a plugin uses and never has. What it gets is a signature, or what was sealed.
//!
//! Keys are read where a configuration is assembled, not where a request waits. One that cannot be read says so when it is
//! used, which a plugin does first in its `configure`.

mod private;
mod sealing;

use std::collections::BTreeMap;
use std::fmt;

use super::secrets::Secret;
use private::PrivateKey;
use sealing::{SEALING_ADDS, SealingKey};

/// Most input of one call, bytes: its time grows with what the guest passes.
const MAX_INPUT: usize = 1 << 20;
/// The same of what was sealed: whatever could be sealed can be opened.
const MAX_SEALED: usize = MAX_INPUT + SEALING_ADDS;

/// The keys one plugin was granted, by name.
#[derive(Debug, Default)]
pub struct Keys {
    by_name: BTreeMap<String, Result<Key, String>>,
}

/// What a secret is as a key.
enum Key {
    Private(Box<PrivateKey>),
    Symmetric(SealingKey),
}

/// Why a key was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// There is none of that name.
    NotGranted,
    /// It is not for this; the text says why, and holds nothing of the key.
    InvalidKey(String),
    /// An algorithm that is unknown, or not one of the key's.
    Unsupported,
    /// Not sealed with this key and context, or changed since.
    Mismatch,
    /// More than 1 MiB of input.
    TooLarge,
}

// === impl Keys ===

impl Keys {
    /// The algorithms a private key signs by, the usual one first.
    ///
    /// # Errors
    /// [`KeyError::NotGranted`], or [`KeyError::InvalidKey`] where it is no private key.
    pub fn algorithms(&self, key: &str) -> Result<&'static [&'static str], KeyError> {
        Ok(self.private(key)?.algorithms())
    }

    /// A signature by the algorithm's name in JWS (RFC 7518, section 3.1; RFC 8037, section 3.1).
    ///
    /// # Errors
    /// As [`algorithms`](Self::algorithms); [`KeyError::Unsupported`] and [`KeyError::TooLarge`].
    pub fn sign(&self, key: &str, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        bounded(message)?;
        self.private(key)?.sign(algorithm, message)
    }

    /// Encrypts and authenticates a message.
    ///
    /// # Errors
    /// [`KeyError::NotGranted`], [`KeyError::TooLarge`], or [`KeyError::InvalidKey`] where it is no symmetric key of 32 bytes.
    pub fn seal(&self, key: &str, context: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        bounded(message)?;
        self.symmetric(key)?.seal(context, message)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// As [`seal`](Self::seal); [`KeyError::Mismatch`] for everything that was not sealed with this key and context.
    pub fn open(&self, key: &str, context: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        if sealed.len() > MAX_SEALED {
            return Err(KeyError::TooLarge);
        }
        self.symmetric(key)?.open(context, sealed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn find(&self, name: &str) -> Result<&Key, KeyError> {
        let key = self.by_name.get(name).ok_or(KeyError::NotGranted)?;
        key.as_ref().map_err(|why| KeyError::InvalidKey(why.clone()))
    }

    fn private(&self, name: &str) -> Result<&PrivateKey, KeyError> {
        match self.find(name)? {
            Key::Private(key) => Ok(key),
            Key::Symmetric(_) => Err(KeyError::InvalidKey(
                "it is no private key: give a PEM file of PKCS #8, as `openssl genpkey` writes it, or a JSON Web Key".to_owned(),
            )),
        }
    }

    fn symmetric(&self, name: &str) -> Result<&SealingKey, KeyError> {
        match self.find(name)? {
            Key::Symmetric(key) => Ok(key),
            Key::Private(_) => Err(KeyError::InvalidKey(
                "a private key signs and does not seal: give 32 random bytes or more, as `openssl rand -hex 32`".to_owned(),
            )),
        }
    }
}

impl FromIterator<(String, Secret)> for Keys {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(secrets: I) -> Self {
        Self { by_name: secrets.into_iter().map(|(name, secret)| (name, Key::read(secret.bytes()))).collect() }
    }
}

// === impl Key ===

impl Key {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.trim_ascii();
        if text.starts_with(b"-----BEGIN") {
            return PrivateKey::from_pem(text).map(Box::new).map(Self::Private);
        }
        if text.starts_with(b"{") {
            return match private::read_jwk(text)? {
                private::Jwk::Private(key) => Ok(Self::Private(key)),
                private::Jwk::Symmetric(bytes) => SealingKey::new(&bytes).map(Self::Symmetric),
            };
        }
        SealingKey::new(bytes).map(Self::Symmetric)
    }
}

/// Nothing of it.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private(_) => "[private key]",
            Self::Symmetric(_) => "[symmetric key]",
        })
    }
}

fn bounded(input: &[u8]) -> Result<(), KeyError> {
    if input.len() > MAX_INPUT { Err(KeyError::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
