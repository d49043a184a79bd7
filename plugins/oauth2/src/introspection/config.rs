//! `introspection` as written, and its check.

use std::rc::Rc;
use std::time::Duration;

use plugway_sdk::granted;
use serde::Deserialize;

use super::answers::Answers;
use super::{Introspection, Limits};
use crate::client::Client;
use crate::config::span;
use crate::server::Location;

/// How long an answer counts: so long a token is good that was revoked.
const DEFAULT_CACHE: Duration = Duration::from_secs(60);
/// How long a refusal does: a token that was issued a moment ago may not be known everywhere.
const DEFAULT_NEGATIVE_CACHE: Duration = Duration::from_secs(10);
const MOST_CACHE: Duration = Duration::from_secs(600);

/// `introspection = { … }`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IntrospectionConfig {
    url: Option<String>,
    cache: Option<String>,
    negative_cache: Option<String>,
    jwt: bool,
    audience_optional: bool,
}

impl IntrospectionConfig {
    /// Whether it says where to ask.
    pub(crate) fn has_url(&self) -> bool {
        self.url.is_some()
    }

    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self, issuer: &str, client: Option<Rc<Client>>) -> Result<Introspection, String> {
        let client = client.ok_or(
            "`client` is missing: servers answer to clients they know, such as `client = { id = \"gateway\", secret = \"NAME\" }`",
        )?;
        if !granted::http_client() {
            return Err(
                "the plugin may not ask: add `http-client = { hosts = [\"HOST\"] }` with the server's host to its grants".to_owned()
            );
        }
        if !granted::kv() {
            return Err("workers share answers through `kv`: add `kv = {}` to the plugin's grants".to_owned());
        }
        let location = Location::of(issuer, self.url, "tokens")?;
        let span = |key, written: &Option<String>, default| written.as_deref().map_or(Ok(default), |text| span(key, text, MOST_CACHE));
        let place = location.written();
        Ok(Introspection {
            limits: Limits {
                cache: span("cache", &self.cache, DEFAULT_CACHE)?,
                negative_cache: span("negative_cache", &self.negative_cache, DEFAULT_NEGATIVE_CACHE)?,
            },
            asks_about_jwt: self.jwt,
            audience_optional: self.audience_optional,
            answers: Answers::new(place, issuer, &client.id),
            location,
            client,
        })
    }
}
