//! How an endpoint's certificate is verified and which one is shown to it. Verification cannot be turned off.

use std::fmt;
use std::sync::Arc;

use ring::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::config::model::{CertificateFiles, Protocol, TlsProfile};
use crate::tls_files::{SettingError, read_certificates, read_pair};

/// A TLS profile, ready to be used.
#[derive(Debug)]
pub struct Profile {
    /// Its name; `None` for the upstream's own.
    pub name: Option<String>,
    /// Never given to another while the process runs: connections made with one profile are not used for another.
    pub(super) id: u64,
    /// Name sent (SNI) and verified; the endpoint's host where `None`.
    pub(super) server_name: Option<ServerName<'static>>,
    // One configuration per protocol: ALPN is part of it, and so are the sessions kept for resumption.
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// A profile whose files have been read.
pub(super) struct ProfileFiles {
    ca: Option<Vec<CertificateDer<'static>>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    server_name: Option<ServerName<'static>>,
}

// === impl ProfileFiles ===

impl ProfileFiles {
    pub(super) fn read(profile: &TlsProfile) -> Result<Self, Vec<SettingError>> {
        let ca = profile.ca.as_deref().map(read_certificates).transpose();
        let ca = ca.map_err(|error| vec![SettingError::new("ca", error)]);
        let read = |files: &CertificateFiles| read_pair(&files.certificate, &files.key);
        let client = profile.client_certificate.as_ref().map(read).transpose();
        let client = client.map_err(|errors| errors.into_iter().map(|error| error.inside("client_certificate")).collect());
        let server_name = profile.server_name.as_deref().map(parse_server_name).transpose();
        let server_name = server_name.map_err(|problem| vec![SettingError::new("server_name", problem)]);
        match (ca, client, server_name) {
            (Ok(ca), Ok(client), Ok(server_name)) => Ok(Self { ca, client, server_name }),
            (ca, client, server_name) => Err([ca.err(), client.err(), server_name.err()].into_iter().flatten().flatten().collect()),
        }
    }

    pub(super) fn needs_system_roots(&self) -> bool {
        self.ca.is_none()
    }

    /// Tells whether two reads gave the same, so that an unchanged profile keeps its connections across a reload.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        // Every part with its length and every group with its count: no two lists read alike.
        let mut part = |bytes: &[u8]| {
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        };
        for group in [self.ca.as_deref(), self.client.as_ref().map(|(chain, _)| chain.as_slice())] {
            part(&group.map_or(usize::MAX, <[_]>::len).to_be_bytes());
            group.unwrap_or_default().iter().for_each(|certificate| part(certificate));
        }
        part(self.client.as_ref().map_or(&[], |(_, key)| key.secret_der()));
        part(self.server_name.as_ref().map(ServerName::to_str).as_deref().unwrap_or_default().as_bytes());
        let mut sum = [0; 32];
        sum.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        sum
    }

    /// `system_roots` are used where the profile names no `ca`.
    pub(super) fn build(
        self,
        name: Option<&str>,
        id: u64,
        model: &TlsProfile,
        system_roots: &Arc<RootCertStore>,
    ) -> Result<Profile, SettingError> {
        let roots = match self.ca {
            None => Arc::clone(system_roots),
            Some(certificates) => {
                let file = model.ca.as_deref().unwrap_or_else(|| std::path::Path::new("")).display().to_string();
                let mut roots = RootCertStore::empty();
                for certificate in certificates {
                    roots.add(certificate).map_err(|error| {
                        let problem = format!(
                            "{file} holds a certificate that cannot be a root ({error}): it must be that of a certificate authority"
                        );
                        SettingError::new("ca", problem)
                    })?;
                }
                Arc::new(roots)
            }
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| SettingError::new("ca", error))?
            .with_root_certificates(roots);
        let mut http1 = match self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                let files =
                    model.client_certificate.iter().map(|files| format!("{} and {}: ", files.certificate.display(), files.key.display()));
                let problem = format!("{}{error}: certificate and key must belong together, leaf first", files.collect::<String>());
                SettingError::new("client_certificate", problem)
            })?,
        };
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        // Sessions agreed for one protocol must not be resumed for the other.
        http2.resumption = rustls::client::Resumption::default();
        Ok(Profile { name: name.map(str::to_owned), id, server_name: self.server_name, http1: Arc::new(http1), http2: Arc::new(http2) })
    }
}

/// A host name or address literal as rustls wants it.
pub(super) fn parse_server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is neither a host name nor an address"))
}

// === impl Profile ===

impl Profile {
    pub(super) fn client_config(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }
}

impl fmt::Debug for ProfileFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileFiles").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
