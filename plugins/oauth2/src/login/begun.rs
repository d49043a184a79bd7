//! Logins that a browser has begun and not ended. Each has a cookie of its own, by its `state`: of pages that are opened at once, as when a browser is
//! started again, each comes back to where it was.

use std::time::Duration;

use plugway_sdk::{Request, crypto, header};
use serde::{Deserialize, Serialize};

use super::cookies::{name, pairs};
use super::session::Cookie;

/// As many as a browser may have; the next one ends them. Somebody has given them up: what somebody waits for are fewer.
const MOST: usize = 8;
/// So many characters of its `state` are in the name of its cookie: enough to tell those of one browser apart.
const TAG: usize = 8;

/// A login that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    /// Where the browser wanted to go: a path on this gateway.
    pub(super) to: String,
    pub(super) ends: u64,
}

/// Those of one place.
#[derive(Debug)]
pub(super) struct Logins(Cookie);

impl Logins {
    /// By a cookie, whose name is the beginning of theirs.
    pub(super) fn new(cookie: Cookie) -> Self {
        Self(cookie)
    }

    /// The one with this `state`, where it is this browser that began it.
    pub(super) fn find(&self, request: &Request<'_>, state: &str) -> Option<Begun> {
        let begun: Begun = self.0.open(&request.cookie(&format!("{}{}", self.0.name(), end(state)?))?)?;
        crypto::equal(begun.state.as_bytes(), state.as_bytes()).then_some(begun)
    }

    /// `Set-Cookie` lines that keep one for so long.
    pub(super) fn keep(&self, request: &Request<'_>, begun: &Begun, time: Duration) -> Result<Vec<String>, String> {
        let end = end(&begun.state).ok_or("a `state` that is none")?;
        let mut lines = self.given_up(request);
        lines.push(self.0.line(&end, &self.0.seal(begun)?, time.as_secs()));
        Ok(lines)
    }

    /// A line that takes away the one with this `state`.
    pub(super) fn clear(&self, state: &str) -> Vec<String> {
        end(state).map(|end| self.0.line(&end, "", 0)).into_iter().collect()
    }

    /// Whether a cookie of this name is of one of them. It is asked of each cookie that a client cares to send.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.end_of(name).is_some()
    }

    /// Lines that take all away where there are too many.
    fn given_up(&self, request: &Request<'_>) -> Vec<String> {
        let lines = request.header_values(header::COOKIE);
        let ends: Vec<&str> = lines.iter().flat_map(|line| pairs(line)).filter_map(|pair| self.end_of(name(pair))).take(MOST).collect();
        if ends.len() < MOST { Vec::new() } else { ends.into_iter().map(|end| self.0.line(end, "", 0)).collect() }
    }

    /// What is behind the name that all have.
    fn end_of<'n>(&self, name: &'n [u8]) -> Option<&'n str> {
        let end = std::str::from_utf8(name.strip_prefix(self.0.name().as_bytes())?).ok()?;
        end.strip_prefix('-').is_some_and(is_tag).then_some(end)
    }
}

/// What is behind that name for this `state`.
fn end(state: &str) -> Option<String> {
    state.get(..TAG).filter(|tag| is_tag(tag)).map(|tag| format!("-{tag}"))
}

fn is_tag(text: &str) -> bool {
    text.len() == TAG && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
