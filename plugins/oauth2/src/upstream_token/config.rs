//! `upstream_token` as written, and its check.

use std::rc::Rc;

use plugway_sdk::granted;
use serde::Deserialize;

use super::{Grant, UpstreamToken};
use crate::client::ClientConfig;
use crate::server::Location;

/// `upstream_token = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTokenConfig {
    grant: Grant,
    issuer: Option<String>,
    url: Option<String>,
    client: Option<ClientConfig>,
    #[serde(default)]
    scopes: Vec<String>,
    audience: Option<String>,
    resource: Option<String>,
}

impl UpstreamTokenConfig {
    /// Checks every key; `issuer` and `client` are those of the place, where it has one. The error is for the operator.
    pub(crate) fn check(self, issuer: Option<&str>, client: Option<ClientConfig>) -> Result<UpstreamToken, String> {
        let issuer = self.issuer.as_deref().or(issuer).ok_or("`issuer` is missing: there are several, so say who issues this token")?;
        let client = self.client.or(client).ok_or("`client` is missing: write `client = { id = \"gateway\", secret = \"NAME\" }`")?;
        let client = client.check().map_err(|why| format!("`client`: {why}"))?;
        if !granted::http_client() {
            return Err(
                "the plugin may not ask: add `http-client = { hosts = [\"HOST\"] }` with the server's host to its grants".to_owned()
            );
        }
        if !granted::kv() {
            return Err("workers share tokens through `kv`: add `kv = {}` to the plugin's grants".to_owned());
        }
        let location = Location::of(issuer, self.url, "secrets")?;
        let place = location.written();
        let scope = self.scopes.join(" ");
        // Each part with its length: no two kinds have one name.
        let (audience, resource) = (self.audience.as_deref().unwrap_or_default(), self.resource.as_deref().unwrap_or_default());
        let parts = [place, issuer, &client.id, &scope, audience, resource];
        let kind = parts.iter().map(|part| format!("{}:{part}", part.len())).chain([format!("{:?}", self.grant)]).collect::<String>();
        Ok(UpstreamToken {
            grant: self.grant,
            issuer: issuer.to_owned(),
            location,
            client: Rc::new(client),
            scope,
            audience: self.audience,
            resource: self.resource,
            kind: kind.into_bytes(),
        })
    }
}
