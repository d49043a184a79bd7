//! `[store]` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::{Size, Span};

/// The monitoring store: what reports are made of.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Store {
    /// Whether there is one. Default: true.
    pub(in crate::config) enabled: Option<bool>,
    /// The database, a file on a local disk. Default: `monitoring.db` in `state_directory`.
    #[schemars(example = &"/var/lib/plugway/monitoring.db")]
    pub(in crate::config) file: Option<String>,
    /// Bytes it may have; past it the oldest goes, minutes first. Default: `2GiB`.
    pub(in crate::config) max_size: Option<Size>,
    /// How long what is kept.
    pub(in crate::config) keep: Option<Keep>,
}

/// How long what is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Keep {
    /// Counts of each minute. Default: `1d`.
    pub(in crate::config) minutes: Option<Span>,
    /// Counts of each hour. Default: `30d`.
    pub(in crate::config) hours: Option<Span>,
    /// Counts of each day of UTC, incidents and gaps. Default: `365d`.
    pub(in crate::config) days: Option<Span>,
    /// Slow and failed requests in detail. Default: `7d`.
    pub(in crate::config) samples: Option<Span>,
}
