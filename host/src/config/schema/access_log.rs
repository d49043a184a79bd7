//! `[access_log]` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{List, Span};

/// One line for each request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AccessLog {
    /// Whether lines are written. Default: true.
    pub(in crate::config) enabled: Option<bool>,
    /// `"json"`, or Apache's `"common"` or `"combined"`. Default: `"json"`.
    pub(in crate::config) format: Option<AccessFormat>,
    /// The file that lines are appended to; one that was moved away or removed is made anew. Default: standard output.
    #[schemars(example = &"/var/log/plugway/access.log")]
    pub(in crate::config) file: Option<String>,
    /// What a JSON line holds, in this order: facts by name, and `request.NAME`, `response.NAME` and `attribute.PLUGIN.NAME` for
    /// headers and attributes. Default: everything a request has but `query`, `peer`, `listener`, `tls_version` and headers.
    #[schemars(length(min = 1), example = vec!["method", "path", "status", "duration_us", "request.user-agent"])]
    pub(in crate::config) fields: Option<List<String>>,
    /// Share of the requests that have a line. Those that failed, were slow or are traced always do. Default: `"100%"`.
    pub(in crate::config) sample: Option<Share>,
    /// What is slow. Default: `1s`.
    pub(in crate::config) slow: Option<Span>,
    /// Headers whose value never stands in a line, besides those that hold credentials everywhere. Default: none.
    #[schemars(example = vec!["x-session"])]
    pub(in crate::config) redact_headers: Option<List<String>>,
    /// Query parameters whose value never stands in a line, besides those that hold credentials everywhere. Default: none.
    #[schemars(example = vec!["invite"])]
    pub(in crate::config) redact_parameters: Option<List<String>>,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum AccessFormat {
    Json,
    Common,
    Combined,
}

/// A share of requests: `"100%"`, `"1%"`, `"0.01%"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = &"1%")]
pub(in crate::config) struct Share(pub(in crate::config) String);
