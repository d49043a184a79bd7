//! `oauth2`: lets requests pass that carry a good access token, a JWT that an issuer signed for one audience (RFC 6750, RFC
//! 7519, RFC 9068), and challenges the others. A token may be bound to a client certificate (RFC 8705) or to a key that the client
//! proves to have (RFC 9449). Signatures are checked natively by the gateway; the rest is here.
//!
//! Two hooks: the authorizer decides, and the request filter behind it takes what only the gateway may say away from requests that somebody
//! else let pass.

mod admission;
mod algorithm;
mod anonymous;
mod binding;
mod bytes;
mod challenge;
mod claims;
mod client;
mod config;
mod credentials;
mod denial;
mod document;
mod dpop;
mod explanation;
mod form;
mod granted_hosts;
mod granted_keys;
mod held;
mod introspection;
mod issuer;
mod json;
mod keys;
mod login;
mod metadata;
mod pass;
mod passed_on;
mod patience;
mod published;
mod refusals;
mod remembered;
mod requirement;
mod server;
mod token;
mod token_response;
mod upstream_token;
mod url;

use std::time::Duration;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{
    AuthError, Authorizer, ChangeError, Decision, Error, Flow, HeaderName, LocalResponse, Plugin, Request, RequestFilter, Status, clock,
    header,
};

use anonymous::Anonymous;
use binding::Binding;
use challenge::Challenge;
use claims::{Rules, Verified};
use config::Config;
use credentials::{Credentials, Scheme};
use denial::{Code, Denial};
use dpop::Dpop;
use issuer::Issuers;
use login::{Login, Visit};
use metadata::Metadata;
use pass::Pass;
use passed_on::ClaimHeaders;
use remembered::Remembered;
use upstream_token::{Grant, UpstreamToken};

/// What one place asks of a token, checked.
#[derive(Debug)]
struct OAuth2 {
    issuers: Issuers,
    rules: Rules,
    challenge: Challenge,
    optional: bool,
    anonymous: Option<Anonymous>,
    max_token_bytes: usize,
    forward_token: bool,
    upstream_token: Option<UpstreamToken>,
    login: Option<Login>,
    require_certificate: bool,
    dpop: Option<Dpop>,
    metadata: Option<Metadata>,
    claims: Vec<String>,
    headers: ClaimHeaders,
    remembered: Remembered,
    checks: Counter<1>,
}

/// Why a request does not go on.
#[derive(Debug)]
enum Refusal {
    /// The client is told by its code, the operator by its name.
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

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        Self::Failed(error.into())
    }
}

impl Plugin for OAuth2 {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }

    fn leaves_out_if_first(&self) -> bool {
        self.own_token().is_none()
    }

    fn kept_from_clients(&self) -> Vec<HeaderName<'_>> {
        self.headers.names()
    }
}

impl Authorizer for OAuth2 {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        patience::begin();
        // For everybody, whatever comes along: who reads it may be about to find out that his token is of no use.
        if let Some(answer) = self.metadata.as_ref().and_then(|metadata| metadata.answer(request)) {
            return Ok(Decision::respond(answer));
        }
        let value = request.only_header(header::AUTHORIZATION);
        let (scheme, token) = match credentials::read(&value) {
            Credentials::Token(Scheme::Dpop, _) if self.dpop.is_none() => {
                // Whoever lets the request pass has not looked at it.
                passed_on::drop_token(request, true)?;
                return self.without_token(request);
            }
            Credentials::Token(scheme, token) => (scheme, token),
            Credentials::NoToken => return self.without_token(request),
            Credentials::Several => return self.deny(request, Denial::SeveralCredentials, None),
            Credentials::Malformed => return self.deny(request, Denial::MalformedCredentials, None),
        };
        match self.decide(request, scheme, token).and_then(|decision| self.exchange(request, token, decision)) {
            Ok(decision) => Ok(decision),
            Err(Refusal::Denied(denial)) => self.deny(request, denial, Some((scheme, token))),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }
}

impl RequestFilter for OAuth2 {
    /// Comes after the authorizer, also where another one let the request pass: then nobody has looked at these headers yet, nor at a token that
    /// came along. An upstream that reads it believes that the gateway did.
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        self.headers.clear_unless_set(request)?;
        passed_on::drop_unchecked_token(request)?;
        if let Some(answer) = self.take_cookies(request)? {
            return Ok(answer.into());
        }
        let Some(own) = self.own_token() else { return Ok(Flow::Next) };
        patience::begin();
        match own.attach(request, None, clock::now()) {
            Ok(()) => Ok(Flow::Next),
            Err(Refusal::Failed(AuthError::Unavailable(seconds))) => Ok(unavailable(seconds).into()),
            Err(Refusal::Failed(AuthError::Failed(why))) => Err(why.into()),
            Err(Refusal::Denied(denial)) => Err(format!("no token for the upstream: {}", denial.why()).into()),
        }
    }
}

/// As the gateway answers where an authorizer says so.
fn unavailable(seconds: Option<u32>) -> LocalResponse {
    let answer = LocalResponse::problem(Status::SERVICE_UNAVAILABLE, "The authorization server is of no use now.");
    match seconds {
        Some(seconds) => answer.with_header(header::RETRY_AFTER, seconds.to_string()).into(),
        None => answer.into(),
    }
}

/// Requests that go no further, or without a token.
impl OAuth2 {
    /// A token of the gateway's own for the upstream, whoever asks.
    fn own_token(&self) -> Option<&UpstreamToken> {
        self.upstream_token.as_ref().filter(|token| token.grant == Grant::ClientCredentials)
    }

    fn without_token(&self, request: &mut Request) -> Result<Decision, AuthError> {
        self.headers.clear(request)?;
        if let Some(login) = &self.login {
            return self.visit(login, request);
        }
        match &self.anonymous {
            Some(anonymous) => Ok(Decision::Allow(anonymous.identity())),
            None if self.optional => Ok(Decision::Abstain),
            None => self.deny(request, Denial::NoCredentials, None),
        }
    }

    fn deny(&self, request: &mut Request, denial: Denial, sent: Option<(Scheme, &[u8])>) -> Result<Decision, AuthError> {
        self.headers.clear(request)?;
        explanation::log(denial, sent.map(|(_, token)| token), self);
        let nonce = self.dpop.as_ref().filter(|_| denial == Denial::ProofNonce).and_then(Dpop::nonce);
        Ok(Decision::respond(self.challenge.answer(denial, sent.map(|(scheme, _)| scheme), nonce)))
    }
}

/// People with a browser: the token is in their session, or they are sent to get one.
impl OAuth2 {
    fn visit(&self, login: &Login, request: &mut Request) -> Result<Decision, AuthError> {
        let decided = match self.issuers.only() {
            Some(issuer) => {
                login.visit(request, issuer, self.rules.leeway, clock::now()).and_then(|visit| self.receive(login, request, visit))
            }
            None => Err(Denial::NoCredentials.into()),
        };
        match decided {
            Ok(decision) => Ok(decision),
            Err(Refusal::Denied(denial)) => self.deny(request, denial, None),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    fn receive(&self, login: &Login, request: &mut Request, visit: Visit) -> Result<Decision, Refusal> {
        match visit {
            Visit::Answer(answer) => Ok(Decision::respond(answer)),
            // One that would not pass here would be sent back to the server, and so on: so would one that is bound to what the browser has not.
            Visit::Arrived(token, answer) => match self.judge(&token, clock::now(), |verified| verified.binding) {
                Ok(binding) => {
                    self.check_holder(request, Scheme::Bearer, token.as_bytes(), &binding)?;
                    Ok(Decision::respond(answer))
                }
                Err(Refusal::Denied(Denial::InsufficientScope | Denial::RequirementNotMet)) => Ok(Decision::respond(answer)),
                Err(refusal) => Err(refusal),
            },
            Visit::Known(token, lines) => {
                // Whatever becomes of this request: the server takes what was renewed no more.
                if !lines.is_empty() {
                    // Whatever the upstream says of its answer, nobody else may be given this one.
                    request.append_response_header(header::CACHE_CONTROL, "private")?;
                }
                for line in lines {
                    request.append_response_header(header::SET_COOKIE, line)?;
                }
                let decided = self.decide(request, Scheme::Bearer, token.as_bytes());
                match decided.and_then(|decision| self.exchange(request, token.as_bytes(), decision)) {
                    Ok(decision) => {
                        if self.forward_token {
                            request.set_header(header::AUTHORIZATION, format!("Bearer {token}"))?;
                        }
                        Ok(decision)
                    }
                    // It has ended, or was taken back: whose it was may log in again.
                    Err(Refusal::Denied(denial)) if denial.code() == Some(Code::InvalidToken) => self.send_to_login(login, request, denial),
                    Err(refusal) => Err(refusal),
                }
            }
            Visit::Nobody => self.send_to_login(login, request, Denial::NoCredentials),
        }
    }

    fn send_to_login(&self, login: &Login, request: &Request, denial: Denial) -> Result<Decision, Refusal> {
        match login.begin(request, clock::now())? {
            Some(answer) => Ok(Decision::respond(answer)),
            None => Err(denial.into()),
        }
    }
}

/// A token that passed before is known by all of its bytes; what can have changed since is the time, and who sends it.
impl OAuth2 {
    fn decide(&self, request: &mut Request, scheme: Scheme, token: &[u8]) -> Result<Decision, Refusal> {
        let now = clock::now();
        let mut overdue = None;
        let mut again = self.remembered.look_up(token, |pass| {
            overdue = pass.overdue_set(now);
            (overdue.is_none() && !pass.is_outdated(now)).then(|| self.admit_again(request, scheme, token, pass, now))
        });
        if let Some(set) = overdue {
            set.renew(now);
            let admit = |pass: &Pass| (!pass.is_outdated(now)).then(|| self.admit_again(request, scheme, token, pass, now));
            again = self.remembered.look_up(token, admit);
        }
        let is_outdated = matches!(again, Some(None));
        match again.flatten() {
            None => self.decide_anew(request, scheme, token, now).inspect_err(|refusal| {
                if is_outdated && matches!(refusal, Refusal::Denied(_)) {
                    self.remembered.forget(token);
                }
            }),
            Some(Err(Refusal::Denied(denial))) => {
                if denial == Denial::Expired {
                    self.remembered.forget(token);
                }
                Err(denial.into())
            }
            Some(decided) => decided,
        }
    }

    /// Puts the upstream's token where the client's was.
    fn exchange(&self, request: &mut Request, token: &[u8], decision: Decision) -> Result<Decision, Refusal> {
        let exchanges = self.upstream_token.as_ref().filter(|token| token.grant == Grant::TokenExchange);
        if let (Some(exchanged), Decision::Allow(_)) = (exchanges, &decision) {
            let subject = credentials::b64token(token).ok_or(Denial::MalformedCredentials)?;
            exchanged.attach(request, Some(subject), clock::now())?;
        }
        Ok(decision)
    }

    fn admit_again(&self, request: &mut Request, scheme: Scheme, token: &[u8], pass: &Pass, now: Duration) -> Result<Decision, Refusal> {
        pass.lifetime.judge(self.rules.leeway, now)?;
        self.check_holder(request, scheme, token, &pass.binding)?;
        self.admit(request, pass)
    }

    fn decide_anew(&self, request: &mut Request, scheme: Scheme, bytes: &[u8], now: Duration) -> Result<Decision, Refusal> {
        // What is a JWT is a `b64token`; of what is none it is asked there.
        let token = std::str::from_utf8(bytes).map_err(|_| Denial::MalformedCredentials)?;
        let judged = self.judge(token, now, |verified| self.pass(verified));
        let result = match &judged {
            Ok(Ok(_)) => "passed",
            Ok(Err(_)) | Err(Refusal::Denied(_)) => "refused",
            Err(Refusal::Failed(_)) => "unavailable",
        };
        self.checks.add(1.0, [result]);
        let pass = judged??;
        self.check_holder(request, scheme, bytes, &pass.binding)?;
        let decision = self.admit(request, &pass)?;
        self.remembered.keep(bytes, pass);
        Ok(decision)
    }

    fn judge<R>(&self, text: &str, now: Duration, take: impl FnOnce(&Verified<'_>) -> R) -> Result<R, Refusal> {
        if text.len() > self.max_token_bytes {
            return Err(Denial::TooLarge.into());
        }
        self.issuers.judge(text, &self.rules, now, take)
    }

    /// Whether the token came from who it was given to.
    fn check_holder(&self, request: &mut Request, scheme: Scheme, token: &[u8], binding: &Binding) -> Result<(), Refusal> {
        binding.check_certificate(request, self.require_certificate)?;
        match (scheme, &binding.key, &self.dpop) {
            (Scheme::Bearer, None, Some(dpop)) if dpop.required => Err(Denial::NotBoundToKey.into()),
            (Scheme::Bearer, None, _) => Ok(()),
            // Who steals it would send it like that (RFC 9449, section 7.2).
            (Scheme::Bearer, Some(_), _) | (Scheme::Dpop, _, None) => Err(Denial::Bound.into()),
            (Scheme::Dpop, None, Some(_)) => Err(Denial::NotBoundToKey.into()),
            (Scheme::Dpop, Some(key), Some(dpop)) => dpop.check(request, token, key),
        }
    }

    /// Sessions are the gateway's affair, whoever let the request pass.
    fn take_cookies(&self, request: &mut Request) -> Result<Option<LocalResponse>, ChangeError> {
        self.login.as_ref().map_or(Ok(None), |login| login.take_cookies(request))
    }
}

plugway_sdk::export!(OAuth2: Authorizer, RequestFilter);

#[cfg(test)]
mod tests;
