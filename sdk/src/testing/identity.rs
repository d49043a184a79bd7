//! Identities of the double.

use std::cell::{Cell, RefCell};

use super::rules::{self, MAX_ATTRIBUTE_BYTES};
use crate::bindings::imports::plugway::gateway::types::ChangeError;
use crate::value::Value;

/// Scopes and claims of one.
const MOST_PARTS: usize = 1_024;

#[derive(Debug, Clone, Default)]
pub(crate) struct IdentityFacts {
    subject: String,
    issuer: Option<String>,
    scopes: Vec<String>,
    claims: Vec<(String, Value)>,
}

impl IdentityFacts {
    fn set_claim(&mut self, name: String, value: Value) {
        self.claims.retain(|(known, _)| *known != name);
        self.claims.push((name, value));
    }

    /// Of parts that hold nothing there is an end, too.
    fn fits(&self) -> bool {
        self.size() <= MAX_ATTRIBUTE_BYTES && self.scopes.len() + self.claims.len() <= MOST_PARTS
    }

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
    /// The size it was to have, where that is more than it may: its parts are not kept then.
    too_large: Cell<Option<usize>>,
}

impl FakeIdentity {
    pub(crate) fn from_facts(facts: IdentityFacts) -> Self {
        Self { facts: RefCell::new(facts), too_large: Cell::new(None) }
    }

    pub(crate) fn facts(&self) -> IdentityFacts {
        self.facts.borrow().clone()
    }

    pub(crate) fn new(subject: &str) -> Self {
        let made = Self::from_facts(IdentityFacts::default());
        made.change(|facts| facts.subject = subject.to_owned());
        made
    }

    pub(crate) fn of(subject: &str, issuer: Option<&str>, scopes: &[&str], claims: &[(&str, &Value)]) -> Result<Self, ChangeError> {
        let owned = |(name, value): &(&str, &Value)| ((*name).to_owned(), (*value).clone());
        let mut facts = IdentityFacts {
            subject: subject.to_owned(),
            issuer: issuer.map(str::to_owned),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            claims: claims.iter().map(owned).collect(),
        };
        // Of everything that was passed, before the last of each name is looked for.
        if !facts.fits() {
            return Err(ChangeError::TooLarge);
        }
        std::mem::take(&mut facts.claims).into_iter().for_each(|(name, value)| facts.set_claim(name, value));
        Ok(Self::from_facts(facts))
    }

    /// Whether the gateway would let it be given away.
    pub(crate) fn checked(&self) -> Result<(), String> {
        match self.too_large.get() {
            Some(size) => Err(format!("gave an identity of {size} bytes; max_attribute_bytes is {MAX_ATTRIBUTE_BYTES}")),
            None => Ok(()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut IdentityFacts)) {
        if self.too_large.get().is_some() {
            return;
        }
        let mut facts = self.facts.borrow_mut();
        change(&mut facts);
        if !facts.fits() {
            self.too_large.set(Some(facts.size()));
            *facts = IdentityFacts::default();
        }
    }

    pub(crate) fn subject(&self) -> String {
        self.facts.borrow().subject.clone()
    }

    pub(crate) fn issuer(&self) -> Option<String> {
        self.facts.borrow().issuer.clone()
    }

    pub(crate) fn set_issuer(&self, issuer: &str) {
        self.change(|facts| facts.issuer = Some(issuer.to_owned()));
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        self.facts.borrow().scopes.clone()
    }

    pub(crate) fn set_scopes(&self, scopes: &[&str]) {
        self.change(|facts| facts.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect());
    }

    pub(crate) fn claim(&self, name: &str) -> Option<Value> {
        self.facts.borrow().claims.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(crate) fn copy(&self) -> Self {
        Self { facts: RefCell::new(self.facts()), too_large: self.too_large.clone() }
    }

    pub(crate) fn set_claim(&self, name: &str, value: &Value) -> Result<(), ChangeError> {
        // What it replaces makes room.
        let mut facts = self.facts();
        facts.set_claim(name.to_owned(), value.clone());
        if self.too_large.get().is_some() || !facts.fits() {
            return Err(ChangeError::TooLarge);
        }
        self.change(|held| *held = facts);
        Ok(())
    }
}
