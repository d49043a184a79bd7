//! The token that goes to the upstream: the gateway's own (client credentials, RFC 6749, section 4.4), or the client's, exchanged for one that is
//! meant for the upstream (RFC 8693). Got once for all workers, and kept until shortly before it ends.

mod config;

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use plugway_sdk::{AuthError, Request, Status, header, kv, log};
use serde_json::{Map, Value};

use crate::Refusal;
use crate::client::Client;
use crate::credentials::b64token;
use crate::denial::Denial;
use crate::document::Trouble;
use crate::form::Form;
use crate::json;
use crate::patience;
use crate::server::{Location, TOKEN};
use crate::token_response;

pub(crate) use config::UpstreamTokenConfig;

/// Time for an answer. Where the grant allows less, that counts, and so does what is left of the call's.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of one.
const MOST_BYTES: u64 = 64 << 10;
/// Tokens are let go so long before they end, since they are still under way then; of short ones a tenth.
const MARGIN: Duration = Duration::from_secs(30);
/// How long one counts that does not say so.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// None is kept for longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// When to come again, seconds, where the server was of no use.
const RETRY_AFTER: u32 = 5;

/// How tokens for the upstream are got, checked.
#[derive(Debug)]
pub(crate) struct UpstreamToken {
    pub(crate) grant: Grant,
    issuer: String,
    location: Location,
    client: Rc<Client>,
    scope: String,
    audience: Option<String>,
    resource: Option<String>,
    /// What makes one kind of token another than the next.
    kind: Vec<u8>,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grant {
    /// The gateway's own.
    ClientCredentials,
    /// Made of the client's.
    TokenExchange,
}

/// What the server said.
enum Said {
    /// A token, and how long it is good.
    Token(String, Duration),
    /// Not for this one.
    No,
}

impl UpstreamToken {
    /// Puts one on the request; `subject` is the client's own token, where it is exchanged.
    pub(crate) fn attach(&self, request: &mut Request<'_>, subject: Option<&str>, now: Duration) -> Result<(), Refusal> {
        let token = self.get(subject, now)?;
        request.set_header(header::AUTHORIZATION, format!("Bearer {token}"))?;
        Ok(())
    }

    fn get(&self, subject: Option<&str>, now: Duration) -> Result<String, Refusal> {
        let name = self.name(subject).map_err(AuthError::Failed)?;
        if let Some(kept) = kv::get(&name).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok()) {
            return Ok(kept);
        }
        let said = self.fetch(subject, now).map_err(|trouble| {
            log::warn!("`upstream_token` of {}: {trouble}", self.issuer);
            AuthError::Unavailable(Some(RETRY_AFTER))
        })?;
        let Said::Token(token, life) = said else { return Err(Denial::NotExchanged.into()) };
        let kept = life.min(LONGEST).saturating_sub(MARGIN.min(life / 10));
        if kept.as_millis() > 0 {
            // Where there is no room it is got again.
            let _ = kv::set(&name, &token, Some(kept));
        }
        Ok(token)
    }

    /// Of the kind and the client's token: no token is kept by its name.
    fn name(&self, subject: Option<&str>) -> Result<String, String> {
        let of = [&self.kind, subject.unwrap_or_default().as_bytes()].concat();
        let digest = crypto::digest(DigestAlgorithm::Sha256, &of).map_err(|error| format!("`upstream_token`: {error}"))?;
        Ok(format!("upstream:{}", URL_SAFE_NO_PAD.encode(digest)))
    }

    fn fetch(&self, subject: Option<&str>, now: Duration) -> Result<Said, Trouble> {
        let url = self.location.url(TOKEN, self.client.has_certificate(), now)?;
        let mut form = Form::default();
        match subject {
            None => form.add("grant_type", "client_credentials"),
            Some(subject) => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
                form.add("subject_token", subject);
                form.add("subject_token_type", "urn:ietf:params:oauth:token-type:access_token");
                form.add("requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
            }
        }
        if !self.scope.is_empty() {
            form.add("scope", &self.scope);
        }
        for (name, value) in [("audience", &self.audience), ("resource", &self.resource)] {
            if let Some(value) = value {
                form.add(name, value);
            }
        }
        let request = self.client.request(&self.issuer, &url, form, now).map_err(Trouble::Away)?;
        // Requests that need the same token at the same moment get one.
        let answer = request.with_timeout(patience::left(TIMEOUT)).with_max_body_bytes(MOST_BYTES).with_shared(true).send()?;
        let members = json::read_object(&answer.body());
        match answer.status() {
            Status::OK => read(&members.ok_or_else(|| Trouble::Rubbish("no JSON object".to_owned()))?),
            // What is wrong is the client's token, and not the gateway or its server (RFC 8693, section 2.2.2; RFC 6749, section 5.2).
            status if subject.is_some() && is_about_subject(status, members.as_ref()) => Ok(Said::No),
            status => Err(Trouble::Status(status)),
        }
    }
}

/// A 401 is about the gateway as a client, whatever its word.
fn is_about_subject(status: Status, members: Option<&Map<String, Value>>) -> bool {
    let error = token_response::error(status, members).filter(|_| status != Status::UNAUTHORIZED);
    error.is_some_and(|error| ["invalid_grant", "invalid_request", "invalid_target", "invalid_scope", "access_denied"].contains(&error))
}

/// RFC 6749, section 5.1.
fn read(members: &Map<String, Value>) -> Result<Said, Trouble> {
    let rubbish = |why: &str| Trouble::Rubbish(why.to_owned());
    let token = members.get("access_token").and_then(Value::as_str).and_then(|token| b64token(token.as_bytes()));
    let token = token.ok_or_else(|| rubbish("`access_token` is no token"))?;
    // One that is bound to a key or has to be sent in some other way would be no use to the upstream.
    if !members.get("token_type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(rubbish("`token_type` is not Bearer"));
    }
    let life = token_response::life(members)?.unwrap_or(DEFAULT_LIFE);
    Ok(Said::Token(token.to_owned(), life))
}

#[cfg(test)]
mod tests;
