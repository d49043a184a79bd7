//! Nonces (RFC 9449, section 8): when one was made, sealed. Every worker and every gateway with the same key reads what any of them made, and
//! nothing has to be kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::{AuthError, keys};

use crate::granted_keys;

/// Seconds that one is good for.
const LIFETIME: f64 = 300.0;
/// What is sealed is for nothing else.
const CONTEXT: &str = "oauth2 dpop nonce";
/// Longest that is looked at: one has 76 characters.
const LONGEST: usize = 128;

/// Makes and knows them.
#[derive(Debug)]
pub(super) struct Nonces {
    key: String,
}

/// How old one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Good, and for not much longer.
    Late,
    /// No longer good, or none of ours.
    Over,
}

impl Nonces {
    pub(super) fn new(key: String) -> Result<Self, String> {
        // So that a key that cannot be used is found out now.
        granted_keys::seals("nonce_key", &key)?;
        Ok(Self { key })
    }

    pub(super) fn fresh(&self, now: f64) -> Result<String, AuthError> {
        let sealed = keys::seal(&self.key, CONTEXT, &now.to_le_bytes()).map_err(super::failed)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    pub(super) fn age(&self, nonce: &str, now: f64) -> Age {
        if nonce.len() > LONGEST {
            return Age::Over;
        }
        let sealed = URL_SAFE_NO_PAD.decode(nonce).ok();
        let made = sealed.and_then(|sealed| keys::open(&self.key, CONTEXT, &sealed).ok()).and_then(|bytes| bytes.try_into().ok());
        // A gateway beside this one may have a clock that is ahead.
        match made.map(|bytes| now - f64::from_le_bytes(bytes)) {
            Some(age) if (-LIFETIME..LIFETIME / 2.0).contains(&age) => Age::Fresh,
            Some(age) if (-LIFETIME..LIFETIME).contains(&age) => Age::Late,
            _ => Age::Over,
        }
    }
}
