//! `oauth2`: lets requests pass that carry a good access token, a JWT signed by one issuer for one audience (RFC 6750, RFC
//! 7519, RFC 9068), and challenges the others. Signatures are checked natively by the gateway; the rest is here.

mod algorithm;
mod challenge;
mod claims;
mod config;
mod credentials;
mod denial;
mod json;
mod keys;
mod passed_on;
mod token;

use plugway_sdk::{AuthError, Authorizer, Decision, Error, Identity, Plugin, Request, clock, header};

use algorithm::Algorithm;
use challenge::Challenge;
use claims::{Rules, Verified};
use config::Config;
use credentials::Credentials;
use denial::Denial;
use keys::KeySet;
use passed_on::ClaimHeader;
use token::Token;

/// What one place asks of a token, checked.
#[derive(Debug)]
struct OAuth2 {
    keys: KeySet,
    algorithms: Vec<Algorithm>,
    rules: Rules,
    challenge: Challenge,
    optional: bool,
    max_token_bytes: usize,
    forward_token: bool,
    require_at_jwt: bool,
    claims: Vec<String>,
    headers: Vec<ClaimHeader>,
}

impl Plugin for OAuth2 {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }
}

impl Authorizer for OAuth2 {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        passed_on::clear(request, &self.headers)?;
        let values = request.header_values(header::AUTHORIZATION);
        let judged = match credentials::read(&values) {
            Credentials::NoBearer if self.optional => return Ok(Decision::Abstain),
            Credentials::NoBearer => Err(Denial::NoCredentials),
            Credentials::Several => Err(Denial::SeveralCredentials),
            Credentials::Malformed => Err(Denial::MalformedCredentials),
            Credentials::Token(token) => self.judge(token),
        };
        match judged {
            Ok(verified) => self.allow(request, &verified),
            Err(denial) => Ok(Decision::respond(self.challenge.answer(denial))),
        }
    }
}

/// In the order that spends least on what is not a token, and believes nothing before the signature.
impl OAuth2 {
    fn judge(&self, text: &str) -> Result<Verified, Denial> {
        if text.len() > self.max_token_bytes {
            return Err(Denial::TooLarge);
        }
        let token = Token::parse(text)?;
        self.check_kind(token.header.kind.as_deref())?;
        let algorithm = Algorithm::named(&token.header.algorithm).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Denial::Algorithm)?;
        self.keys.verify(algorithm, token.header.key_id.as_deref(), token.signed, &token.signature)?;
        claims::judge(token.claims()?, &self.rules, clock::now())
    }

    /// `typ`, with or without `application/` (RFC 7515, section 4.1.9; RFC 9068, section 4). A token of another kind, from
    /// the same issuer and key, must not pass for an access token (RFC 8725, section 3.11).
    fn check_kind(&self, kind: Option<&str>) -> Result<(), Denial> {
        let kind = kind.map(str::to_ascii_lowercase);
        let is_access_token = match kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind)) {
            Some("at+jwt") => true,
            Some("jwt") | None => !self.require_at_jwt,
            Some(_) => false,
        };
        if is_access_token { Ok(()) } else { Err(Denial::WrongType) }
    }

    fn allow(&self, request: &mut Request, verified: &Verified) -> Result<Decision, AuthError> {
        passed_on::set(request, &self.headers, &verified.claims)?;
        if !self.forward_token {
            passed_on::drop_token(request)?;
        }
        let mut identity = Identity::new(&verified.subject);
        identity.set_issuer(&self.rules.issuer);
        identity.set_scopes(&verified.scopes.iter().map(String::as_str).collect::<Vec<_>>());
        passed_on::keep(&mut identity, &self.claims, &verified.claims)?;
        if let Some(client) = &verified.client {
            // Under one name, whichever of the two claims it came from.
            identity.set_claim("client_id", client.as_str())?;
        }
        Ok(Decision::Allow(identity))
    }
}

plugway_sdk::export!(OAuth2: Authorizer);

#[cfg(test)]
mod tests;
