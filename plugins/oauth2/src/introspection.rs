//! Tokens that say nothing themselves: the issuer's server is asked what they are (RFC 7662). What it answered counts for a while on
//! all workers, a refusal too; a server that is away lets nobody in.

mod answers;
mod config;

use std::rc::Rc;
use std::time::Duration;

use plugway_sdk::{AuthError, Status, log};
use serde_json::{Map, Value};

use crate::Refusal;
use crate::client::Client;
use crate::denial::Denial;
use crate::document::Trouble;
use crate::form::Form;
use crate::issuer::Issuer;
use crate::json;
use crate::patience;
use crate::server::{INTROSPECTION, Location};
use answers::Answers;

pub(crate) use config::IntrospectionConfig;

/// Time for an answer. Where the grant allows less, that counts, and so does what is left of the call's.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of an answer.
const MOST_BYTES: u64 = 64 << 10;
/// When to come again, seconds, where the server was of no use.
const RETRY_AFTER: u32 = 5;

/// How one issuer's tokens are asked about, checked.
#[derive(Debug)]
pub(crate) struct Introspection {
    location: Location,
    client: Rc<Client>,
    limits: Limits,
    /// Whether JWTs are asked about too, once their signature is good.
    pub(crate) asks_about_jwt: bool,
    /// Whether an answer without `aud` is for every audience.
    audience_optional: bool,
    answers: Answers,
}

/// How long an answer counts, and how long a refusal.
#[derive(Debug, Clone, Copy)]
struct Limits {
    cache: Duration,
    negative_cache: Duration,
}

/// What the server knows of a token that is active.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) claims: Map<String, Value>,
    /// Until when it counts, since the Unix epoch.
    pub(crate) until: Duration,
}

impl Answer {
    /// What the server said then: it counts for so long, and no longer than the token.
    fn said(claims: Map<String, Value>, then: Duration, cache: Duration) -> Self {
        let expires = claims.get("exp").and_then(Value::as_f64).map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e12)));
        Self { until: expires.map_or(then + cache, |expires| expires.min(then + cache)), claims }
    }
}

impl Introspection {
    /// Asks about a token, or remembers; `now` is since the Unix epoch.
    pub(crate) fn ask(&self, token: &str, issuer: &str, now: Duration) -> Result<Answer, Refusal> {
        let name = self.answers.name(token).map_err(AuthError::Failed)?;
        if let Some(known) = self.answers.find(&name, self.limits, now) {
            return Ok(known?);
        }
        let said = self.fetch(token, issuer, now).map_err(|trouble| {
            log::warn!("introspection at {issuer}: {trouble}");
            AuthError::Unavailable(Some(RETRY_AFTER))
        })?;
        match said {
            Some(claims) => {
                let answer = Answer::said(claims, now, self.limits.cache);
                self.answers.keep(&name, &answer, now);
                Ok(answer)
            }
            None => {
                self.answers.keep_refusal(&name, now + self.limits.negative_cache, now);
                Err(Denial::Inactive.into())
            }
        }
    }

    /// What an answer leaves to whoever asked: it is the issuer's, for its client, and no longer than it counts. An audience is
    /// not made up unless it was said to be.
    pub(crate) fn complete(&self, answer: Answer, issuer: &Issuer) -> Map<String, Value> {
        let Answer { mut claims, until } = answer;
        let mut default = |name: &str, value: Option<Value>| {
            if let (false, Some(value)) = (claims.contains_key(name), value) {
                claims.insert(name.to_owned(), value);
            }
        };
        default("iss", Some(issuer.name.as_str().into()));
        default("exp", Some(until.as_secs_f64().into()));
        default("aud", issuer.audiences.first().filter(|_| self.audience_optional).map(|audience| audience.as_str().into()));
        if let (false, Some(client)) = (claims.contains_key("sub"), claims.get("client_id").cloned()) {
            claims.insert("sub".to_owned(), client);
        }
        claims
    }

    /// None: the token is not active, and nobody says why.
    fn fetch(&self, token: &str, issuer: &str, now: Duration) -> Result<Option<Map<String, Value>>, Trouble> {
        let url = self.location.url(INTROSPECTION, self.client.has_certificate(), now)?;
        let mut form = Form::default();
        form.add("token", token);
        form.add("token_type_hint", "access_token");
        let request = self.client.request(issuer, &url, form, now).map_err(Trouble::Away)?;
        // Several requests with one token are one question.
        let sent = request.with_timeout(patience::left(TIMEOUT)).with_max_body_bytes(MOST_BYTES).with_shared(true).send();
        let answer = sent?;
        if answer.status() != Status::OK {
            return Err(Trouble::Status(answer.status()));
        }
        let claims = json::read_object(&answer.body()).ok_or_else(|| Trouble::Rubbish("no JSON object".to_owned()))?;
        match claims.get("active") {
            Some(Value::Bool(true)) if is_for_renewal(&claims) => {
                log::info!("introspection at {issuer}: a refresh token was sent as an access token");
                Ok(None)
            }
            Some(Value::Bool(true)) => Ok(Some(claims)),
            Some(Value::Bool(false)) => Ok(None),
            _ => Err(Trouble::Rubbish("`active` is neither true nor false".to_owned())),
        }
    }
}

/// Whether the server says that it is a refresh token, which is for the server alone. RFC 7662 has no word for it; these are Ory's, Okta's and
/// Keycloak's.
fn is_for_renewal(claims: &Map<String, Value>) -> bool {
    ["token_use", "token_type", "typ"].into_iter().filter_map(|name| claims.get(name)?.as_str()).any(|kind| {
        let kind = kind.to_ascii_lowercase();
        matches!(kind.as_str(), "refresh" | "refresh_token" | "refresh-token" | "offline")
    })
}

#[cfg(test)]
mod tests;
