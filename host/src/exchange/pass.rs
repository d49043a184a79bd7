//! What an authorizer gives to every request that it lets pass for the same reason: what can be known of it is known before the first of them.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::change::{ChangeError, is_reserved};
use super::identity::Identity;

/// An identity, and request headers that are removed and then set; none of them is reserved.
#[derive(Debug)]
pub struct Pass {
    pub(super) identity: Arc<Identity>,
    pub(super) remove: Box<[HeaderName]>,
    pub(super) set: Box<[(HeaderName, HeaderValue)]>,
}

impl Pass {
    /// One of these.
    ///
    /// # Errors
    /// `Forbidden` where no plugin may change such a header.
    pub fn new(identity: Arc<Identity>, remove: Vec<HeaderName>, set: Vec<(HeaderName, HeaderValue)>) -> Result<Self, ChangeError> {
        if remove.iter().chain(set.iter().map(|(name, _)| name)).any(is_reserved) {
            return Err(ChangeError::Forbidden);
        }
        Ok(Self { identity, remove: remove.into(), set: set.into() })
    }

    /// Bytes of names and values that it sets.
    pub fn set_bytes(&self) -> usize {
        self.set.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    }

    /// Bytes of all its headers.
    pub fn header_bytes(&self) -> usize {
        self.set_bytes() + self.remove.iter().map(|name| name.as_str().len()).sum::<usize>()
    }
}
