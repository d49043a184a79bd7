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
mod pass;
mod passed_on;
mod remembered;
mod token;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{AuthError, Authorizer, Decision, Error, Identity, Plugin, Request, clock, header};

use algorithm::Algorithm;
use challenge::Challenge;
use claims::{Rules, Verified};
use config::Config;
use credentials::Credentials;
use denial::Denial;
use keys::KeySet;
use pass::Pass;
use passed_on::ClaimHeader;
use remembered::Remembered;
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
    remembered: Remembered,
    checks: Counter<1>,
}

/// Why a request does not go on.
#[derive(Debug)]
enum Refusal {
    /// The client is told.
    Denied(Denial),
    /// The plugin cannot do its work.
    Failed(AuthError),
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Failed(error)
    }
}

impl Plugin for OAuth2 {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }
}

impl Authorizer for OAuth2 {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        let values = request.header_values(header::AUTHORIZATION);
        let decided = match credentials::read(&values) {
            Credentials::NoBearer if self.optional => {
                passed_on::clear(request, &self.headers)?;
                return Ok(Decision::Abstain);
            }
            Credentials::NoBearer => Err(Denial::NoCredentials.into()),
            Credentials::Several => Err(Denial::SeveralCredentials.into()),
            Credentials::Malformed => Err(Denial::MalformedCredentials.into()),
            Credentials::Bearer(bearer) => self.decide(request, bearer),
        };
        match decided {
            Ok(decision) => Ok(decision),
            Err(Refusal::Denied(denial)) => {
                passed_on::clear(request, &self.headers)?;
                Ok(Decision::respond(self.challenge.answer(denial)))
            }
            Err(Refusal::Failed(error)) => Err(error),
        }
    }
}

/// A token that passed before is known by all of its bytes; what can have changed since is the time.
impl OAuth2 {
    fn decide(&self, request: &mut Request, bearer: &[u8]) -> Result<Decision, Refusal> {
        let again = self.remembered.look_up(bearer, |pass| {
            pass.lifetime.judge(self.rules.leeway, clock::now())?;
            self.admit(request, pass)
        });
        match again {
            None => self.decide_anew(request, bearer),
            Some(Err(Refusal::Denied(denial))) => {
                self.remembered.forget(bearer);
                Err(denial.into())
            }
            Some(decided) => decided,
        }
    }

    fn decide_anew(&self, request: &mut Request, bearer: &[u8]) -> Result<Decision, Refusal> {
        let token = credentials::b64token(bearer).ok_or(Denial::MalformedCredentials)?;
        let judged = self.judge(token);
        self.checks.add(1.0, [if judged.is_ok() { "passed" } else { "refused" }]);
        let pass = self.pass(&judged?)?;
        let decision = self.admit(request, &pass)?;
        self.remembered.keep(bearer, pass);
        Ok(decision)
    }

    fn pass(&self, verified: &Verified) -> Result<Pass, AuthError> {
        let headers = passed_on::values(&self.headers, &verified.claims)?;
        let mut identity = Identity::new(&verified.subject);
        identity.set_issuer(&self.rules.issuer);
        identity.set_scopes(&verified.scopes.iter().map(String::as_str).collect::<Vec<_>>());
        passed_on::keep(&mut identity, &self.claims, &verified.claims)?;
        if let Some(client) = &verified.client {
            // Under one name, whichever of the two claims it came from.
            identity.set_claim("client_id", client.as_str())?;
        }
        Ok(Pass { lifetime: verified.lifetime, headers, identity })
    }

    fn admit(&self, request: &mut Request, pass: &Pass) -> Result<Decision, Refusal> {
        passed_on::set(request, &self.headers, &pass.headers)?;
        if !self.forward_token {
            passed_on::drop_token(request)?;
        }
        Ok(Decision::Allow(pass.identity.clone()))
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
}

plugway_sdk::export!(OAuth2: Authorizer);

#[cfg(test)]
mod tests;
