//! The checked configuration: what the rest of the gateway builds on. Every name is resolved, every default filled in, every
//! path made absolute, so nothing downstream has to check again.

mod access_log;
mod canary;
mod grants;
mod listener;
mod retry;
mod route;
mod store;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Map, Value};

pub use self::access_log::{AccessField, AccessFormat, AccessLog, Redact, Share};
pub use self::canary::{Canary, CanaryBy, Trial};
pub use self::grants::{AllowedHost, CryptoGrant, Grants, HttpClientGrant, KvGrant, KvScope, RateLimitGrant, Secret, SecretSource};
pub use self::listener::{CertificateFiles, ClientAuth, Listener, ListenerTls};
pub use self::retry::RetryOn;
pub use self::route::{HeaderMatch, HostPattern, LatencyObjective, Match, PathPattern, PluginUse, Route, Segment, Slo};
pub use self::store::{Keep, Store};
pub use self::traces::{Otlp, OtlpHeader, Tracing};
use super::document::Places;
use super::problems::Problem;

/// One whole gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it was read from; relative paths inside it are relative to its folder.
    pub file: PathBuf,
    /// Worker threads; default one per core.
    pub workers: usize,
    /// Where compiled components are kept; default `plugway` in the user's cache folder.
    pub cache_directory: PathBuf,
    /// Where plugin files are looked up; default `plugins.d` beside the file.
    pub plugin_directory: PathBuf,
    /// Where versions of plugins are kept; default a folder for this file in `plugway` in the user's state folder.
    pub state_directory: PathBuf,
    /// Versions kept of each plugin, the serving one included; default 5.
    pub keep_versions: usize,
    /// What tells clients apart that are to meet one version of a plugin; default their address.
    pub canary_by: CanaryBy,
    /// Listening sockets, in order of name.
    pub listeners: Vec<Listener>,
    /// The admin listener; default `127.0.0.1:9901`; `None` when `enabled = false`.
    pub admin: Option<SocketAddr>,
    /// Whose plugin files are loaded.
    pub trust: Trust,
    /// Every configured plugin, in order of name. `PluginUse::plugin` is an index into it.
    pub plugins: Vec<Plugin>,
    /// Every secret, in order of name.
    pub secrets: Vec<Secret>,
    /// Every upstream, in order of name. `Route::upstream` is an index into it.
    pub upstreams: Vec<Upstream>,
    /// Every route, as written.
    pub routes: Vec<Route>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// By which header of theirs a client's address is known; default `X-Forwarded-For`.
    pub client_address_header: ClientAddressHeader,
    /// Whether a client's headers with `_` in their names are passed on.
    pub keep_underscores: bool,
    /// Limits on what a client may use.
    pub limits: Limits,
    /// Timeouts towards clients.
    pub timeouts: Timeouts,
    /// Logging.
    pub log: Log,
    /// One line for each request.
    pub access_log: AccessLog,
    /// Which requests are recorded.
    pub tracing: Tracing,
    /// Where traces and metrics are sent, if anywhere.
    pub otlp: Option<Otlp>,
    /// The monitoring store.
    pub store: Store,
    /// Files whose text stands in plugins' tables.
    pub plugin_texts: BTreeSet<PathBuf>,
    /// Where everything stands in the file, for messages.
    pub places: Arc<Places>,
}

impl Config {
    /// A problem with a key, such as `plugins.auth.source`, with where it stands.
    pub fn problem(&self, key: impl Into<String>, message: impl Into<String>) -> Problem {
        let key = key.into();
        Problem::error(self.places.nearest(&key), key, message)
    }

    /// Whether some route uses the plugin of that number.
    pub fn uses(&self, plugin: usize) -> bool {
        self.routes.iter().any(|route| route.uses().any(|used| used.plugin == plugin))
    }

    /// What is promised of routes, by their names.
    pub fn slos(&self) -> BTreeMap<&str, Slo> {
        self.routes.iter().filter_map(|route| Some((route.name.as_str(), route.slo?))).collect()
    }
}

/// `[trust]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whether plugin files must be signed, unless a plugin says otherwise; default false.
    pub require_signature: bool,
    /// Keys that may sign, in order of name.
    pub keys: Vec<TrustedKey>,
}

/// A key of `[trust.keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Its name.
    pub name: String,
    /// PEM file of an Ed25519 public key.
    pub file: PathBuf,
}

/// `[plugins.NAME]`
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Where its bytes come from.
    pub source: Source,
    /// Whether its file must be signed by a trusted key; built-ins are part of the program.
    pub require_signature: bool,
    /// What it may use besides what every plugin has.
    pub grants: Grants,
    /// Its own table; a place's table is merged over it.
    pub config: Map<String, Value>,
    /// What shares an instance.
    pub isolation: Isolation,
    /// What one call and one instance may use.
    pub budget: Budget,
    /// What happens to a request when this plugin fails.
    pub on_failure: FailurePolicy,
    /// How a new version of its file begins; `None` for all at once.
    pub canary: Option<Canary>,
}

/// Where a plugin's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `builtin:NAME`
    Builtin(String),
    /// A file, looked up in `plugin_directory` unless the path is absolute.
    File(PathBuf),
}

/// `[plugins.NAME.budget]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// CPU time of one hook call on a worker; default 10 ms.
    pub cpu: Duration,
    /// CPU time of calls that fail, on one worker within ten seconds; default 400 ms.
    pub failed_cpu: Duration,
    /// CPU time of one call off the request's path (`configure`, `on-endpoints`, `on-complete`, `on-batch`); default 2 s.
    pub setup_cpu: Duration,
    /// Memory of one instance, bytes; default 32 MiB.
    pub memory: usize,
    /// Instances on one worker, for a plugin whose calls overlap; default 512.
    pub instances: usize,
    /// Time on the clock for one call that waits, the wait for an instance included; default 5 s.
    pub deadline: Duration,
    /// Headers a plugin may add to one message, and in one local answer; default 64.
    pub max_headers: usize,
    /// Bytes of names and values of those headers; default 32 KiB.
    pub max_header_bytes: usize,
    /// Body of a local answer, bytes; default 1 MiB.
    pub max_local_body_bytes: usize,
    /// Attributes and identity claims of one request, bytes; default 16 KiB.
    pub max_attribute_bytes: usize,
    /// Log lines a second of one version, over all workers; default 100.
    pub log_lines_per_second: u32,
    /// Metric series; default 1,000.
    pub max_series: usize,
}

/// What shares an instance of a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All requests of one worker; the default.
    #[default]
    Worker,
    /// Nothing: each call of a hook has a fresh one. Refused for routers, which keep a table.
    Request,
}

/// What a failing plugin does to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The request is answered with a 5xx.
    Reject,
    /// The request goes on as if the plugin were not there; refused for authorizers.
    Skip,
}

/// `[upstreams.NAME]`
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Its members, as written.
    pub endpoints: Vec<Endpoint>,
    /// TLS settings for `https` endpoints.
    pub tls: TlsProfile,
    /// Other TLS settings a forwarder may choose by name.
    pub tls_profiles: BTreeMap<String, TlsProfile>,
    /// Server names a forwarder may choose.
    pub server_names: Vec<String>,
    /// Application protocol; default HTTP/1.1.
    pub protocol: Protocol,
    /// The `Host` that is sent; default the client's.
    pub host: HostPolicy,
    /// Connecting, TLS included; default 5 s.
    pub connect_timeout: Duration,
    /// From sending the request, the last of its body that the upstream took, to the complete response head; default 60 s.
    pub response_timeout: Duration,
    /// Longest pause while a body is streamed either way; default 60 s.
    pub stream_timeout: Duration,
    /// How long an unused connection is kept; default 60 s.
    pub idle_timeout: Duration,
    /// Unused connections kept per endpoint, for all workers together; default 1,024.
    pub max_idle_connections: usize,
    /// Connections to one endpoint, for all workers together; default 16,384.
    pub max_connections: usize,
    /// Attempts in all, the first included; default 2.
    pub max_attempts: u32,
    /// What another attempt follows; default `connect` and `reset`.
    pub retry_on: RetryOn,
}

/// One member of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Host name or address literal, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// 1 to 65535; default 1.
    pub weight: u16,
    /// Free text for routers.
    pub labels: BTreeMap<String, String>,
}

impl Endpoint {
    /// `scheme://host:port`
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = &self.host;
        if host.contains(':') { format!("{scheme}://[{host}]:{}", self.port) } else { format!("{scheme}://{host}:{}", self.port) }
    }
}

/// How an endpoint's certificate is verified and which one is shown to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsProfile {
    /// PEM file of trusted roots; default the system's.
    pub ca: Option<PathBuf>,
    /// Name sent (SNI) and verified; default the endpoint's host.
    pub server_name: Option<String>,
    /// Certificate shown when asked.
    pub client_certificate: Option<CertificateFiles>,
}

/// Application protocol towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// Which `Host` an upstream sees: the client's, the endpoint's own, or always this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub enum HostPolicy {
    Client,
    Endpoint,
    Fixed(String),
}

/// `[limits]`: what a client may use. All per gateway, not per worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections; default 65,536.
    pub max_connections: usize,
    /// Bytes of a request head; default 64 KiB.
    pub max_head_bytes: usize,
    /// Header lines of a request; default 100.
    pub max_headers: usize,
    /// Bytes of a request body; default unlimited (bodies are streamed).
    pub max_body_bytes: Option<u64>,
    /// Requests answered at once on one HTTP/2 connection; default 128.
    pub max_concurrent_streams: u32,
    /// Requests answered on one connection before it is closed; default unlimited.
    pub max_requests_per_connection: Option<u64>,
    /// Age after which a connection is closed when idle; default unlimited.
    pub max_connection_age: Option<Duration>,
    /// Requests being answered at once; more get 503; default 65,536. A worker may keep places for requests to come: an eighth of them for all
    /// workers, 256 for each, at most.
    pub max_requests_in_flight: usize,
    /// Instances of plugins at once; default 4,096.
    pub max_plugin_instances: u32,
}

/// `[timeouts]`: towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// TLS handshake; default 10 s.
    pub handshake: Duration,
    /// From the first byte of a head to its end; default 15 s.
    pub head: Duration,
    /// Waiting for the next request on a kept connection; default 60 s.
    pub idle: Duration,
    /// Longest pause while a body is streamed either way; default 60 s.
    pub stream: Duration,
    /// Drain after Ctrl-C or SIGTERM; default 30 s.
    pub drain: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Lines of this level and louder; default `info`.
    pub level: tracing::Level,
    /// Human or JSON; default human on a terminal, JSON otherwise.
    pub format: LogFormat,
}

/// How log lines look: human on a terminal and JSON otherwise, for people, or one JSON object per line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub enum LogFormat {
    Auto,
    Human,
    Json,
}

/// A place in the configuration file, both counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// The header by which proxies tell a client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAddressHeader {
    /// As nearly every proxy does.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}
