//! TLS termination: which certificate a client is shown, what is asked of it, and which hosts a connection may name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use webpki::EndEntityCert;

use crate::config::model::{CertificateFiles, ClientAuth, ListenerTls};
use crate::tls_files::{SettingError, TlsFileError, read_certificates, read_pair};

/// TLS of one listener.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    asked: Arc<Asked>,
    /// Those of other listeners that let nobody in without a certificate of a client.
    guarded: Vec<Arc<Asked>>,
}

/// What a listener shows, and what it asks for.
#[derive(Debug)]
struct Asked {
    certificates: Arc<Certificates>,
    client_auth: ClientAuth,
}

/// Certificates by the names they are valid for.
#[derive(Debug)]
struct Certificates {
    all: Vec<Certificate>,
    /// Lower case; a wildcard stands as `*.example.com`. The first certificate that has a name is shown for it.
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    /// Lower case.
    names: Vec<String>,
}

impl ServerTls {
    /// Reads every file and makes one TLS configuration of them.
    ///
    /// # Errors
    /// Every file that cannot be read or used, key that is not the certificate's, certificate without names; the text names
    /// the file and says what to do. A setting of a certificate stands below `certificates[NUMBER]`, however the file has it.
    pub fn build(tls: &ListenerTls) -> Result<Self, Vec<SettingError>> {
        let provider = Arc::new(ring::default_provider());
        let (mut all, mut errors) = (Vec::with_capacity(tls.certificates.len()), Vec::new());
        for (index, files) in tls.certificates.iter().enumerate() {
            match Certificate::read(files, &provider) {
                Ok(certificate) => all.push(certificate),
                Err(found) => errors.extend(found.into_iter().map(|error| error.inside(&format!("certificates[{index}]")))),
            }
        }
        let verifier = match &tls.client_auth {
            ClientAuth::None => Ok(None),
            ClientAuth::Optional { ca } => verifier(ca, &provider, false).map(Some),
            ClientAuth::Required { ca } => verifier(ca, &provider, true).map(Some),
        };
        let verifier = verifier.unwrap_or_else(|error| {
            errors.push(SettingError::new("client_auth.ca", error));
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        Self::of(all, verifier, tls, provider)
            .map_err(|error| vec![SettingError::new("certificates", format!("cannot be served: {error}"))])
    }

    fn of(
        all: Vec<Certificate>,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
        tls: &ListenerTls,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let mut by_name = HashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert(index);
            }
        }
        let certificates = Arc::new(Certificates { all, by_name });
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificates) as _;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = if tls.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        // Resumption without state: a client may come back to another worker.
        config.ticketer = ring::Ticketer::new()?;
        let asked = Arc::new(Asked { certificates, client_auth: tls.client_auth.clone() });
        Ok(Self { config: Arc::new(config), asked, guarded: Vec::new() })
    }

    /// The same beside other listeners, whose client-certificate rules hold for the hosts that are theirs. Sessions go on.
    pub fn beside<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Self {
        let guards =
            |other: &Asked| matches!(other.client_auth, ClientAuth::Required { .. }) && other.client_auth != self.asked.client_auth;
        let guarded = others.map(|other| &other.asked).filter(|other| guards(other)).map(Arc::clone).collect();
        Self { config: Arc::clone(&self.config), asked: Arc::clone(&self.asked), guarded }
    }

    /// For the handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whether the certificate shown for this server name (SNI) is valid for that host: a client that asks for another one
    /// on this connection is on the wrong one (RFC 9110, section 15.5.20). The host has no port; a dot at its end means
    /// nothing to routes, and neither does it here. A host that another listener names more closely, and lets nobody in to
    /// without a certificate, is not covered either: a wildcard would lead around that.
    pub fn covers(&self, server_name: Option<&str>, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let own = &self.asked.certificates;
        let guarded = || self.guarded.iter().any(|other| other.certificates.names(host) > own.names(host));
        own.choose(server_name).is_some_and(|certificate| certificate.covers(host)) && !guarded()
    }
}

fn verifier(ca: &Path, provider: &Arc<CryptoProvider>, required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(ca)? {
        roots.add(certificate).map_err(|error| TlsFileError::new(ca, format!("holds a root that cannot be used: {error}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsFileError::new(ca, format!("cannot be used to verify clients: {error}")))
}

impl Certificate {
    fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Self, Vec<SettingError>> {
        let (chain, key) = read_pair(&files.certificate, &files.key)?;
        let names = hosts(&chain, &files.certificate).map_err(|error| SettingError::new("certificate", error));
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            let problem = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("is not the key of {}: the two do not belong together", files.certificate.display())
                }
                other => format!("cannot be used: {other}"),
            };
            SettingError::new("key", TlsFileError::new(&files.key, problem))
        });
        match (names, key) {
            (Ok(names), Ok(key)) => Ok(Self { key: Arc::new(key), names }),
            (names, key) => Err(names.err().into_iter().chain(key.err()).collect()),
        }
    }

    fn covers(&self, host: &str) -> bool {
        if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
            return self.covers_address(host.trim_start_matches('[').trim_end_matches(']'));
        }
        let is = |name: &String| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
            None => host.eq_ignore_ascii_case(name),
        };
        self.names.iter().any(is)
    }

    fn covers_address(&self, host: &str) -> bool {
        let Some(leaf) = self.key.cert.first() else { return false };
        let (Ok(name), Ok(certificate)) = (ServerName::try_from(host), EndEntityCert::try_from(leaf)) else { return false };
        certificate.verify_is_valid_for_subject_name(&name).is_ok()
    }
}

/// The DNS names a chain's certificate is valid for.
fn hosts(chain: &[CertificateDer<'static>], file: &Path) -> Result<Vec<String>, TlsFileError> {
    let names = chain.first().map(names).transpose();
    let names = names.map_err(|error| TlsFileError::new(file, format!("is no valid certificate: {error}")))?;
    let without = "names no host: clients ignore its common name, so issue it with a subjectAltName (`DNS:` or `IP:`)";
    names.flatten().ok_or_else(|| TlsFileError::new(file, without.to_owned()))
}

/// The DNS names a certificate is valid for; `None` when it is valid for nothing, addresses included.
fn names(leaf: &CertificateDer<'static>) -> Result<Option<Vec<String>>, webpki::Error> {
    let certificate = EndEntityCert::try_from(leaf)?;
    let names: Vec<_> = certificate.valid_dns_names().map(str::to_ascii_lowercase).collect();
    // There is no list of addresses, but the reason why one does not match has it.
    let unspecified = ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]));
    let nothing = match certificate.verify_is_valid_for_subject_name(&unspecified) {
        Err(webpki::Error::CertNotValidForName(context)) => context.presented.is_empty(),
        _ => false,
    };
    Ok((!nothing).then_some(names))
}

/// How closely certificates name a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Not,
    ByWildcard,
    Exactly,
}

impl Certificates {
    fn names(&self, host: &str) -> Named {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        match parent {
            _ if self.by_name.contains_key(&host) => Named::Exactly,
            Some(parent) if self.by_name.contains_key(&parent) => Named::ByWildcard,
            _ => Named::Not,
        }
    }

    /// The first one for clients that name no server, or one that is not here: what they make of it is theirs to say, and
    /// no host but those it is valid for is answered.
    fn choose(&self, server_name: Option<&str>) -> Option<&Certificate> {
        let chosen = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
            self.by_name.get(&name).or_else(parent).copied()
        });
        self.all.get(chosen.unwrap_or(0))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).map(|certificate| Arc::clone(&certificate.key))
    }
}

#[cfg(test)]
mod tests;
