//! The configuration as written, and its check.

use std::collections::BTreeMap;
use std::time::Duration;

use plugway_sdk::metrics::Counter;
use serde::Deserialize;
use serde_json::Value;

use crate::OAuth2;
use crate::algorithm::{self, Algorithm};
use crate::challenge::Challenge;
use crate::claims::Rules;
use crate::keys::KeySet;
use crate::passed_on::ClaimHeader;
use crate::remembered::Remembered;

/// Longest token, bytes, where the configuration says nothing: what most servers take as one header line.
const DEFAULT_TOKEN_BYTES: usize = 8 * 1024;
/// The most `max_token_bytes` can be.
const MOST_TOKEN_BYTES: usize = 64 * 1024;
/// Clocks that are kept by NTP differ by less.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// A clock that is off by more is broken, and every second of it is a second more for a revoked token.
const MOST_LEEWAY: Duration = Duration::from_secs(300);

/// `config = { … }`, the plugin's own merged with the route's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    issuer: String,
    audience: OneOrMany,
    jwks: Value,
    scopes: Vec<String>,
    algorithms: Vec<Algorithm>,
    leeway: Option<String>,
    realm: Option<String>,
    optional: bool,
    max_token_bytes: usize,
    forward_token: bool,
    require_at_jwt: bool,
    claims: Vec<String>,
    claims_as_headers: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: OneOrMany::Many(Vec::new()),
            jwks: Value::Null,
            scopes: Vec::new(),
            algorithms: algorithm::DEFAULT.to_vec(),
            leeway: None,
            realm: None,
            optional: false,
            max_token_bytes: DEFAULT_TOKEN_BYTES,
            forward_token: false,
            require_at_jwt: false,
            claims: Vec::new(),
            claims_as_headers: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self) -> Result<OAuth2, String> {
        if self.issuer.is_empty() {
            return Err("`issuer` is missing: write the `iss` of your tokens, such as \"https://id.example.com\"".to_owned());
        }
        let audiences = match self.audience {
            OneOrMany::One(audience) => vec![audience],
            OneOrMany::Many(audiences) => audiences,
        };
        let Some(first) = audiences.first().filter(|_| audiences.iter().all(|audience| !audience.is_empty())) else {
            return Err("`audience` is missing: write the `aud` that tokens for this API have, or a list of them".to_owned());
        };
        if let Some(scope) = self.scopes.iter().find(|scope| !is_scope_token(scope)) {
            return Err(format!("`scopes`: {scope:?} is not one scope (RFC 6749, section 3.3); write a list"));
        }
        if self.algorithms.is_empty() {
            return Err("`algorithms` is empty: name at least one, or leave it out".to_owned());
        }
        if !(1..=MOST_TOKEN_BYTES).contains(&self.max_token_bytes) {
            return Err(format!("`max_token_bytes` is {}: write 1 to {MOST_TOKEN_BYTES}", self.max_token_bytes));
        }
        if self.jwks.is_null() {
            return Err("`jwks` is missing: write `jwks = { file = \"jwks.json\" }` with the issuer's key set".to_owned());
        }
        let challenge = Challenge::new(self.realm.as_deref().unwrap_or(first), &self.scopes)
            .map_err(|why| format!("`realm`: {why}; without `realm` it is the first `audience`"))?;
        let headers = self.claims_as_headers.into_iter().map(|(name, claim)| {
            let shown = name.clone();
            ClaimHeader::new(&name, claim).map_err(|why| format!("`claims_as_headers`: {shown:?}: {why}"))
        });
        let headers: Vec<ClaimHeader> = headers.collect::<Result<_, _>>()?;
        for (place, header) in headers.iter().enumerate() {
            if headers.iter().take(place).any(|earlier| earlier.name() == header.name()) {
                return Err(format!("`claims_as_headers`: {:?} is there twice, in upper and lower case", header.name()));
            }
        }
        let checks = Counter::declare("token_checks_total", "Bearer tokens checked, signature and all.", "1", ["result"])
            .map_err(|error| format!("the counter of checked tokens: {error}"))?;
        Ok(OAuth2 {
            keys: KeySet::read(&self.jwks, &self.algorithms).map_err(|why| format!("`jwks`: {why}"))?,
            algorithms: self.algorithms,
            rules: Rules {
                issuer: self.issuer,
                audiences,
                scopes: self.scopes,
                leeway: self.leeway.as_deref().map_or(Ok(DEFAULT_LEEWAY), leeway)?,
            },
            challenge,
            optional: self.optional,
            max_token_bytes: self.max_token_bytes,
            forward_token: self.forward_token,
            require_at_jwt: self.require_at_jwt,
            claims: self.claims,
            headers,
            remembered: Remembered::new(),
            checks,
        })
    }
}

/// Whole seconds or minutes: `"0s"`, `"30s"`, `"5m"`.
fn leeway(text: &str) -> Result<Duration, String> {
    let refused = || format!("`leeway` = {text:?}: write \"0s\" to \"300s\", or minutes such as \"2m\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(refused)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        _ => return Err(refused()),
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).map(Duration::from_secs);
    total.filter(|total| *total <= MOST_LEEWAY).ok_or_else(refused)
}

/// `scope-token` (RFC 6749, section 3.3), which is also what fits between quotes in a challenge.
fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
