//! Whose signature counts, and what is wrong where none does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{SignatureFile, SignatureFileError, VerifyingKey};

/// The keys an operator trusts, by the names given to them.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(Vec<(Arc<str>, VerifyingKey)>);

/// Why nobody trusted vouches for a component.
#[derive(Debug)]
pub enum Untrusted {
    /// There is no signature file.
    Unsigned {
        /// Where it would lie.
        file: PathBuf,
    },
    /// The signature file cannot be used.
    Unreadable {
        /// It.
        file: PathBuf,
        /// Why not.
        error: SignatureFileError,
    },
    /// The signatures are for other bytes.
    Altered {
        /// The signature file.
        file: PathBuf,
        /// SHA-256 of what was signed.
        signed: String,
        /// SHA-256 of what is here.
        found: String,
    },
    /// A trusted key is named, and what stands beside it is not its signature.
    Forged {
        /// The signature file.
        file: PathBuf,
        /// The name of the key.
        name: Arc<str>,
    },
    /// No key that signed it is trusted.
    Unknown {
        /// The keys.
        keys: Vec<VerifyingKey>,
    },
}

// === impl TrustedKeys ===

impl TrustedKeys {
    /// Trusts one more key.
    pub fn trust(&mut self, name: &str, key: VerifyingKey) {
        self.0.push((Arc::from(name), key));
    }

    /// The name a key is trusted by.
    pub fn name(&self, key: VerifyingKey) -> Option<&Arc<str>> {
        self.0.iter().find(|(_, trusted)| *trusted == key).map(|(name, _)| name)
    }

    /// Who vouches for a component: the first trusted key whose signature of that digest lies beside it, and its name.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn signer(&self, component: &Path, digest: &str) -> Result<(Arc<str>, VerifyingKey), Untrusted> {
        let file = SignatureFile::beside(component);
        match SignatureFile::read(&file) {
            Ok(Some(signatures)) => self.judge(file, &signatures, digest),
            Ok(None) => Err(Untrusted::Unsigned { file }),
            Err(error) => Err(Untrusted::Unreadable { file, error }),
        }
    }

    pub(super) fn judge(&self, file: PathBuf, signatures: &SignatureFile, digest: &str) -> Result<(Arc<str>, VerifyingKey), Untrusted> {
        if signatures.digest() != digest {
            return Err(Untrusted::Altered { file, signed: signatures.digest().to_owned(), found: digest.to_owned() });
        }
        let signers: Vec<_> = signatures.signers(digest).collect();
        let named = |fits| {
            let mut trusted = signers.iter().filter(move |signer| signer.fits == fits);
            trusted.find_map(|signer| Some((Arc::clone(self.name(signer.key)?), signer.key)))
        };
        match (named(true), named(false)) {
            (Some(trusted), _) => Ok(trusted),
            (None, Some((name, _))) => Err(Untrusted::Forged { file, name }),
            (None, None) => Err(Untrusted::Unknown { keys: signers.into_iter().map(|signer| signer.key).collect() }),
        }
    }
}

// === impl Untrusted ===

impl Untrusted {
    /// As JSON and metrics name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "unsigned",
            Self::Unreadable { .. } => "unreadable",
            Self::Altered { .. } => "altered",
            Self::Forged { .. } => "forged",
            Self::Unknown { .. } => "unknown-key",
        }
    }

    /// What the operator should do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => {
                "get its signature file from whoever let it out, or sign it with `plugway plugin sign FILE --key KEY`, and put the two side by side"
            }
            Self::Altered { .. } | Self::Forged { .. } => "do not use it: get the file and its signature anew from whoever let it out",
            Self::Unreadable { .. } => "get the signature file anew, or write one with `plugway plugin sign FILE --key KEY`",
            Self::Unknown { .. } => "if you trust one of these keys, give it a name in [trust.keys]",
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned { file } => write!(f, "it is not signed: there is no {}", file.display()),
            Self::Unreadable { file, error } => write!(f, "its signature cannot be checked: {} {error}", file.display()),
            Self::Altered { file, signed, found } => {
                write!(f, "it is not what was signed: {} is for sha256:{signed}, and this is sha256:{found}", file.display())
            }
            Self::Forged { file, name } => write!(f, "the signature of `{name}` in {} is wrong", file.display()),
            Self::Unknown { keys } => {
                let keys: Vec<_> = keys.iter().map(VerifyingKey::to_string).collect();
                write!(f, "it is signed by a key that is not trusted: {}", keys.join(", "))
            }
        }
    }
}

impl std::error::Error for Untrusted {}
