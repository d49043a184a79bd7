//! Certificates and private keys as they lie in PEM files (RFC 7468). An error names the file and says what to do.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::read_file;

/// Largest file, bytes: sixty times what a system's roots take.
pub(crate) const LARGEST: u64 = 16 << 20;

/// Every certificate of a PEM file, in order; other sections are passed over.
///
/// # Errors
/// The file cannot be read, is no PEM, or holds no certificate.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsFileError::new(file, format!("is no valid PEM ({error:?}): write it anew from its source")))?;
    if certificates.is_empty() {
        let found = if contains(&bytes, b"PRIVATE KEY-----") { "holds a private key but no certificate" } else { "holds no certificate" };
        return Err(TlsFileError::new(
            file,
            format!("{found}: it must have a `-----BEGIN CERTIFICATE-----` section (a DER file: `openssl x509 -inform der`)"),
        ));
    }
    Ok(certificates)
}

/// The first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
///
/// # Errors
/// The file cannot be read, is no PEM, holds no key, or an encrypted one.
pub(crate) fn read_private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let bytes = read(file)?;
    // Both encrypted forms, PKCS#8 and the older PEM header, before the parser meets what it cannot read.
    if contains(&bytes, b"ENCRYPTED PRIVATE KEY-----") || contains(&bytes, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsFileError::new(
            file,
            "is encrypted, and there is nobody to ask for the passphrase: decrypt it with `openssl pkey -in KEY -out NEW`".to_owned(),
        ));
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(TlsFileError::new(
            file,
            "holds no private key: it must have a `-----BEGIN PRIVATE KEY-----` section (PKCS#8, PKCS#1 or SEC1)".to_owned(),
        )),
        Err(error) => Err(TlsFileError::new(file, format!("is no valid PEM ({error:?}): write it anew from its source"))),
    }
}

/// Why a certificate or key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFileError {
    /// The file.
    file: PathBuf,
    /// What is wrong with it and what to do, as the end of a sentence that begins with the file's name.
    problem: String,
}

impl TlsFileError {
    /// A problem of that file.
    pub(crate) fn new(file: &Path, problem: String) -> Self {
        Self { file: file.to_owned(), problem }
    }
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.file.display(), self.problem)
    }
}

impl Error for TlsFileError {}

/// A setting that cannot be used, nearly always for the file it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The key, inside of the table that was looked at.
    pub setting: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl SettingError {
    /// A problem of that setting.
    pub fn new(setting: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { setting: setting.into(), problem: problem.to_string() }
    }

    /// The same, seen from the table that `outer` is in.
    #[must_use]
    pub fn inside(self, outer: &str) -> Self {
        Self { setting: format!("{outer}.{}", self.setting), ..self }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl Error for SettingError {}

/// A certificate chain and its private key, both read; every file that could not be is told.
///
/// # Errors
/// Those of [`read_certificates`] for `certificate` and of [`read_private_key`] for `key`.
pub(crate) fn read_pair(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Vec<SettingError>> {
    let chain = read_certificates(certificate).map_err(|error| SettingError::new("certificate", error));
    let key = read_private_key(key).map_err(|error| SettingError::new("key", error));
    match (chain, key) {
        (Ok(chain), Ok(key)) => Ok((chain, key)),
        (chain, key) => Err(chain.err().into_iter().chain(key.err()).collect()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFileError> {
    read_file(file, LARGEST).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "let the user that plugway runs as read it",
            _ => "correct the path; a relative one starts at the folder of the configuration file",
        };
        TlsFileError::new(file, format!("cannot be read: {error}: {help}"))
    })
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_read() {
        for place in ["/dev/zero", "/"] {
            let error = read_certificates(Path::new(place)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{place} cannot be read: it is no file")), "{error}");
        }
    }
}
