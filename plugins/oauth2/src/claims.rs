//! What a token says, judged (RFC 7519, section 4.1; RFC 9068, section 4). Pure: the time is given.

use std::time::Duration;

use crate::binding::Binding;
use crate::denial::Denial;
use crate::issuer::Issuer;
use crate::json::{Json, Members};
use crate::published::CheckedWith;
use crate::requirement::Requirement;

/// What must hold, whoever issued the token.
#[derive(Debug)]
pub(crate) struct Rules {
    /// All of these must be granted.
    pub(crate) scopes: Vec<String>,
    /// All of these must be met.
    pub(crate) required: Vec<Requirement>,
    /// How far the issuer's clock may be from ours.
    pub(crate) leeway: Duration,
    /// For how long a token may still be good.
    pub(crate) max_lifetime: Option<Duration>,
}

/// The last second of the year 9999. A time after that is a mistake, and more than dates and clocks hold.
const LAST: f64 = 253_402_300_799.0;

/// From when until when a token is good, seconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) begins: Option<f64>,
    pub(crate) expires: f64,
}

/// Claims that passed.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) lifetime: Lifetime,
    /// Until when it counts what the issuer's server said of it, where that was asked.
    pub(crate) counts_until: Option<Duration>,
    /// The set its signature was checked with, where that may change.
    pub(crate) checked_with: Option<CheckedWith>,
    pub(crate) binding: Binding,
    pub(crate) subject: &'a str,
    pub(crate) client: Option<&'a str>,
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) claims: &'a Members<'a>,
}

/// Judges the claims of a token that this issuer signed; `now` is since the Unix epoch.
pub(crate) fn judge<'a>(claims: &'a Members<'a>, issuer: &'a Issuer, rules: &Rules, now: Duration) -> Result<Verified<'a>, Denial> {
    if text(claims, "iss")? != Some(&issuer.name) {
        return Err(Denial::Issuer);
    }
    let is_ours = |audience: &str| issuer.audiences.iter().any(|own| own == audience);
    let is_for_us = match claims.get("aud") {
        Some(Json::Text(audience)) => is_ours(audience),
        _ => list(claims, "aud")?.into_iter().any(is_ours),
    };
    if !is_for_us {
        return Err(Denial::Audience);
    }
    let lifetime = lifetime(claims)?;
    lifetime.judge(rules.leeway, now)?;
    if rules.max_lifetime.is_some_and(|most| lifetime.expires > (now + most + rules.leeway).as_secs_f64()) {
        return Err(Denial::TooLongLived);
    }
    let binding = Binding::read(claims)?;
    let subject = text(claims, "sub")?.filter(|subject| !subject.is_empty()).ok_or(Denial::NoSubject)?;
    let client = text(claims, "client_id")?.or(text(claims, "azp")?);
    // What else an access token of RFC 9068, section 2.2, has.
    if issuer.require_rfc9068 && !["client_id", "iat", "jti"].iter().all(|name| claims.contains(name)) {
        return Err(Denial::Incomplete);
    }
    let scopes = granted(claims)?;
    if !rules.scopes.iter().all(|needed| scopes.contains(&needed.as_str())) {
        return Err(Denial::InsufficientScope);
    }
    if !rules.required.iter().all(|rule| rule.is_met(claims)) {
        return Err(Denial::RequirementNotMet);
    }
    Ok(Verified { issuer: &issuer.name, lifetime, counts_until: None, checked_with: None, binding, subject, client, scopes, claims })
}

impl Lifetime {
    /// Whether this is the time; `now` is since the Unix epoch.
    pub(crate) fn judge(self, leeway: Duration, now: Duration) -> Result<(), Denial> {
        let (leeway, now) = (leeway.as_secs_f64(), now.as_secs_f64());
        // "On or after" is over (RFC 7519, section 4.1.4).
        if now >= self.expires + leeway {
            return Err(Denial::Expired);
        }
        if self.begins.is_some_and(|begins| now + leeway < begins) {
            return Err(Denial::NotYetValid);
        }
        Ok(())
    }
}

pub(crate) fn lifetime(claims: &Members<'_>) -> Result<Lifetime, Denial> {
    // An access token must end (RFC 9068, section 2.2).
    let expires = time(claims, "exp")?.ok_or(Denial::Malformed)?;
    // What was made in the future was made by a clock that is wrong, or by nobody.
    let begins = [time(claims, "nbf")?, time(claims, "iat")?].into_iter().flatten().reduce(f64::max);
    Ok(Lifetime { begins, expires })
}

/// Scopes of `scope`, a text with spaces (RFC 8693, section 4.2), else of `scp`, which other servers use; both may be a list.
fn granted<'a>(claims: &'a Members<'_>) -> Result<Vec<&'a str>, Denial> {
    let name = if claims.contains("scope") { "scope" } else { "scp" };
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Json::Text(scopes)) => Ok(words(scopes)),
        Some(Json::List(_)) => list(claims, name),
        Some(_) => Err(Denial::Malformed),
    }
}

/// What spaces separate. By characters: they are few, and a search for one takes longer to begin than to find the next.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(4);
    words.extend(text.split([' ']).filter(|word| !word.is_empty()));
    words
}

/// Seconds since the epoch, with or without a fraction (RFC 7519, section 2, `NumericDate`).
fn time(claims: &Members<'_>, name: &str) -> Result<Option<f64>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Number(number)) => number.as_f64().filter(|seconds| seconds.abs() <= LAST).map(Some).ok_or(Denial::Malformed),
        Some(_) => Err(Denial::Malformed),
    }
}

pub(crate) fn text<'a>(claims: &'a Members<'_>, name: &str) -> Result<Option<&'a str>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Denial::Malformed),
    }
}

/// A text or a list of texts; nothing is an empty list.
pub(crate) fn list<'a>(claims: &'a Members<'_>, name: &str) -> Result<Vec<&'a str>, Denial> {
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Json::Text(text)) => Ok(vec![text]),
        Some(Json::List(items)) => items
            .iter()
            .map(|item| match item {
                Json::Text(text) => Ok(text.as_ref()),
                _ => Err(Denial::Malformed),
            })
            .collect(),
        Some(_) => Err(Denial::Malformed),
    }
}

#[cfg(test)]
mod tests;
