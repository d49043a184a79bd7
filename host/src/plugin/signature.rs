//! Who vouches for a plugin's file: Ed25519 signatures (RFC 8032) over its digest, kept beside it in a file of their own.
//!
//! `FILE.sig` is text. Its first two lines are the very bytes that are signed, each further line is one key and its signature:
//!
//! ```text
//! plugway plugin signature v1
//! sha256:7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a
//! ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= 0YuR…Ag==
//! ```
//!
//! The first line keeps a signature from meaning anything elsewhere, and the second binds it to the component. Nothing else is
//! signed: a signature says "this key's holder let these bytes out", not under which name or where they may be used; that
//! is the configuration's. Why so is in `docs/adr/0012`.

mod key;
mod trust;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::open_file;

pub use key::{KeyError, SigningKey, VerifyingKey};
pub use trust::{TrustedKeys, Untrusted};

/// The line every signed message begins with.
const FIRST_LINE: &str = "plugway plugin signature v1";
/// Signatures of one file: those of a few keys, while one takes another's place.
const MOST_SIGNATURES: usize = 16;
/// Bytes of a signature file: two lines, and 140 for each signature.
const MOST_BYTES: u64 = 8 << 10;

/// What is in `FILE.sig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFile {
    /// SHA-256 of the component, in hexadecimal.
    digest: String,
    signatures: Vec<Signature>,
}

/// One key's signature, which may or may not be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature {
    key: VerifyingKey,
    bytes: [u8; 64],
}

/// One key of a signature file, and whether its signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// The key the file names.
    pub key: VerifyingKey,
    /// Whether that key signed this component.
    pub fits: bool,
}

/// Why a signature file cannot be used.
#[derive(Debug)]
pub enum SignatureFileError {
    /// The system does not give it.
    Io(io::Error),
    /// It is something else; the text goes on from "it".
    Malformed(String),
}

// === impl SignatureFile ===

impl SignatureFile {
    /// No signature yet of the component with that digest.
    pub fn new(digest: &str) -> Self {
        Self { digest: digest.to_owned(), signatures: Vec::new() }
    }

    /// Where the signatures of a component lie: `FILE.sig`.
    pub fn beside(component: &Path) -> PathBuf {
        let mut name = OsString::from(component);
        name.push(".sig");
        PathBuf::from(name)
    }

    /// Reads a signature file; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn read(file: &Path) -> Result<Option<Self>, SignatureFileError> {
        let opened = match open_file(file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SignatureFileError::Io(error)),
        };
        let mut bytes = Vec::new();
        opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(SignatureFileError::Io)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(SignatureFileError::Malformed(format!("is larger than {MOST_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| SignatureFileError::Malformed("is no text".to_owned()))?;
        Self::parse(&text).map(Some).map_err(SignatureFileError::Malformed)
    }

    /// # Errors
    /// What is wrong with the text.
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim_end);
        match lines.next() {
            Some(FIRST_LINE) => {}
            Some(line) if line.starts_with("plugway plugin signature ") => {
                return Err(format!("has the form `{}`, and this plugway knows `{FIRST_LINE}`", line.escape_debug()));
            }
            _ => return Err(format!("does not begin with the line `{FIRST_LINE}`")),
        }
        let digest = lines.next().and_then(|line| line.strip_prefix("sha256:"));
        let is_digest = |text: &&str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digest = digest.filter(is_digest).ok_or("has no digest (`sha256:` and 64 hexadecimal digits) in its second line")?;
        let mut signatures = Vec::new();
        for (index, line) in lines.enumerate() {
            let signature = || {
                let (key, bytes) = line.split_once(' ')?;
                Some(Signature { key: key.parse().ok()?, bytes: STANDARD.decode(bytes).ok()?.try_into().ok()? })
            };
            signatures.push(signature().ok_or_else(|| format!("has no key and signature in line {}", index + 3))?);
        }
        match signatures.len() {
            0 => Err("holds no signature".to_owned()),
            count if count > MOST_SIGNATURES => Err(format!("holds more than {MOST_SIGNATURES} signatures")),
            _ => Ok(Self { digest: digest.to_owned(), signatures }),
        }
    }

    /// SHA-256 of the component it is for, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Adds a key's signature, in the place of an earlier one of that key.
    ///
    /// # Errors
    /// When there are too many.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), String> {
        let signature = Signature { key: key.verifying_key(), bytes: key.sign(&message(&self.digest)) };
        self.signatures.retain(|known| known.key != signature.key);
        if self.signatures.len() >= MOST_SIGNATURES {
            return Err(format!("there are {MOST_SIGNATURES} signatures already"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The keys it names, and whether each signed the component with that digest.
    pub fn signers(&self, digest: &str) -> impl Iterator<Item = Signer> + '_ {
        let message = message(digest);
        self.signatures.iter().map(move |signature| Signer { key: signature.key, fits: signature.key.verifies(&message, &signature.bytes) })
    }
}

/// What is signed: the first two lines of the file.
fn message(digest: &str) -> Vec<u8> {
    format!("{FIRST_LINE}\nsha256:{digest}\n").into_bytes()
}

impl fmt::Display for SignatureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&message(&self.digest)))?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{} {}", signature.key, STANDARD.encode(signature.bytes)))
    }
}

// === impl SignatureFileError ===

impl fmt::Display for SignatureFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SignatureFileError {}

#[cfg(test)]
mod tests;
