//! Who is believed: issuers, each with the audiences its tokens may be for and the keys it signs with.

use std::rc::Rc;
use std::time::Duration;

use crate::Refusal;
use crate::algorithm::Algorithm;
use crate::claims::{self, Rules, Verified};
use crate::credentials;
use crate::denial::Denial;
use crate::introspection::Introspection;
use crate::json::{self, Json, Members};
use crate::keys::KeySet;
use crate::published::{CheckedWith, Published};
use crate::token::Token;

/// One issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// `iss`, exactly.
    pub(crate) name: String,
    /// One of these must be in `aud`.
    pub(crate) audiences: Vec<String>,
    pub(crate) keys: Keys,
    /// How its server is asked about tokens.
    pub(crate) introspection: Option<Introspection>,
    pub(crate) algorithms: Vec<Algorithm>,
    /// Whether `typ` has to be `at+jwt`.
    pub(crate) require_at_jwt: bool,
    /// Whether every claim that RFC 9068 requires has to be there.
    pub(crate) require_rfc9068: bool,
}

/// Where its keys are.
#[derive(Debug)]
pub(crate) enum Keys {
    /// In the configuration.
    Written(KeySet),
    /// At its server.
    Published(Rc<Published>),
}

/// A token whose signature is good.
struct Signed<'i, 'c> {
    issuer: &'i Issuer,
    /// Its claims, where they were read to find the issuer.
    read: Option<Members<'c>>,
    payload: Vec<u8>,
    checked_with: Option<CheckedWith>,
}

/// Those of one place.
#[derive(Debug)]
pub(crate) struct Issuers(Vec<Issuer>);

impl Issuers {
    /// Each has a name of its own.
    pub(crate) fn new(list: Vec<Issuer>) -> Self {
        Self(list)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|issuer| issuer.name.as_str())
    }

    /// The one there is, where there is one.
    pub(crate) fn only(&self) -> Option<&Issuer> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// All of them, each issuer's after another's.
    pub(crate) fn audiences(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|issuer| &issuer.audiences).map(String::as_str)
    }

    /// Judges a token, in the order that spends least on what is none. Where there are several issuers the token is asked for its own before
    /// anything of it is believed; that only picks the keys, and `iss` is judged with the other claims once the signature is good.
    ///
    /// What passed is shown to `take`.
    pub(crate) fn judge<R>(&self, text: &str, rules: &Rules, now: Duration, take: impl FnOnce(&Verified<'_>) -> R) -> Result<R, Refusal> {
        let token = match Token::parse(text) {
            Ok(token) => token,
            Err(Denial::Malformed) => return self.ask_about(text, rules, now, take),
            Err(denial) => return Err(denial.into()),
        };
        let early = match self.only().map_or_else(|| token.payload(), |_| Ok(Vec::new())) {
            Ok(early) => early,
            Err(_) => return self.ask_about(text, rules, now, take),
        };
        let Signed { issuer, read, payload, checked_with } = match self.verify(&token, &early) {
            Ok(verified) => verified,
            // An opaque token may look much like a JWT. This is only asked of those that do not pass: the others pay nothing for it.
            Err(_) if !token.is_well_formed() => return self.ask_about(text, rules, now, take),
            Err(refusal) => return Err(refusal),
        };
        // What was read before is what was signed: the same text.
        let claims = read.or_else(|| json::members(&payload)).ok_or(Denial::Malformed)?;
        let mut verified = claims::judge(&claims, issuer, rules, now)?;
        verified.checked_with = checked_with;
        if let Some(introspection) = issuer.introspection.as_ref().filter(|introspection| introspection.asks_about_jwt) {
            verified.counts_until = Some(introspection.ask(text, &issuer.name, now)?.until);
        }
        token.keep_header();
        Ok(take(&verified))
    }

    /// Picks the issuer and checks its signature.
    fn verify<'a>(&self, token: &Token<'_>, early: &'a [u8]) -> Result<Signed<'_, 'a>, Refusal> {
        let (issuer, read) = match self.only() {
            Some(only) => (only, None),
            None => {
                let claims = json::members(early).ok_or(Denial::Malformed)?;
                let Some(Json::Text(name)) = claims.get("iss") else { return Err(Denial::Issuer.into()) };
                (self.0.iter().find(|issuer| issuer.name == *name).ok_or(Denial::Issuer)?, Some(claims))
            }
        };
        issuer.check_kind(token.header.kind.as_deref())?;
        let algorithm = Algorithm::named(&token.header.algorithm).filter(|algorithm| issuer.algorithms.contains(algorithm));
        let (payload, checked_with) = issuer.keys.verify(algorithm.ok_or(Denial::Algorithm)?, token)?;
        Ok(Signed { issuer, read, payload, checked_with })
    }

    /// What is no JWT only the server that issued it can read. At most one of the issuers is asked: another would learn a token that is
    /// none of its own.
    fn ask_about<R>(&self, text: &str, rules: &Rules, now: Duration, take: impl FnOnce(&Verified<'_>) -> R) -> Result<R, Refusal> {
        let text = credentials::b64token(text.as_bytes()).ok_or(Denial::MalformedCredentials)?;
        let asked = self.0.iter().find_map(|issuer| Some((issuer, issuer.introspection.as_ref()?)));
        let (issuer, introspection) = asked.ok_or(Denial::Malformed)?;
        let answer = introspection.ask(text, &issuer.name, now)?;
        let until = answer.until;
        let claims = introspection.complete(answer, issuer);
        let claims = Members::from(&claims);
        let verified = claims::judge(&claims, issuer, rules, now)?;
        Ok(take(&Verified { counts_until: Some(until), ..verified }))
    }
}

impl Keys {
    /// The payload, if the token was signed with one of them, and the set where that may change.
    pub(crate) fn verify(&self, algorithm: Algorithm, token: &Token<'_>) -> Result<(Vec<u8>, Option<CheckedWith>), Refusal> {
        match self {
            Self::Written(keys) => Ok((keys.verify(algorithm, token)?, None)),
            Self::Published(keys) => keys.verify(algorithm, token).map(|(payload, checked_with)| (payload, Some(checked_with))),
        }
    }
}

impl Issuer {
    /// `typ`, with or without `application/` (RFC 7515, section 4.1.9; RFC 9068, section 4). A token of another kind, from
    /// the same issuer and key, must not pass for an access token (RFC 8725, section 3.11).
    fn check_kind(&self, kind: Option<&str>) -> Result<(), Denial> {
        const PREFIX: &str = "application/";
        let kind = kind.unwrap_or("jwt");
        let short = match kind.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => kind,
        };
        let is_access_token = short.eq_ignore_ascii_case("at+jwt") || (short.eq_ignore_ascii_case("jwt") && !self.require_at_jwt);
        if is_access_token { Ok(()) } else { Err(Denial::WrongType) }
    }
}
