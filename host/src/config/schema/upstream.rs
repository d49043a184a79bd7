//! `[upstreams.NAME]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CertificateFiles, List, Span};

/// Servers that do the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    /// Its members: URLs, or tables with `url`, `weight` and `labels`.
    #[schemars(required, length(min = 1), example = vec!["https://10.0.0.1:9443", "https://10.0.0.2:9443"])]
    pub(in crate::config) endpoints: Option<List<Endpoint>>,
    /// TLS settings for `https` endpoints.
    pub(in crate::config) tls: Option<TlsProfile>,
    /// Other TLS settings, by name, that a forwarder may choose. Default: none.
    #[serde(default)]
    pub(in crate::config) tls_profiles: BTreeMap<String, TlsProfile>,
    /// Server names (SNI) a forwarder may choose. Default: none.
    #[schemars(example = vec!["orders.internal"])]
    pub(in crate::config) server_names: Option<List<String>>,
    /// `"http1"` or `"http2"`. Default: `"http1"`.
    pub(in crate::config) protocol: Option<Protocol>,
    /// The `Host` it sees: `"client"` for the one the client asked for, `"endpoint"` for the endpoint's own, or
    /// `{ fixed = "NAME" }`. Default: `"client"`.
    pub(in crate::config) host: Option<Host>,
    /// How long it is waited for.
    pub(in crate::config) timeouts: Option<UpstreamTimeouts>,
    /// Unused connections kept per endpoint, for all workers together. Default: 1024.
    pub(in crate::config) max_idle_connections: Option<u64>,
    /// Connections to one endpoint, for all workers together. Default: 16384.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_connections: Option<u64>,
    /// Attempts in all, the first included. Default: 2.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) max_attempts: Option<u32>,
    /// What another attempt follows: `"connect"` (nothing of the request was used), `"reset"` (the connection ended before the response),
    /// `"timeout"` (no response in time), or a status such as `"503"`. Default: `["connect", "reset"]`.
    #[schemars(example = vec!["connect", "reset", "503"])]
    pub(in crate::config) retry_on: Option<List<String>>,
}

/// A member: its URL, or a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Endpoint {
    /// `"https://10.0.0.1:9443"`
    Url(String),
    /// `{ url = "https://10.0.0.1:9443", weight = 2 }`
    Table(EndpointTable),
}

/// A member with settings of its own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct EndpointTable {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    #[schemars(example = &"https://10.0.0.1:9443")]
    pub(in crate::config) url: String,
    /// Its share, 1 to 65535. Default: 1.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) weight: Option<u16>,
    /// Free text for routers. Default: none.
    #[serde(default)]
    pub(in crate::config) labels: BTreeMap<String, String>,
}

/// How an endpoint's certificate is verified, and which one is shown to it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TlsProfile {
    /// PEM file of trusted roots. Default: the system's.
    #[schemars(example = &"certs/internal-ca.pem")]
    pub(in crate::config) ca: Option<String>,
    /// Name sent (SNI) and verified. Default: the endpoint's host.
    #[schemars(example = &"orders.internal")]
    pub(in crate::config) server_name: Option<String>,
    /// Certificate shown when asked for. Default: none.
    pub(in crate::config) client_certificate: Option<CertificateFiles>,
}

/// Application protocol.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Protocol {
    Http1,
    Http2,
}

/// The `Host` an upstream sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Host {
    /// `"client"` or `"endpoint"`
    Word(HostWord),
    /// `{ fixed = "NAME" }`
    Fixed(FixedHost),
}

/// Whose name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum HostWord {
    Client,
    Endpoint,
}

/// Always the same name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct FixedHost {
    /// A host, with a port where it has one.
    #[schemars(example = &"orders.internal")]
    pub(in crate::config) fixed: String,
}

/// How long an upstream is waited for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamTimeouts {
    /// Connecting, TLS included. Default: `5s`.
    pub(in crate::config) connect: Option<Span>,
    /// From sending the request, the last of its body that the upstream took, to the complete response head. Default: `60s`.
    pub(in crate::config) response: Option<Span>,
    /// Longest pause while a body is streamed either way. Default: `60s`.
    pub(in crate::config) stream: Option<Span>,
    /// How long an unused connection is kept. Default: `60s`.
    pub(in crate::config) idle: Option<Span>,
}
