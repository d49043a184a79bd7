//! Who is calling.

use super::Value;

/// What an authorizer found out about the caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// The `sub` of a token, the name of a key's owner.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: Option<String>,
    /// Granted scopes, in order.
    pub scopes: Vec<String>,
    /// Everything else that is known.
    pub claims: Vec<(String, Value)>,
}

impl Identity {
    /// One claim by name.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Sets one claim, in the place of the one of that name.
    pub fn set_claim(&mut self, name: String, value: Value) {
        match self.claims.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.claims.push((name, value)),
        }
    }

    /// Bytes it holds, for the plugin's `max_attribute_bytes`.
    pub fn size(&self) -> usize {
        self.subject.len()
            + self.issuer.as_ref().map_or(0, String::len)
            + self.scopes.iter().map(String::len).sum::<usize>()
            + self.claims.iter().map(|(name, value)| name.len() + value.size()).sum::<usize>()
    }
}
