//! What a plugin may have beside what every plugin has, and the secrets there are.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::HostPattern;

/// `[plugins.NAME.grants]`: capabilities that are denied unless named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `crypto = {}`
    pub crypto: Option<CryptoGrant>,
    /// `kv = {}`
    pub kv: Option<KvGrant>,
    /// `rate-limit = {}`
    pub rate_limit: Option<RateLimitGrant>,
    /// `secrets = ["NAME"]`: names of secrets it may read.
    pub secrets: Vec<String>,
    /// `keys = ["NAME"]`: names of secrets it may use and not read.
    pub keys: Vec<String>,
    /// `http-client = { hosts = ["HOST"] }`
    pub http_client: Option<HttpClientGrant>,
}

impl Grants {
    /// Every secret it names, to be read or to be used.
    pub fn named_secrets(&self) -> impl Iterator<Item = &String> {
        self.secrets.iter().chain(&self.keys)
    }
}

/// `http-client = { hosts = ["id.example.com"], upstreams = ["id"] }`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpClientGrant {
    /// Where requests may go.
    pub hosts: Vec<AllowedHost>,
    /// Names of upstreams whose endpoints they may go to.
    pub upstreams: Vec<String>,
    /// Special networks that hosts may have addresses in.
    pub addresses: Vec<IpNet>,
    /// Time for one request, redirects included; default 3 s.
    pub timeout: Duration,
    /// Bytes of the body of one answer; default 1 MiB.
    pub max_body_bytes: usize,
    /// Redirects one request may follow; default 3.
    pub max_redirects: u32,
    /// Requests at once; default 1,024.
    pub max_in_flight: usize,
    /// Bytes of answers kept; default 16 MiB.
    pub max_cache_bytes: usize,
}

/// A place requests of a plugin may go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedHost {
    /// Whether over TLS.
    pub tls: bool,
    /// Which hosts.
    pub host: HostPattern,
    /// Which port.
    pub port: u16,
}

/// `crypto = { max_signatures = 8192 }`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CryptoGrant {
    /// Good signatures that are remembered; default 8,192.
    pub max_signatures: usize,
}

/// `kv = { scope = "node", max_entries = 10000, max_bytes = "16MiB" }`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KvGrant {
    /// Who shares the entries; default this gateway.
    pub scope: KvScope,
    /// Entries kept at once; default 10,000.
    pub max_entries: usize,
    /// Bytes they may take; default 16 MiB.
    pub max_bytes: usize,
}

/// Who shares the entries of `kv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvScope {
    /// All workers of this gateway.
    Node,
}

/// `rate-limit = { max_keys = 65536 }`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateLimitGrant {
    /// Buckets kept at once; default 65,536.
    pub max_keys: usize,
}

/// `[secrets.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub source: SecretSource,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The bytes of a file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
}
