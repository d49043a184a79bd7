//! What later plugins and the upstream learn of a token: claims of the identity, and claims as request headers.

use plugway_sdk::{AuthError, HeaderName, Identity, Request, Value, header};
use serde_json::{Map, Value as Json};

/// A claim that goes to the upstream as a header.
#[derive(Debug)]
pub(crate) struct ClaimHeader {
    name: HeaderName<'static>,
    claim: String,
}

impl ClaimHeader {
    /// Checks the names. The gateway has the last word on the header's.
    pub(crate) fn new(name: &str, claim: String) -> Result<Self, &'static str> {
        if claim.is_empty() {
            return Err("no claim is named");
        }
        if header::is_reserved(name) || ["authorization", "cookie"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err("a header that means something else to the gateway or the upstream; choose one of your own, such as `x-user`");
        }
        let name = HeaderName::numbered(&name.to_ascii_lowercase()).map_err(|_| "not a header name")?;
        Ok(Self { name, claim })
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// Takes away what a client may have sent under these names, so that an upstream can believe them. Done for every request
/// that can go on, whether there was a token or not.
pub(crate) fn clear(request: &mut Request<'_>, headers: &[ClaimHeader]) -> Result<(), AuthError> {
    headers.iter().try_for_each(|header| remove(request, header))
}

/// What the headers will say: nothing where a claim is absent or no single value.
pub(crate) fn values(headers: &[ClaimHeader], claims: &Map<String, Json>) -> Result<Vec<Option<String>>, AuthError> {
    let value = |header: &ClaimHeader| {
        let text = match claims.get(&header.claim) {
            Some(Json::String(text)) => text.clone(),
            Some(value @ (Json::Number(_) | Json::Bool(_))) => value.to_string(),
            _ => return Ok(None),
        };
        // Recipients strip spaces at the ends, and " root" must not become "root" on the way.
        if text.trim().len() != text.len() || text.chars().any(char::is_control) {
            return Err(failed("`claims_as_headers`", header.name(), "the claim cannot be sent as a header"));
        }
        Ok(Some(text))
    };
    headers.iter().map(value).collect()
}

/// Sets the headers, in the stead of what a client may have sent, and takes away those that say nothing.
pub(crate) fn set(request: &mut Request<'_>, headers: &[ClaimHeader], values: &[Option<String>]) -> Result<(), AuthError> {
    for (header, value) in headers.iter().zip(values) {
        match value {
            None => remove(request, header)?,
            Some(text) => {
                let set = request.set_header(header.name.clone(), text);
                set.map_err(|error| failed("`claims_as_headers`", header.name(), error))?;
            }
        }
    }
    Ok(())
}

fn remove(request: &mut Request<'_>, header: &ClaimHeader) -> Result<(), AuthError> {
    request.remove_header(header.name.clone()).map_err(|error| failed("`claims_as_headers`", header.name(), error))
}

/// Puts the wanted claims into the identity: single values as they are, lists and objects as JSON text.
pub(crate) fn keep(identity: &mut Identity, wanted: &[String], claims: &Map<String, Json>) -> Result<(), AuthError> {
    for name in wanted {
        let value = match claims.get(name) {
            None | Some(Json::Null) => continue,
            Some(Json::String(text)) => Value::Text(text.clone()),
            Some(Json::Bool(boolean)) => Value::Boolean(*boolean),
            Some(Json::Number(number)) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(other) => Value::Text(other.to_string()),
        };
        identity.set_claim(name, value).map_err(|error| failed("`claims`", name, error))?;
    }
    Ok(())
}

/// Takes the token away from the upstream, which has no use for what it could be made to replay.
pub(crate) fn drop_token(request: &mut Request<'_>, with_proof: bool) -> Result<(), AuthError> {
    request.remove_header(header::AUTHORIZATION).map_err(|error| failed("`forward_token`", "authorization", error))?;
    if with_proof {
        request.remove_header(header::DPOP).map_err(|error| failed("`forward_token`", "dpop", error))?;
    }
    Ok(())
}

/// Names only, never values: the text goes to the log.
fn failed(key: &str, name: &str, why: impl std::fmt::Display) -> AuthError {
    AuthError::Failed(format!("{key}: {name}: {why}"))
}
