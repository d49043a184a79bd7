//! Asking the token endpoint, by a code or by a refresh token.

use std::time::Duration;

use plugway_sdk::{Status, log};
use serde_json::{Map, Value};

use super::Login;
use crate::Refusal;
use crate::credentials::b64token;
use crate::document::Trouble;
use crate::form::Form;
use crate::json;
use crate::patience;
use crate::server::TOKEN;
use crate::token_response;

/// Time for an answer of the token endpoint. Where the grant allows less, that counts, and so does what is left of the call's.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of one.
const MOST_BYTES: u64 = 64 << 10;
/// How long an access token counts that does not say so.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// Errors after which a refresh token renews nothing any more, whenever it comes again: all of RFC 6749, section 5.2, and RFC 8707, section 2, but
/// those about the gateway as a client; and those of OpenID Connect Core 1.0, section 3.1.2.6, by which some servers refuse one whose session has
/// ended.
const OVER: [&str; 9] = [
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
    "interaction_required",
    "login_required",
    "consent_required",
];

/// Tokens the server gave.
pub(super) struct Given {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    pub(super) life: Duration,
}

/// What they are asked for by.
pub(super) enum Grant<'a> {
    /// And the verifier that belongs to it.
    Code(&'a str, &'a str),
    RefreshToken(&'a str),
}

impl Grant<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Code(..) => "a code",
            Self::RefreshToken(_) => "to renew a session",
        }
    }

    /// Whether an error says that it is good for nothing.
    fn is_over(&self, error: &str) -> bool {
        match self {
            Self::Code(..) => error == "invalid_grant",
            Self::RefreshToken(_) => OVER.contains(&error),
        }
    }
}

impl Login {
    /// Asks the token endpoint; none where it says no to this code or token.
    pub(super) fn ask(&self, grant: &Grant<'_>, now: Duration) -> Result<Option<Given>, Refusal> {
        let asked = || {
            let url = self.server.endpoint(TOKEN, self.client.has_certificate(), now)?;
            let request = self.client.request(&self.issuer, &url, self.form(grant), now).map_err(Trouble::Away)?;
            let answer = request.with_timeout(patience::left(TIMEOUT)).with_max_body_bytes(MOST_BYTES).with_shared(true).send()?;
            let members = json::read_object(&answer.body());
            match answer.status() {
                Status::OK => given(&members.ok_or_else(|| Trouble::Rubbish("no JSON object".to_owned()))?).map(Some),
                status => match token_response::error(status, members.as_ref()).filter(|error| grant.is_over(error)) {
                    Some(error) => {
                        log::info!("the server at {} refuses {}: {error}", self.issuer, grant.name());
                        Ok(None)
                    }
                    None => Err(Trouble::Status(status)),
                },
            }
        };
        asked().map_err(|trouble| self.unavailable(&trouble).into())
    }

    fn form(&self, grant: &Grant<'_>) -> Form {
        let mut form = Form::default();
        match grant {
            Grant::Code(code, verifier) => {
                form.add("grant_type", "authorization_code");
                form.add("code", code);
                form.add("redirect_uri", &self.redirect);
                form.add("code_verifier", verifier);
            }
            Grant::RefreshToken(token) => {
                form.add("grant_type", "refresh_token");
                form.add("refresh_token", token);
            }
        }
        // Allowed for the resource is not yet made for it: a server may give a token for another where this does not name it (RFC 8707, section 2.2).
        if let Some(resource) = &self.resource {
            form.add("resource", resource);
        }
        form
    }
}

/// RFC 6749, section 5.1; OpenID Connect Core 1.0, section 3.1.3.3.
fn given(members: &Map<String, Value>) -> Result<Given, Trouble> {
    let rubbish = |why: &str| Trouble::Rubbish(why.to_owned());
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let access_token =
        text("access_token").filter(|token| b64token(token.as_bytes()).is_some()).ok_or_else(|| rubbish("`access_token` is no token"))?;
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(rubbish("`token_type` is not Bearer"));
    }
    let life = token_response::life(members)?.unwrap_or(DEFAULT_LIFE);
    Ok(Given { access_token, refresh_token: text("refresh_token"), id_token: text("id_token"), life })
}
