//! Ed25519 keys (RFC 8032) as PEM files that OpenSSL reads and writes: `PRIVATE KEY` (PKCS#8, RFC 8410) and `PUBLIC KEY`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// DER in front of the 32 bytes of a public key (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER in front of the 32 bytes of a private key (RFC 8410, section 7), version 1: not every OpenSSL reads version 2, which is
/// what ring writes.
const PRIVATE_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// In front of a key's text.
const ALGORITHM: &str = "ed25519:";

/// Checks signatures. Its text is `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

/// Makes signatures. It is in no log: nothing prints it.
pub struct SigningKey(Ed25519KeyPair);

/// Why a key cannot be used; the text goes on from the file's name, and holds nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

// === impl VerifyingKey ===

impl VerifyingKey {
    /// Reads a `PUBLIC KEY` section.
    ///
    /// # Errors
    /// When there is none, or it is another kind of key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| {
            KeyError("holds no public key: it must have a `-----BEGIN PUBLIC KEY-----` section, as `plugway plugin keygen` writes".into())
        })?;
        let key = der.strip_prefix(&PUBLIC_PREFIX).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or_else(|| KeyError("holds a public key that is no Ed25519 key".into()))
    }

    /// A `PUBLIC KEY` section.
    pub fn to_pem(self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_PREFIX, &self.0])
    }

    /// Whether that is this key's signature of a message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix(ALGORITHM).and_then(|key| STANDARD.decode(key).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| KeyError("is no Ed25519 key".into()))
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// A new key, and its `PRIVATE KEY` section.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<(Self, String), KeyError> {
        let mut seed = [0; 32];
        ring::rand::SystemRandom::new().fill(&mut seed).map_err(|_| KeyError("the operating system gave no random bytes".into()))?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| KeyError(format!("cannot be made: {error}")))?;
        Ok((Self(pair), pem("PRIVATE KEY", &[&PRIVATE_PREFIX, &seed])))
    }

    /// Reads a `PRIVATE KEY` section.
    ///
    /// # Errors
    /// When there is none, or it is encrypted or another kind of key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| {
            let encrypted = pem.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY");
            KeyError(match encrypted {
                true => "is encrypted: decrypt it with `openssl pkey -in KEY -out NEW`".into(),
                false => "holds no private key: it must have a `-----BEGIN PRIVATE KEY-----` section (PKCS#8)".into(),
            })
        })?;
        // Version 1 has no public key to hold it against, and is what OpenSSL writes.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(Self)
            .map_err(|_| KeyError("holds a private key that is no Ed25519 key".into()))
    }

    /// The key that checks its signatures.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut key = [0; 32];
        key.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        VerifyingKey(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.iter_mut().zip(self.0.sign(message).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifying_key", &self.verifying_key()).finish_non_exhaustive()
    }
}

// === impl KeyError ===

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

/// These keys are short: their base64 is one line (RFC 7468, section 2).
fn pem(label: &str, der: &[&[u8]]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der.concat()))
}
