//! `[tracing]` and `[otlp]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{List, Share, Span, TlsProfile};

/// Which requests are recorded, with times and as spans.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tracing {
    /// Share of the requests that are sampled, of those whose caller has not decided. Without `[otlp]` none is. Default: `"1%"`.
    pub(in crate::config) sample: Option<Share>,
    /// Requests sampled a second at most, for all workers together. Default: 100.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub(in crate::config) max_per_second: Option<u32>,
    /// `"follow"`: what a caller's `traceparent` says decides. `"ignore"`: it does not. Default: `"follow"`.
    pub(in crate::config) callers: Option<Callers>,
    /// Members of `baggage` that become attributes of the request's span. Default: none.
    #[schemars(example = vec!["tenant"])]
    pub(in crate::config) baggage: Option<List<String>>,
    /// What is slow, so that `plugway why` can tell of it though nothing failed. Default: `1s`.
    pub(in crate::config) slow: Option<Span>,
}

/// What a caller's decision is worth.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Callers {
    Follow,
    Ignore,
}

/// Where traces and metrics are sent by OTLP. Default: nowhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Otlp {
    /// URL of the receiver, with a path where it has one.
    #[schemars(required, example = &"http://127.0.0.1:4318")]
    pub(in crate::config) endpoint: Option<String>,
    /// `"http"`: protobuf over HTTP/1.1, to `/v1/traces` and `/v1/metrics` below the endpoint's path. `"grpc"`: over HTTP/2. Default: `"http"`.
    pub(in crate::config) protocol: Option<OtlpProtocol>,
    /// Whether traces are sent. Default: true.
    pub(in crate::config) traces: Option<bool>,
    /// Whether metrics are sent. Default: true.
    pub(in crate::config) metrics: Option<bool>,
    /// How often metrics are sent. Default: `60s`.
    pub(in crate::config) metrics_interval: Option<Span>,
    /// How long one answer is waited for. Default: `10s`.
    pub(in crate::config) timeout: Option<Span>,
    /// Sampled requests that wait to be sent at most; more are dropped and counted. Default: 2048.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_queued: Option<u64>,
    /// Headers sent along: text, or the name of a secret. Default: none.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, OtlpHeader>,
    /// TLS settings for an `https` endpoint. Its certificate is always verified.
    pub(in crate::config) tls: Option<TlsProfile>,
    /// Attributes of the resource, beside `service.name` (`plugway` unless it is here), `service.version` and `service.instance.id`. Default: none.
    #[serde(default)]
    pub(in crate::config) resource: BTreeMap<String, String>,
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OtlpProtocol {
    Http,
    Grpc,
}

/// The value of a header.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum OtlpHeader {
    /// `"a"`
    Text(String),
    /// `{ secret = "otlp-token" }`
    Secret(OtlpSecret),
}

/// A value that stands in no configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OtlpSecret {
    /// The name of a `[secrets.NAME]`, which holds the whole value.
    #[schemars(example = &"otlp-token")]
    pub(in crate::config) secret: String,
}
