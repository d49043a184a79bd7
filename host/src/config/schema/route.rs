//! `[[routes]]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{List, PluginUse, Size, Span};

/// Which requests go where, through which plugins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Unique; stands in logs and metrics.
    #[schemars(required, example = &"orders")]
    pub(in crate::config) name: Option<String>,
    /// The API it belongs to. Default: none.
    #[schemars(example = &"orders")]
    pub(in crate::config) api: Option<String>,
    /// The API's version. Default: none.
    #[schemars(example = &"v1")]
    pub(in crate::config) version: Option<String>,
    /// Which requests it takes. Default: every request.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Option<Match>,
    /// Whether it may be used without an authorizer. Default: false.
    pub(in crate::config) public: Option<bool>,
    /// Its chain, after `[defaults] plugins`: names, or tables with `plugin`, `config` and `on_failure`. Default: empty.
    #[schemars(example = vec!["auth"])]
    pub(in crate::config) plugins: Option<List<PluginUse>>,
    /// The plugin that picks the endpoint. Default: weighted round robin.
    #[schemars(example = &"by-customer")]
    pub(in crate::config) router: Option<PluginUse>,
    /// The plugin that decides how the endpoint is spoken to. Default: the upstream's own settings.
    #[schemars(example = &"forward")]
    pub(in crate::config) forwarder: Option<PluginUse>,
    /// The name of the upstream it goes to.
    #[schemars(required, example = &"orders")]
    pub(in crate::config) upstream: Option<String>,
    /// Attempts in all, the first included; at most those of the upstream. Default: those of the upstream.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) max_attempts: Option<u32>,
    /// What another attempt follows, out of the upstream's `retry_on`; `[]` for nothing. Default: all of it.
    #[schemars(example = vec!["connect"])]
    pub(in crate::config) retry_on: Option<List<String>>,
    /// Bytes of a request body, or `"unlimited"`. Default: that of `[limits]`.
    pub(in crate::config) max_body_bytes: Option<Size>,
    /// What is promised of it: watched, reported, and alerted on when it is broken too fast. Default: nothing.
    pub(in crate::config) slo: Option<Slo>,
}

/// A service level objective: `availability`, `latency`, or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Slo {
    /// Share of requests that gateway, plugins and upstream must not fail. Default: none is promised.
    #[schemars(example = &"99.9%")]
    pub(in crate::config) availability: Option<String>,
    /// How fast requests must be. Default: nothing is promised.
    pub(in crate::config) latency: Option<LatencyObjective>,
    /// Over how long, whole days, at most 90. Default: 30 days.
    #[schemars(example = &"30d")]
    pub(in crate::config) window: Option<Span>,
}

/// How fast requests must be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LatencyObjective {
    /// What a request may take, from its head to the last byte of its answer.
    #[schemars(required, example = &"300ms")]
    pub(in crate::config) under: Option<Span>,
    /// Share of requests that must not take longer.
    #[schemars(required, example = &"99%")]
    pub(in crate::config) share: Option<String>,
}

/// Which requests a route takes. One of each list must match, and all headers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Match {
    /// `api.example.com`, or `*.example.com` for everything below it. Default: every host.
    #[schemars(example = &"api.example.com")]
    pub(in crate::config) host: Option<String>,
    /// Several hosts, in place of `host`.
    #[schemars(length(min = 1), example = vec!["api.example.com", "*.example.org"])]
    pub(in crate::config) hosts: Option<List<String>>,
    /// `/orders`, `/orders/{id}`, or `/orders/*` for everything below it. Default: every path.
    #[schemars(example = &"/orders/*")]
    pub(in crate::config) path: Option<String>,
    /// Several paths, in place of `path`.
    #[schemars(length(min = 1), example = vec!["/orders/*", "/baskets/*"])]
    pub(in crate::config) paths: Option<List<String>>,
    /// Methods. Default: every method.
    #[schemars(length(min = 1), example = vec!["GET", "POST"])]
    pub(in crate::config) methods: Option<List<String>>,
    /// Headers: an exact value, or `true` for any. Default: none.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, Header>,
}

/// A header's exact value, or `true` for any.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(example = &"2")]
pub(in crate::config) enum Header {
    /// `"2"`
    Value(String),
    /// `true`
    Present(bool),
}
