//! `[limits]`, `[timeouts]` and `[log]` as written, and the values that have units.

use schemars::JsonSchema;
use serde::Deserialize;

/// A duration: `"5s"`, `"250ms"`, `"1m30s"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = &"5s")]
pub(in crate::config) struct Span(pub(in crate::config) String);

/// Bytes: a whole number, or text such as `"64KiB"` or `"1MiB"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(example = &"64KiB")]
pub(in crate::config) enum Size {
    /// `65536`
    Bytes(#[schemars(range(min = 1))] u64),
    /// `"64KiB"`
    Text(String),
}

/// A whole number, or `"unlimited"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(example = &"unlimited")]
pub(in crate::config) enum Count {
    /// `1000`
    Number(#[schemars(range(min = 1))] u64),
    /// `"unlimited"`
    Word(Unlimited),
}

/// No bound.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Unlimited {
    Unlimited,
}

/// What clients and plugins may use, for all workers together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Connections of clients. Default: 65536.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_connections: Option<u64>,
    /// Bytes of a request head. Default: `64KiB`.
    pub(in crate::config) max_head_bytes: Option<Size>,
    /// Header lines of a request. Default: 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) max_headers: Option<u64>,
    /// Bytes of a request body, or `"unlimited"`. Default: unlimited, since bodies are streamed.
    pub(in crate::config) max_body_bytes: Option<Size>,
    /// Requests answered at once on one HTTP/2 connection. Default: 128.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub(in crate::config) max_concurrent_streams: Option<u32>,
    /// Requests answered on one connection before it is closed, or `"unlimited"`. Default: unlimited.
    pub(in crate::config) max_requests_per_connection: Option<Count>,
    /// Age after which a connection is closed when idle, or `"unlimited"`. Default: unlimited.
    pub(in crate::config) max_connection_age: Option<Span>,
    /// Requests being answered at once; more get a 503. A worker may keep places for requests to come: an eighth of them for all workers, 256 for each, at most. Default:
    /// 65536.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_requests_in_flight: Option<u64>,
    /// Instances of plugins at once, those that are made ready beside those that serve. Each has 4 GiB of address space set aside,
    /// which is no memory, from the start. Default: 4096.
    #[schemars(range(min = 1, max = 16_384))]
    pub(in crate::config) max_plugin_instances: Option<u32>,
}

/// How long clients are waited for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// TLS handshake. Default: `10s`.
    pub(in crate::config) handshake: Option<Span>,
    /// From the first byte of a request head to its end. Default: `15s`.
    pub(in crate::config) head: Option<Span>,
    /// Waiting for the next request on a kept connection. Default: `60s`.
    pub(in crate::config) idle: Option<Span>,
    /// Longest pause while a body is streamed either way. Default: `60s`.
    pub(in crate::config) stream: Option<Span>,
    /// For requests in flight after Ctrl-C or SIGTERM. Default: `30s`.
    pub(in crate::config) drain: Option<Span>,
}

/// Logging.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// Lines of this level and louder. Default: `"info"`.
    pub(in crate::config) level: Option<LogLevel>,
    /// `"human"`, `"json"`, or `"auto"`: human on a terminal and JSON otherwise. Default: `"auto"`.
    pub(in crate::config) format: Option<LogFormat>,
}

/// How loud.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How log lines look.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LogFormat {
    Auto,
    Human,
    Json,
}
