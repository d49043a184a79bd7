//! `[tracing]` and `[otlp]`, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;

use super::{SecretSource, Share, Upstream};

/// `[tracing]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// Share of the requests whose caller has not decided; default 1 %.
    pub sample: Share,
    /// Requests sampled a second, for all workers together; default 100.
    pub max_per_second: u32,
    /// Whether a caller's decision counts; default true.
    pub follows_callers: bool,
    /// Members of `baggage` that become attributes.
    pub baggage: Vec<String>,
    /// What is slow; default 1 s.
    pub slow: Duration,
}

/// `[otlp]`
#[derive(Debug, Clone)]
pub struct Otlp {
    /// The receiver: one endpoint, with the settings of an upstream.
    pub receiver: Upstream,
    /// Path of its URL, without `/` at its end.
    pub path: String,
    /// gRPC instead of HTTP.
    pub grpc: bool,
    /// Whether traces are sent; default true.
    pub traces: bool,
    /// Whether metrics are sent; default true.
    pub metrics: bool,
    /// How often metrics are sent; default 60 s.
    pub metrics_interval: Duration,
    /// Sampled requests that wait to be sent; default 2,048.
    pub max_queued: usize,
    /// Headers sent along.
    pub headers: Vec<(HeaderName, OtlpHeader)>,
    /// Attributes of the resource.
    pub resource: BTreeMap<String, String>,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtlpHeader {
    /// As written.
    Text(String),
    /// A secret.
    Secret {
        /// Its name.
        name: String,
        /// Where it is.
        source: SecretSource,
    },
}
