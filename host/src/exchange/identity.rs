//! Who is calling.

use std::collections::HashMap;

use super::Value;

/// Scopes and claims of one.
pub const MOST_PARTS: usize = 1_024;
/// As many claims are looked through faster than found by their hash.
const FEW: usize = 16;

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

    /// Sets many claims, the last of each name, in time that grows with their number and no more.
    pub fn set_claims(&mut self, claims: Vec<(String, Value)>) {
        if claims.len() <= FEW {
            return claims.into_iter().for_each(|(name, value)| self.set_claim(name, value));
        }
        let mut places: HashMap<String, usize> = self.claims.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        for (name, value) in claims {
            match places.get(&name).and_then(|place| self.claims.get_mut(*place)) {
                Some((_, old)) => *old = value,
                None => {
                    places.insert(name.clone(), self.claims.len());
                    self.claims.push((name, value));
                }
            }
        }
    }

    /// Whether it may be given away, by the plugin's `max_attribute_bytes`: of parts that hold nothing there is an end, too.
    pub fn fits(&self, limit: usize) -> bool {
        self.size() <= limit && self.scopes.len() + self.claims.len() <= MOST_PARTS
    }

    /// Bytes it holds, for the plugin's `max_attribute_bytes`.
    pub fn size(&self) -> usize {
        self.subject.len()
            + self.issuer.as_ref().map_or(0, String::len)
            + self.scopes.iter().map(String::len).sum::<usize>()
            + self.claims.iter().map(|(name, value)| name.len() + value.size()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_claim_of_a_name_counts_in_the_place_of_the_first_however_many_there_are() {
        for number in [2, FEW, 5 * FEW] {
            let claims = |value: i64| (0..number).map(move |claim| (format!("claim-{claim}"), Value::Integer(value)));
            let mut identity = Identity::default();
            identity.set_claims(claims(1).chain(claims(2)).collect());
            assert_eq!(identity.claims, claims(2).collect::<Vec<_>>(), "{number}");
        }
    }
}
