//! Identities of the double.

use std::cell::RefCell;

use super::rules::{self, MAX_ATTRIBUTE_BYTES};
use crate::bindings::imports::plugway::gateway::types::ChangeError;
use crate::value::Value;

#[derive(Debug, Clone, Default)]
pub(crate) struct IdentityFacts {
    subject: String,
    issuer: Option<String>,
    scopes: Vec<String>,
    claims: Vec<(String, Value)>,
}

impl IdentityFacts {
    fn size(&self) -> usize {
        self.subject.len()
            + self.issuer.as_ref().map_or(0, String::len)
            + self.scopes.iter().map(String::len).sum::<usize>()
            + self.claims.iter().map(|(name, value)| name.len() + rules::value_size(value)).sum::<usize>()
    }
}

/// What stands in for the gateway's identity. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakeIdentity {
    facts: RefCell<IdentityFacts>,
}

impl FakeIdentity {
    pub(crate) fn from_facts(facts: IdentityFacts) -> Self {
        Self { facts: RefCell::new(facts) }
    }

    pub(crate) fn facts(&self) -> IdentityFacts {
        self.facts.borrow().clone()
    }

    pub(crate) fn new(subject: &str) -> Self {
        Self::from_facts(IdentityFacts { subject: subject.to_owned(), ..IdentityFacts::default() })
    }

    pub(crate) fn of(subject: &str, issuer: Option<&str>, scopes: &[&str], claims: &[(&str, &Value)]) -> Result<Self, ChangeError> {
        let made = Self::new(subject);
        if let Some(issuer) = issuer {
            made.set_issuer(issuer);
        }
        made.set_scopes(scopes);
        claims.iter().try_for_each(|(name, value)| made.set_claim(name, value))?;
        let size = made.facts.borrow().size();
        if size > MAX_ATTRIBUTE_BYTES { Err(ChangeError::TooLarge) } else { Ok(made) }
    }

    pub(crate) fn subject(&self) -> String {
        self.facts.borrow().subject.clone()
    }

    pub(crate) fn issuer(&self) -> Option<String> {
        self.facts.borrow().issuer.clone()
    }

    pub(crate) fn set_issuer(&self, issuer: &str) {
        self.facts.borrow_mut().issuer = Some(issuer.to_owned());
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        self.facts.borrow().scopes.clone()
    }

    pub(crate) fn set_scopes(&self, scopes: &[&str]) {
        self.facts.borrow_mut().scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    }

    pub(crate) fn claim(&self, name: &str) -> Option<Value> {
        self.facts.borrow().claims.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(crate) fn copy(&self) -> Self {
        Self::from_facts(self.facts())
    }

    pub(crate) fn set_claim(&self, name: &str, value: &Value) -> Result<(), ChangeError> {
        let mut facts = self.facts.borrow_mut();
        if facts.size() + name.len() + rules::value_size(value) > MAX_ATTRIBUTE_BYTES {
            return Err(ChangeError::TooLarge);
        }
        facts.claims.retain(|(known, _)| known != name);
        facts.claims.push((name.to_owned(), value.clone()));
        Ok(())
    }
}
