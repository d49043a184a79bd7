//! The file as written, before anything in it is checked. What is written above a field here is what editors show, by way
//! of the JSON schema; the same schema is what `structure` checks a file against, so these types are the one place
//! that says which keys there are.

mod access_log;
mod listen;
mod plugin;
mod route;
mod settings;
mod store;
mod traces;
mod trust;
mod upstream;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::access_log::{AccessFormat, AccessLog, Share};
pub(super) use self::listen::{Admin, CertificateFiles, ClientAuth, ClientAuthMode, Listener, ListenerTls};
pub(super) use self::plugin::{
    Budget, Canary, CanaryBy, CanaryTable, FailurePolicy, Grants, HttpClientGrant, Isolation, KvScope, Plugin, PluginUse, Secret, Table,
};
pub(super) use self::route::{Header, LatencyObjective, Match, Route, Slo};
pub(super) use self::settings::{Count, Limits, Log, LogFormat, LogLevel, Size, Span, Timeouts};
pub(super) use self::store::Store;
pub(super) use self::traces::{Callers, Otlp, OtlpHeader, OtlpProtocol, Tracing};
pub(super) use self::trust::Trust;
pub(super) use self::upstream::{Endpoint, Host, HostWord, Protocol, TlsProfile, Upstream};

/// A list. An item that is wrong in itself is reported and leaves a gap, so that the others keep their numbers.
pub(super) type List<T> = Vec<Option<T>>;

/// The configuration of a plugway gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "plugway")]
pub(super) struct File {
    /// Worker threads. Default: one per processor core.
    #[schemars(range(min = 1, max = 1024), example = 4)]
    pub(super) workers: Option<u64>,
    /// Where compiled plugins are kept. Default: `plugway` in the user's cache folder.
    #[schemars(example = &"/var/cache/plugway")]
    pub(super) cache_directory: Option<String>,
    /// Where plugin files are looked up. Default: `plugins.d` beside this file.
    #[schemars(example = &"plugins.d")]
    pub(super) plugin_directory: Option<String>,
    /// Where versions of plugins are kept, to go back to. Default: in `plugway` in the user's state folder, a folder for each configuration file.
    #[schemars(example = &"/var/lib/plugway")]
    pub(super) state_directory: Option<String>,
    /// Versions kept of each plugin, the one that serves included. Default: 5.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) keep_versions: Option<u64>,
    /// What tells clients apart that are to meet one version of a plugin while a canary runs. Default: their address.
    pub(super) canary_by: Option<CanaryBy>,
    /// Networks of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed. Default: none.
    #[schemars(example = vec!["10.0.0.0/8"])]
    pub(super) trusted_proxies: Option<List<String>>,
    /// The header by which these proxies tell a client's address, `"x-forwarded-for"` or `"forwarded"` (RFC 7239). The other one is not read, since a client
    /// may have written it, and not passed on. Default: `"x-forwarded-for"`.
    pub(super) client_address_header: Option<ClientAddressHeader>,
    /// What becomes of a client's headers with `_` in their names: `"drop"`, or `"keep"`. Upstreams that make variables of headers take `X_User` for
    /// `X-User`. Default: `"drop"`.
    pub(super) header_underscores: Option<HeaderUnderscores>,
    /// Listening sockets by name. At least one.
    #[serde(default)]
    pub(super) listen: BTreeMap<String, Listener>,
    /// The listener for operators: `/healthz`, `/readyz`, `/metrics` and `/status`.
    pub(super) admin: Option<Admin>,
    /// Whose plugin files are loaded.
    pub(super) trust: Option<Trust>,
    /// Plugins by name. One that no route names is not loaded into requests.
    #[serde(default)]
    pub(super) plugins: BTreeMap<String, Plugin>,
    /// Secrets by name. A plugin gets those that its grants name.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Upstreams by name.
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, Upstream>,
    /// What holds for every route.
    pub(super) defaults: Option<Defaults>,
    /// Which requests go where, through which plugins. The most specific one takes a request.
    #[serde(default)]
    pub(super) routes: List<Route>,
    /// What clients may use, for all workers together.
    pub(super) limits: Option<Limits>,
    /// How long clients are waited for.
    pub(super) timeouts: Option<Timeouts>,
    /// Logging.
    pub(super) log: Option<Log>,
    /// One line for each request.
    pub(super) access_log: Option<AccessLog>,
    /// Which requests are recorded, with times and as spans.
    pub(super) tracing: Option<Tracing>,
    /// Where traces and metrics are sent by OTLP. Default: nowhere.
    pub(super) otlp: Option<Otlp>,
    /// The monitoring store: what reports are made of.
    pub(super) store: Option<Store>,
}

/// What holds for every route.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// Plugins that stand at the beginning of every route's chain. Default: none.
    #[schemars(example = vec!["metrics"])]
    pub(super) plugins: Option<List<PluginUse>>,
}

/// The header by which proxies tell a client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClientAddressHeader {
    XForwardedFor,
    Forwarded,
}

/// What becomes of headers with `_` in their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum HeaderUnderscores {
    Drop,
    Keep,
}
