//! `dpop` as written, and its check.

use std::time::Duration;

use plugway_sdk::{HeaderName, granted};
use serde::Deserialize;

use super::Dpop;
use super::nonce::Nonces;
use crate::algorithm::Algorithm;
use crate::config::span;
use crate::url::Url;

/// How old a proof may be, where nothing is said: long enough for a slow network, and no longer (RFC 9449, section 11.1).
const DEFAULT_AGE: Duration = Duration::from_secs(60);
/// For as long as a proof is good it has to be remembered.
const MOST_AGE: Duration = Duration::from_secs(600);

/// `dpop = { … }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DpopConfig {
    required: bool,
    max_age: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    origin: Option<String>,
    nonce_key: Option<String>,
}

impl DpopConfig {
    /// Checks every key. `accepted` are the algorithms of tokens, taken for proofs too where nothing else is said.
    pub(crate) fn check(self, accepted: &[Algorithm], leeway: Duration) -> Result<Dpop, String> {
        if !granted::kv() {
            return Err(
                "a proof may be used once, which workers know of each other through `kv`: add `kv = {}` to the plugin's grants".to_owned()
            );
        }
        let algorithms = self.algorithms.unwrap_or_else(|| accepted.to_vec());
        if algorithms.is_empty() {
            return Err("`algorithms` is empty: name at least one, or leave it out".to_owned());
        }
        let max_age = self.max_age.as_deref().map_or(Ok(DEFAULT_AGE), |text| span("max_age", text, MOST_AGE))?;
        if max_age.is_zero() {
            return Err("`max_age` is nothing: no proof would pass".to_owned());
        }
        let origin = self.origin.map(|text| match Url::parse(&text) {
            Some(url) if url.path == "/" && !url.has_query && !url.has_fragment => Ok(url.origin()),
            _ => Err(format!("`origin` = {text:?}: write scheme and host alone, such as \"https://api.example.com\"")),
        });
        Ok(Dpop {
            required: self.required,
            algorithms,
            max_age: max_age.as_secs_f64(),
            leeway: leeway.as_secs_f64(),
            origin: origin.transpose()?,
            nonces: self.nonce_key.map(Nonces::new).transpose()?,
            nonce_header: HeaderName::numbered("dpop-nonce").map_err(|error| error.to_string())?,
        })
    }
}
