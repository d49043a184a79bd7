//! Where clients connect to, and by which TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[listen.NAME]`
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it listens; port 0 picks a free one.
    pub address: SocketAddr,
    /// TLS termination.
    pub tls: Option<ListenerTls>,
}

/// `[listen.NAME.tls]`
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// Certificates to choose from by SNI; the first serves clients that send none.
    pub certificates: Vec<CertificateFiles>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Whether HTTP/2 is offered by ALPN; default true.
    pub http2: bool,
}

/// A certificate chain and its private key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Leaf first.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// The client-certificate rule of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    None,
    /// Asked for and verified when sent.
    Optional {
        /// PEM file of trusted roots.
        ca: PathBuf,
    },
    /// A handshake without a valid one fails.
    Required {
        /// PEM file of trusted roots.
        ca: PathBuf,
    },
}
