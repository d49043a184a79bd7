//! Who is calling.

use std::fmt;

use crate::error::ChangeError;
use crate::sys;
use crate::value::Value;

/// Who is calling, as an authorizer found. Every later plugin, the access log and the record can read it.
///
/// It has at most the plugin's `max_attribute_bytes`, and 1,024 scopes and claims. [`new`](Self::new), [`set_issuer`](Self::set_issuer) and
/// [`set_scopes`](Self::set_scopes) cannot say that this is too much: nothing of such an identity is kept, and to allow it fails the
/// call. Where the size depends on a client's token take [`of`](Self::of), which says so at once.
pub struct Identity {
    raw: sys::types::Identity,
}

impl Identity {
    pub(crate) fn from_raw(raw: sys::types::Identity) -> Self {
        Self { raw }
    }

    pub(crate) fn into_raw(self) -> sys::types::Identity {
        self.raw
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn fake(&self) -> &sys::types::Identity {
        &self.raw
    }

    /// A new identity with the given subject (the `sub` of a token, the name of an API key's owner).
    pub fn new(subject: &str) -> Self {
        Self::from_raw(sys::types::Identity::new(subject))
    }

    /// A whole one in one call, for who makes many. Of two claims with one name the last counts. Fails with `TooLarge` past the plugin's
    /// `max_attribute_bytes`.
    pub fn of(subject: &str, issuer: Option<&str>, scopes: &[&str], claims: &[(&str, &Value)]) -> Result<Self, ChangeError> {
        Ok(Self::from_raw(sys::types::Identity::of(subject, issuer, scopes, claims)?))
    }

    /// The subject.
    pub fn subject(&self) -> String {
        self.raw.subject()
    }

    /// Who vouches for it (the `iss` of a token), if set.
    pub fn issuer(&self) -> Option<String> {
        self.raw.issuer()
    }

    /// Sets the issuer.
    pub fn set_issuer(&mut self, issuer: &str) {
        self.raw.set_issuer(issuer);
    }

    /// Granted scopes in the order they were given.
    pub fn scopes(&self) -> Vec<String> {
        self.raw.scopes()
    }

    /// Replaces the scopes.
    pub fn set_scopes(&mut self, scopes: &[&str]) {
        self.raw.set_scopes(scopes);
    }

    /// One claim by name.
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.raw.claim(name)
    }

    /// One claim as text, to make keys of: `sub` and `iss` are the subject and the issuer, and bytes become hexadecimal digits, since raw
    /// ones could look like a separator.
    pub fn claim_text(&self, name: &str) -> Option<String> {
        match name {
            "sub" => Some(self.subject()),
            "iss" => self.issuer(),
            name => self.claim(name).map(|value| match value {
                Value::Text(text) => text,
                Value::Integer(integer) => integer.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Boolean(boolean) => boolean.to_string(),
                Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            }),
        }
    }

    /// Sets one claim. Fails with `TooLarge` past the plugin's `max_attribute_bytes`.
    pub fn set_claim(&mut self, name: &str, value: impl Into<Value>) -> Result<(), ChangeError> {
        Ok(self.raw.set_claim(name, &value.into())?)
    }
}

/// One call, however much the identity says: keep one and give copies away.
impl Clone for Identity {
    fn clone(&self) -> Self {
        Self::from_raw(self.raw.copy())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("subject", &self.subject()).finish_non_exhaustive()
    }
}
