//! TLS settings (rustls with ring) for the harness's own clients and servers; the gateway under test makes its own.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::ca::{Authority, Issued};
use crate::error::{Context, Result};

/// HTTP/2 over TLS, in ALPN.
pub const H2: &[u8] = b"h2";
/// HTTP/1.1, in ALPN.
pub const HTTP_1_1: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authority: &Authority) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).context("the CA")?;
    Ok(roots)
}

/// A client that trusts `authority` alone, offers `alpn` in order, and shows `identity` when asked.
///
/// # Errors
/// When a certificate or key is not usable.
pub fn client(authority: &Authority, alpn: &[&[u8]], identity: Option<&Issued>) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().context("TLS versions")?;
    let builder = builder.with_root_certificates(roots(authority)?);
    let mut config = match identity {
        Some(issued) => builder.with_client_auth_cert(vec![issued.der().clone()], issued.key()).context("the client certificate")?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A server with one certificate that offers `alpn` in order and, given `clients`, demands certificates of that authority.
///
/// # Errors
/// When a certificate or key is not usable.
pub fn server(identity: &Issued, alpn: &[&[u8]], clients: Option<&Authority>) -> Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().context("TLS versions")?;
    let builder = match clients {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider());
            builder.with_client_cert_verifier(verifier.build().context("the client CA")?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![identity.der().clone()], identity.key()).context("the server certificate")?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
