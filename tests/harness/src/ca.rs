//! Throw-away certificate authorities: keys are made at start, live in memory or in a temporary folder, and are trusted by
//! nobody else.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Context, Result};
use crate::temp::write_private;

/// A root that signs server and client certificates (ECDSA P-256).
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its private key.
#[derive(Debug)]
pub struct Issued {
    der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    /// A point on P-256, uncompressed (SEC 1, section 2.3.3).
    public_key: Vec<u8>,
    /// SHA-256 of it as the certificate has it (RFC 7469, section 2.4).
    pin: [u8; 32],
    certificate_pem: String,
    key_pem: String,
}

/// Where an [`Issued`] was written.
#[derive(Debug, Clone)]
pub struct PemFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key (PKCS#8, mode 0600).
    pub key: PathBuf,
}

impl Authority {
    /// A new self-signed root with this common name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate().context("a key for the CA")?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("the CA's certificate")?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// A server certificate for these DNS names (wildcards too) and IP addresses; the first is the common name.
    ///
    /// # Errors
    /// When a name is neither a DNS name nor an address.
    pub fn server(&self, names: &[&str]) -> Result<Issued> {
        self.issue(server_params(names)?, names.first().copied().unwrap_or("server"), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// As [`Authority::server`], valid from the first day of one year to the first day of another.
    ///
    /// # Errors
    /// As [`Authority::server`].
    pub fn server_in(&self, years: Range<i32>, names: &[&str]) -> Result<Issued> {
        let mut params = server_params(names)?;
        (params.not_before, params.not_after) = (date_time_ymd(years.start, 1, 1), date_time_ymd(years.end, 1, 1));
        self.issue(params, names.first().copied().unwrap_or("server"), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// As [`Authority::server`], valid until then.
    ///
    /// # Errors
    /// As [`Authority::server`].
    pub fn server_until(&self, until: SystemTime, names: &[&str]) -> Result<Issued> {
        let mut params = server_params(names)?;
        params.not_after = until.into();
        self.issue(params, names.first().copied().unwrap_or("server"), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate with this common name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn client(&self, name: &str) -> Result<Issued> {
        self.issue(CertificateParams::default(), name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, params: CertificateParams, name: &str, purpose: ExtendedKeyUsagePurpose) -> Result<Issued> {
        let key = KeyPair::generate().context("a key")?;
        let mut params = named(params, name, purpose);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).context(name)?;
        Ok(Issued::new(&certificate, &key))
    }

    /// The root itself.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The root, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes the root to `DIRECTORY/NAME.pem`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let path = directory.join(format!("{name}.pem"));
        write_private(&path, self.pem.as_bytes())?;
        Ok(path)
    }
}

impl Issued {
    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        let mut pin = [0; 32];
        pin.copy_from_slice(digest(&SHA256, &key.subject_public_key_info()).as_ref());
        Self {
            der: certificate.der().clone(),
            public_key: key.public_key_raw().to_vec(),
            pin,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    /// The certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Its private key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// Its public key: a point on P-256, uncompressed (SEC 1, section 2.3.3).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// SHA-256 of its public key, by which a browser can be told to take it (RFC 7469, section 2.4).
    pub fn pin(&self) -> [u8; 32] {
        self.pin
    }

    /// Certificate and key, PEM.
    pub fn pems(&self) -> (&str, &str) {
        (&self.certificate_pem, &self.key_pem)
    }

    /// SHA-256 of the certificate, lower-case hexadecimal, as upstreams report it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// Writes `DIRECTORY/NAME.pem` and `DIRECTORY/NAME.key`.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> Result<PemFiles> {
        let files = PemFiles { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
        write_private(&files.certificate, self.certificate_pem.as_bytes())?;
        write_private(&files.key, self.key_pem.as_bytes())?;
        Ok(files)
    }
}

/// A client certificate with this common name that nobody signed but its own key.
///
/// # Errors
/// When no key can be made.
pub fn self_signed(name: &str) -> Result<Issued> {
    let key = KeyPair::generate().context("a key")?;
    let params = named(CertificateParams::default(), name, ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = params.self_signed(&key).context(name)?;
    Ok(Issued::new(&certificate, &key))
}

fn named(mut params: CertificateParams, name: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params
}

fn server_params(names: &[&str]) -> Result<CertificateParams> {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).context("server names")
}

/// SHA-256 of a certificate, lower-case hexadecimal.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(digest(&SHA256, certificate).as_ref())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
