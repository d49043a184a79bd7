//! `[trust]` as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Whose plugin files are loaded.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Trust {
    /// Whether a plugin file must be signed by one of `keys`. Default: false.
    pub(in crate::config) require_signature: Option<bool>,
    /// Keys that may sign, by name: PEM files of Ed25519 public keys. Default: none.
    #[serde(default)]
    pub(in crate::config) keys: BTreeMap<String, String>,
}
