//! Login in a browser: OpenID Connect's authorization code flow with PKCE (RFC 7636). Who has no session is sent to the issuer's server and
//! comes back with a code; the access token it is worth is kept in a session and judged at each request as one that was sent.

mod begun;
mod config;
mod cookies;
mod id_token;
mod response;
mod session;
mod sessions;
mod tokens;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use plugway_sdk::{AuthError, CryptoError, KvError, LocalResponse, Request, Status, header, kv, log, random};

use crate::Refusal;
use crate::client::Client;
use crate::document::Trouble;
use crate::form::{Form, encoded};
use crate::held::RETRY;
use crate::issuer::Issuer;
use crate::refusals;
use crate::server::{AUTHORIZATION, END_SESSION, Server};
use crate::url::is_same_path;
use begun::{Begun, Logins};
use response::{Malformed, Outcome, Response};
use session::Session;
use sessions::{Found, Sessions};
use tokens::{Given, Grant};

pub(crate) use config::LoginConfig;

/// How long somebody may take to log in.
const PATIENCE: Duration = Duration::from_secs(600);
/// Access tokens are renewed so long before they end; those that are short when half of their time is over, and not at each request.
const MARGIN: Duration = Duration::from_secs(30);
/// How long other requests of the same browser find what one of them renewed.
const RENEWED: Duration = Duration::from_secs(60);
/// How many renewals a cookie may be behind: others of the same browser made them meanwhile, each within that time.
const MOST_BEHIND: usize = 4;
/// When to come again, seconds, where the server was of no use.
const RETRY_AFTER: u32 = 5;
/// Longest path, with its query, that a login comes back to.
const LONGEST_PATH: usize = 1_024;

/// How people log in at one place, checked.
#[derive(Debug)]
pub(crate) struct Login {
    issuer: String,
    server: std::rc::Rc<Server>,
    client: Client,
    redirect: String,
    callback: String,
    logout: Option<String>,
    after_logout: String,
    scope: String,
    resource: Option<String>,
    lifetime: Duration,
    sessions: Sessions,
    begun: Logins,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Visit {
    /// It is answered here.
    Answer(LocalResponse),
    /// Somebody comes back from the server with this token. The answer is for who may use it here.
    Arrived(String, LocalResponse),
    /// Somebody is logged in, with this token. Lines of `Set-Cookie` go with the response.
    Known(String, Vec<String>),
    /// Nobody is.
    Nobody,
}

impl Login {
    /// Looks at a request that brings no token; `now` is since the Unix epoch.
    pub(crate) fn visit(&self, request: &Request<'_>, issuer: &Issuer, leeway: Duration, now: Duration) -> Result<Visit, Refusal> {
        let path = request.path();
        if is_same_path(&path, &self.callback) {
            return self.come_back(request, issuer, leeway, now);
        }
        if self.logout.as_ref().is_some_and(|logout| is_same_path(&path, logout)) {
            return self.leave(request, now).map(Visit::Answer);
        }
        let Some(found) = self.sessions.find(request).filter(|found| now.as_secs() < found.session.ends) else {
            return Ok(Visit::Nobody);
        };
        if now.as_secs() < found.session.renews {
            return Ok(Visit::Known(found.session.access_token, Vec::new()));
        }
        self.renew(found, now)
    }

    /// Sends a browser to the server, if it is one: something that wants a page. Anything else is better told that it needs a token.
    pub(crate) fn begin(&self, request: &Request<'_>, now: Duration) -> Result<Option<LocalResponse>, Refusal> {
        let wants_page = request.header_str(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
        if request.method() != "GET" || !wants_page {
            return Ok(None);
        }
        let begun = Begun {
            state: random_text(16),
            nonce: random_text(16),
            verifier: random_text(32),
            to: target(request),
            ends: (now + PATIENCE).as_secs(),
        };
        let endpoint = self.server.endpoint(AUTHORIZATION, false, now).map_err(|trouble| self.unavailable(&trouble))?;
        let challenge = crypto::digest(DigestAlgorithm::Sha256, begun.verifier.as_bytes()).map_err(failed)?;
        let mut query = Form::default();
        query.add("response_type", "code");
        query.add("client_id", &self.client.id);
        query.add("redirect_uri", &self.redirect);
        query.add("scope", &self.scope);
        query.add("state", &begun.state);
        query.add("nonce", &begun.nonce);
        query.add("code_challenge", &URL_SAFE_NO_PAD.encode(challenge));
        query.add("code_challenge_method", "S256");
        if let Some(resource) = &self.resource {
            query.add("resource", resource);
        }
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        let answer = LocalResponse::redirect(Status(302), &format!("{endpoint}{separator}{}", query.as_str()));
        Ok(Some(with_cookies(answer, &self.begun.keep(request, &begun, PATIENCE).map_err(failed)?)))
    }

    /// The browser comes back from the server. Only one that began here has the cookie with this `state`: nobody can be made to log in as
    /// somebody else (RFC 6749, section 10.12).
    fn come_back(&self, request: &Request<'_>, issuer: &Issuer, leeway: Duration, now: Duration) -> Result<Visit, Refusal> {
        let Ok(response) = Response::read(&request.query().unwrap_or_default()) else { return Ok(malformed(&[])) };
        let Some(begun) = self.begun.find(request, &response.state).filter(|begun| now.as_secs() < begun.ends) else {
            log::info!("a login was refused: it was not begun by this browser, or too long ago");
            return Ok(refused(Status::BAD_REQUEST, &[]));
        };
        // Another server's answer must not be taken for this one's (RFC 9207).
        let why = match &response.issuer {
            Some(from) if *from != self.issuer => Some("the answer is from another issuer"),
            None if self.server.names_itself(now).map_err(|trouble| self.unavailable(&trouble))? => {
                Some("the answer does not say from which issuer it is, and the server says that its own do")
            }
            _ => None,
        };
        if let Some(why) = why {
            log::info!("a login was refused: {why}");
            return Ok(refused(Status::BAD_REQUEST, &[]));
        }
        let code = match response.outcome() {
            Ok(Outcome::Code(code)) => code,
            Ok(Outcome::Error(error)) => {
                log::info!("a login was refused by the server: {error}");
                return Ok(refused(Status::FORBIDDEN, &self.begun.clear(&begun.state)));
            }
            Err(Malformed) => return Ok(malformed(&self.begun.clear(&begun.state))),
        };
        let digest = crypto::digest(DigestAlgorithm::Sha256, begun.state.as_bytes()).map_err(failed)?;
        let place = refusals::place("login", &digest);
        if kv::get(&place).is_ok_and(|state| state.as_deref() == Some(begun.state.as_bytes())) {
            log::info!("a login was refused: its state was used before");
            return Ok(refused(Status::BAD_REQUEST, &self.begun.clear(&begun.state)));
        }
        // The browser is told to forget its cookie, but somebody may have kept a copy.
        let used = format!("login:{}", begun.state);
        match kv::pin(&used, b"1", PATIENCE) {
            Ok(()) => {}
            Err(KvError::Mismatch) => {
                log::info!("a login was refused: its state was used before");
                return Ok(refused(Status::BAD_REQUEST, &self.begun.clear(&begun.state)));
            }
            Err(error @ (KvError::Unavailable | KvError::Full)) => {
                log::warn!("a login cannot be finished: {error}");
                return Err(AuthError::Unavailable(Some(RETRY_AFTER)).into());
            }
            Err(error) => return Err(failed(error).into()),
        }
        let given = self.ask(&Grant::Code(&code, &begun.verifier), now).inspect_err(|_| {
            // It may be tried again when the server is back.
            let _ = kv::delete(&used);
        })?;
        let Some(given) = given else {
            // It was used all the same, but a code that is none costs whoever sends it nothing: such notes are not pinned.
            let _ = kv::delete(&used);
            let _ = kv::set(&place, &begun.state, Some(PATIENCE));
            log::info!("a login was refused: the server takes the code for none of its own");
            return Ok(refused(Status::FORBIDDEN, &self.begun.clear(&begun.state)));
        };
        let id_token = given.id_token.as_deref().unwrap_or_default();
        id_token::check(id_token, issuer, (&self.client.id, &begun.nonce), leeway, now)?;
        let made = self.made(given, (now + self.lifetime).as_secs(), now);
        let mut lines = self.sessions.keep(None, &made, self.lifetime).map_err(failed)?;
        lines.extend(self.begun.clear(&begun.state));
        Ok(Visit::Arrived(made.access_token, with_cookies(LocalResponse::redirect(Status(302), &begun.to), &lines)))
    }

    /// A new access token for an old session. A browser asks for many things at once, with the same cookie, and a refresh token may be
    /// good only once: what the first of them got is found by the others.
    fn renew(&self, found: Found, now: Duration) -> Result<Visit, Refusal> {
        let Found { session, name: kept_as } = found;
        let is_good = now < Duration::from_secs(session.expires);
        let Some(refresh_token) = session.refresh_token.clone() else {
            return Ok(if is_good { Visit::Known(session.access_token, Vec::new()) } else { Visit::Nobody });
        };
        let Latest { refresh_token, place, renewed } = Latest::find(refresh_token, now).map_err(failed)?;
        let renewed = match renewed {
            Some(renewed) => renewed,
            None => {
                // A server that is slow or away would hold up each request of a token that is good still.
                let tried = format!("tried-{place}");
                if is_good && kv::get(&tried).is_ok_and(|tried| tried.is_some()) {
                    return Ok(Visit::Known(session.access_token, Vec::new()));
                }
                let given = match self.ask(&Grant::RefreshToken(&refresh_token), now) {
                    Ok(Some(given)) => given,
                    Ok(None) => return Ok(Visit::Nobody),
                    // It is still good for a moment.
                    Err(_) if is_good => {
                        let _ = kv::set(&tried, b"1", Some(RETRY));
                        return Ok(Visit::Known(session.access_token, Vec::new()));
                    }
                    Err(refusal) => return Err(refusal),
                };
                let mut renewed = self.made(given, session.ends, now);
                renewed.refresh_token.get_or_insert(refresh_token);
                if let Ok(text) = serde_json::to_vec(&renewed) {
                    let _ = kv::set(&place, text, Some(RENEWED));
                }
                renewed
            }
        };
        let left = Duration::from_secs(session.ends).saturating_sub(now);
        let lines = self.sessions.keep(kept_as, &renewed, left).map_err(failed)?;
        Ok(Visit::Known(renewed.access_token, lines))
    }

    fn leave(&self, request: &Request<'_>, now: Duration) -> Result<LocalResponse, Refusal> {
        if is_unasked(request) {
            log::info!("a logout was refused: a page of another site asked for it, or a browser that fetches ahead");
            let problem = LocalResponse::problem(Status::FORBIDDEN, "Nobody was logged out.");
            return Ok(with_cookies(problem.with_detail("Please log out on a page of this site.").into(), &[]));
        }
        let to = match self.server.endpoint(END_SESSION, false, now) {
            Ok(endpoint) => {
                let separator = if endpoint.contains('?') { '&' } else { '?' };
                let after = format!("{}{}", origin(&self.redirect), self.after_logout);
                format!("{endpoint}{separator}client_id={}&post_logout_redirect_uri={}", encoded(&self.client.id), encoded(&after))
            }
            // A server that has no session of its own to end, or is away: the one here is over all the same.
            Err(_) => self.after_logout.clone(),
        };
        Ok(with_cookies(LocalResponse::redirect(Status(303), &to), &self.sessions.end(request)))
    }

    fn made(&self, given: Given, ends: u64, now: Duration) -> Session {
        let expires = now.saturating_add(given.life);
        Session {
            access_token: given.access_token,
            refresh_token: given.refresh_token,
            renews: expires.saturating_sub(MARGIN.min(given.life / 2)).as_secs(),
            expires: expires.as_secs(),
            ends,
        }
    }

    fn unavailable(&self, trouble: &Trouble) -> AuthError {
        log::warn!("login at {}: {trouble}", self.issuer);
        AuthError::Unavailable(Some(RETRY_AFTER))
    }
}

/// Where a session is by now that a cookie has: other requests of its browser may have renewed it.
struct Latest {
    /// What it can be renewed by: not one that was used already, for which a server may end the whole session (RFC 9700, section 4.14.2).
    refresh_token: String,
    /// Where what comes of it is noted.
    place: String,
    /// What came of it, as long as its access token is good.
    renewed: Option<Session>,
}

impl Latest {
    fn find(refresh_token: String, now: Duration) -> Result<Self, CryptoError> {
        let mut latest = Self::of(refresh_token)?;
        for _ in 0..MOST_BEHIND {
            let ended = latest.renewed.take_if(|renewed| now >= Duration::from_secs(renewed.expires));
            match ended.and_then(|ended| ended.refresh_token) {
                Some(next) if next != latest.refresh_token => latest = Self::of(next)?,
                _ => return Ok(latest),
            }
        }
        // Renewed more often than anybody waits: by the newest that was found.
        latest.renewed.take_if(|renewed| now >= Duration::from_secs(renewed.expires));
        Ok(latest)
    }

    fn of(refresh_token: String) -> Result<Self, CryptoError> {
        let digest = crypto::digest(DigestAlgorithm::Sha256, refresh_token.as_bytes())?;
        let place = format!("renewed:{}", URL_SAFE_NO_PAD.encode(digest));
        let renewed = kv::get(&place).ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { refresh_token, place, renewed })
    }
}

/// Where to come back to: what was asked for, which is a path on this gateway and nothing that a browser takes for another host.
fn target(request: &Request<'_>) -> String {
    let path = request.raw_path();
    let target = request.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let is_own =
        path.starts_with('/') && !path.starts_with("//") && !target.contains('\\') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own && target.len() <= LONGEST_PATH { target } else { "/".to_owned() }
}

/// Whether a browser says that its user wants nothing of this: another site's link, form or picture made it ask (Fetch Metadata), or it asks for what
/// may come to be wanted. One that says nothing of it is believed.
fn is_unasked(request: &Request<'_>) -> bool {
    let is_elsewhere = request.header_str("sec-fetch-site").is_some_and(|site| site == "cross-site");
    is_elsewhere || request.header_str("sec-purpose").is_some_and(|purpose| purpose.contains("prefetch"))
}

fn origin(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |place| place + 3);
    let end = url.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(url.len(), |place| after_scheme + place);
    url.get(..end).unwrap_or(url)
}

fn random_text(bytes: u32) -> String {
    URL_SAFE_NO_PAD.encode(random::bytes(bytes))
}

fn with_cookies(answer: LocalResponse, lines: &[String]) -> LocalResponse {
    let answer = lines.iter().fold(answer, |answer, line| answer.with_header(header::SET_COOKIE, line));
    answer.with_header(header::CACHE_CONTROL, "no-store")
}

/// Why is in the log: whoever made somebody come here with such an answer learns nothing.
fn refused(status: Status, lines: &[String]) -> Visit {
    let problem = LocalResponse::problem(status, "Nobody was logged in.").with_detail("Please begin again.");
    Visit::Answer(with_cookies(problem.into(), lines))
}

fn malformed(lines: &[String]) -> Visit {
    log::info!("a login was refused: what came back is no answer of a server");
    refused(Status::BAD_REQUEST, lines)
}

fn failed(error: impl std::fmt::Display) -> AuthError {
    AuthError::Failed(format!("`login`: {error}"))
}

#[cfg(test)]
mod tests;
