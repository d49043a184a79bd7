//! What a plugin may have beside what every plugin has, and the secrets there are.

use std::path::PathBuf;

/// `[plugins.NAME.grants]`: capabilities that are denied unless named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `crypto = {}`
    pub crypto: bool,
    /// `kv = {}`
    pub kv: Option<KvGrant>,
    /// `rate-limit = {}`
    pub rate_limit: Option<RateLimitGrant>,
    /// `secrets = ["NAME"]`: names of secrets.
    pub secrets: Vec<String>,
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
