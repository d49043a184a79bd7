//! Facts of a request that no hook can change, and the head that some can.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Method};

use super::Target;

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Whether the client used TLS.
    pub tls: bool,
    /// Host and port asked for, lower case.
    pub authority: Arc<str>,
    /// Path and query.
    pub target: Target,
    /// Every header, without those of the connection.
    pub headers: HeaderMap,
}

/// Facts of a connection, shared by its requests.
#[derive(Debug)]
pub struct ConnectionFacts {
    /// The other end.
    pub peer: SocketAddr,
    /// Which `[listen.NAME]` it came in on.
    pub listener: Arc<str>,
    /// TLS, if any.
    pub tls: Option<TlsFacts>,
}

/// Facts of a TLS connection.
#[derive(Debug, Default)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Server name the client sent.
    pub server_name: Option<String>,
    /// Protocol agreed on.
    pub alpn: Option<&'static str>,
    /// Client certificate, DER.
    pub client_certificate: Option<Vec<u8>>,
    /// Its SHA-256, computed when first asked for.
    pub client_certificate_sha256: OnceLock<[u8; 32]>,
}

/// Facts of a route. On cache lines of its own, since each worker counts how many requests hold the ones it has.
#[derive(Debug, Clone)]
#[repr(align(128))]
pub struct RouteFacts {
    /// Its name.
    pub name: Arc<str>,
    /// The API it belongs to.
    pub api: Option<Arc<str>>,
    /// The API's version.
    pub version: Option<Arc<str>>,
}

// === impl RequestHead ===

impl RequestHead {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The path in normal form.
    pub fn path(&self) -> &str {
        self.target.path()
    }

    /// The path as received.
    pub fn raw_path(&self) -> &str {
        self.target.raw_path()
    }

    /// The query without `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The authority without its port.
    pub fn host(&self) -> &str {
        host_of(&self.authority)
    }

    /// The first query parameter of that name, decoded: `+` is a space, malformed escapes stay as they are, invalid UTF-8 becomes
    /// U+FFFD (WHATWG URL, application/x-www-form-urlencoded parsing).
    pub fn query_parameter(&self, name: &str) -> Option<String> {
        parameter(self.query()?, name)
    }
}

// === impl TlsFacts ===

impl TlsFacts {
    /// SHA-256 of the client certificate.
    pub fn client_certificate_sha256(&self) -> Option<&[u8; 32]> {
        let der = self.client_certificate.as_ref()?;
        Some(self.client_certificate_sha256.get_or_init(|| {
            let digest = ring::digest::digest(&ring::digest::SHA256, der);
            let mut sum = [0; 32];
            sum.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
            sum
        }))
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The host of an authority: without port, with the brackets of an IPv6 literal.
pub fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority.get(colon..).is_some_and(|port| port.contains(']')) => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_query_components() {
        assert_eq!(parameter("b=1&a=a%20b+c%zz%&a=2", "a").as_deref(), Some("a b c%zz%"));
        assert_eq!(parameter("%61=%ff", "a").as_deref(), Some("\u{fffd}"));
        assert_eq!(parameter("a&b=1", "a").as_deref(), Some(""));
        assert_eq!(parameter("b=1", "a"), None);
    }

    #[test]
    fn takes_the_port_off_every_form_of_authority() {
        for (authority, host) in [("a.example", "a.example"), ("a.example:8443", "a.example"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(host_of(authority), host);
        }
    }
}
