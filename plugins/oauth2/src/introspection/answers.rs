//! Answers that count for a while, in `kv`: one worker's question is the answer of all. Found by the digest of the token, which
//! is the same for no two; no token is kept.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use plugway_sdk::kv;

use super::{Answer, Limits};
use crate::denial::Denial;
use crate::json;
use crate::refusals;

/// Those of one server and client: another client may be told something else.
#[derive(Debug)]
pub(super) struct Answers {
    asked: Vec<u8>,
}

/// SHA-256 of a token, and of who is asked by whom.
#[derive(Debug)]
pub(super) struct Name([u8; 32]);

impl Answers {
    pub(super) fn new(location: &str, issuer: &str, client: &str) -> Self {
        // None of the three has a zero byte in it.
        Self { asked: format!("{location}\0{issuer}\0{client}\0").into_bytes() }
    }

    pub(super) fn name(&self, token: &str) -> Result<Name, String> {
        let digest = crypto::digest(DigestAlgorithm::Sha256, &[&self.asked, token.as_bytes()].concat());
        let digest = digest.map_err(|error| format!("`introspection`: {error}"))?;
        digest.try_into().map(Name).map_err(|_| "`introspection`: no digest".to_owned())
    }

    /// What is known of a token, if anything is that counts still: places share what was said, and each has limits of its own.
    pub(super) fn find(&self, name: &Name, limits: Limits, now: Duration) -> Option<Result<Answer, Denial>> {
        if let Some((asked, claims)) = entry(&name.key(), now) {
            let answer = Answer::said(json::read_object(&claims)?, asked, limits.cache);
            if answer.until > now {
                return Some(Ok(answer));
            }
        }
        let (asked, refused) = entry(&name.place(), now)?;
        // The place is another token's too.
        (asked + limits.negative_cache > now && refused == name.0).then_some(Err(Denial::Inactive))
    }

    pub(super) fn keep(&self, name: &Name, answer: &Answer, now: Duration) {
        if let Ok(claims) = serde_json::to_vec(&answer.claims) {
            keep(&name.key(), now, answer.until, &claims);
        }
    }

    pub(super) fn keep_refusal(&self, name: &Name, until: Duration, now: Duration) {
        keep(&name.place(), now, until, &name.0);
    }
}

impl Name {
    fn key(&self) -> String {
        format!("token:{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    fn place(&self) -> String {
        refusals::place("token", &self.0)
    }
}

/// When it was said, in milliseconds, and what. A clock that was set back makes nothing count for longer.
fn entry(key: &str, now: Duration) -> Option<(Duration, Vec<u8>)> {
    let value = kv::get(key).ok()??;
    let (asked, rest) = value.split_first_chunk()?;
    let asked = Duration::from_millis(u64::from_le_bytes(*asked));
    (asked <= now).then(|| (asked, rest.to_vec()))
}

/// What has no room is asked again.
fn keep(key: &str, asked: Duration, until: Duration, what: &[u8]) {
    let Some(left) = until.checked_sub(asked).filter(|left| left.as_millis() > 0) else { return };
    let asked = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
    let _ = kv::set(key, [&asked.to_le_bytes(), what].concat(), Some(left));
}
