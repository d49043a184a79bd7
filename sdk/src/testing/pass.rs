//! Passes of the double.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::FakeRequest;
use super::identity::{FakeIdentity, IdentityFacts};
use super::rules::{self, MAX_HEADER_BYTES, MAX_HEADERS};
use crate::bindings::imports::plugway::gateway::types::{ChangeError, HeaderName};
use crate::header;

/// Most headers that one removes.
const MOST_REMOVED: usize = 256;

/// What one gives.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) identity: IdentityFacts,
    remove: Vec<String>,
    set: Vec<(String, Vec<u8>)>,
}

/// What stands in for the gateway's pass. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakePass(u32);

thread_local! {
    static PASSES: RefCell<(u32, BTreeMap<u32, Rc<Given>>)> = const { RefCell::new((0, BTreeMap::new())) };
}

/// What a number gives, while there is a pass of it.
pub(crate) fn given(number: u32) -> Option<Rc<Given>> {
    PASSES.with_borrow(|(_, passes)| passes.get(&number).cloned())
}

impl Given {
    /// Changes the headers of a request. They were held against the limits when it was made.
    pub(crate) fn change(&self, request: &FakeRequest) {
        let mut facts = request.save();
        self.remove.iter().for_each(|name| facts.headers.remove(name));
        self.set.iter().for_each(|(name, value)| facts.headers.set(name.clone(), value));
        request.restore(facts);
    }
}

impl FakePass {
    pub(crate) fn of(identity: FakeIdentity, remove: &[HeaderName<'_>], set: &[(HeaderName<'_>, &[u8])]) -> Result<Self, ChangeError> {
        let checked = identity.checked();
        assert!(checked.is_ok(), "the gateway ends the call: {checked:?}");
        let removed = |name: &HeaderName<'_>| rules::header_name(name.as_str(), header::is_reserved);
        let remove = remove.iter().map(removed).collect::<Result<Vec<_>, _>>()?;
        let line = |(name, value): &(HeaderName<'_>, &[u8])| {
            Ok((rules::unwritten_line(name.as_str(), value, header::is_reserved)?, value.to_vec()))
        };
        let set = set.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let bytes: usize = set.iter().map(|(name, value)| name.len() + value.len()).sum();
        if set.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES || remove.len() > MOST_REMOVED {
            return Err(ChangeError::TooLarge);
        }
        let given = Rc::new(Given { identity: identity.facts(), remove, set });
        Ok(PASSES.with_borrow_mut(|(last, passes)| {
            *last += 1;
            passes.insert(*last, given);
            Self(*last)
        }))
    }

    pub(crate) fn number(&self) -> u32 {
        self.0
    }
}

impl Drop for FakePass {
    fn drop(&mut self) {
        // A test's thread may have dropped the others first.
        let _ = PASSES.try_with(|passes| passes.borrow_mut().1.remove(&self.0));
    }
}
