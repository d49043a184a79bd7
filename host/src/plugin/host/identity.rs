//! `types.identity`. Unlike a request, a guest owns identities, so they live in the store's table.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::exchange::{Identity, MOST_PARTS};
use crate::plugin::bindings::plugway::gateway::types::{ChangeError, HostIdentity, Value};
use crate::plugin::failure::Failure;
use crate::plugin::guest::{Guest, IdentityHandle};
use crate::telemetry::BudgetKey;

type Handle = Resource<IdentityHandle>;

impl Guest {
    fn said(&mut self, handle: &Handle) -> Result<&Arc<Identity>> {
        Ok(&self.wasi.table.get(handle)?.identity)
    }

    fn change(&mut self, handle: &Handle, change: impl FnOnce(&mut Identity)) -> Result<()> {
        let limit = self.limits.attribute_bytes;
        let held = self.wasi.table.get_mut(handle)?;
        if held.too_large.is_none() {
            // One that was copied is shared until it is changed.
            change(Arc::make_mut(&mut held.identity));
            *held = IdentityHandle::within(limit, Arc::clone(&held.identity));
        }
        Ok(())
    }

    /// Takes an identity a guest gave away.
    pub(in crate::plugin) fn take_identity(&mut self, handle: Handle) -> Result<Arc<Identity>> {
        let IdentityHandle { identity, too_large } = self.wasi.table.delete(handle)?;
        match too_large {
            Some(size) => {
                let limit = self.limits.attribute_bytes;
                let message = format!(
                    "gave an identity of {size} bytes; max_attribute_bytes is {limit}, and there are {MOST_PARTS} scopes and claims at most"
                );
                Err(Failure::over(BudgetKey::MaxAttributeBytes, message).into())
            }
            None => Ok(identity),
        }
    }
}

impl HostIdentity for Guest {
    fn new(&mut self, subject: String) -> Result<Handle> {
        let identity = Arc::new(Identity { subject, ..Identity::default() });
        Ok(self.wasi.table.push(IdentityHandle::within(self.limits.attribute_bytes, identity))?)
    }

    fn of(
        &mut self,
        subject: String,
        issuer: Option<String>,
        scopes: Vec<String>,
        claims: Vec<(String, Value)>,
    ) -> Result<std::result::Result<Handle, ChangeError>> {
        let claims: Vec<_> = claims.into_iter().map(|(name, value)| (name, value.into())).collect();
        let mut identity = Identity { subject, issuer, scopes, claims };
        // Before anything else is done with so much.
        if !identity.fits(self.limits.attribute_bytes) {
            self.hits.count(BudgetKey::MaxAttributeBytes, 1);
            return Ok(Err(ChangeError::TooLarge));
        }
        let claims = std::mem::take(&mut identity.claims);
        identity.set_claims(claims);
        Ok(Ok(self.wasi.table.push(IdentityHandle { identity: Arc::new(identity), too_large: None })?))
    }

    fn subject(&mut self, handle: Handle) -> Result<String> {
        Ok(self.said(&handle)?.subject.clone())
    }

    fn issuer(&mut self, handle: Handle) -> Result<Option<String>> {
        Ok(self.said(&handle)?.issuer.clone())
    }

    fn set_issuer(&mut self, handle: Handle, issuer: String) -> Result<()> {
        self.change(&handle, |identity| identity.issuer = Some(issuer))
    }

    fn scopes(&mut self, handle: Handle) -> Result<Vec<String>> {
        Ok(self.said(&handle)?.scopes.clone())
    }

    fn set_scopes(&mut self, handle: Handle, scopes: Vec<String>) -> Result<()> {
        self.change(&handle, |identity| identity.scopes = scopes)
    }

    fn claim(&mut self, handle: Handle, name: String) -> Result<Option<Value>> {
        Ok(self.said(&handle)?.claim(&name).map(Value::from))
    }

    fn set_claim(&mut self, handle: Handle, name: String, value: Value) -> Result<std::result::Result<(), ChangeError>> {
        let value = crate::exchange::Value::from(value);
        if !self.wasi.table.get(&handle)?.has_room_for(self.limits.attribute_bytes, &name, &value) {
            self.hits.count(BudgetKey::MaxAttributeBytes, 1);
            return Ok(Err(ChangeError::TooLarge));
        }
        self.change(&handle, |identity| identity.set_claim(name, value))?;
        Ok(Ok(()))
    }

    fn copy(&mut self, handle: Handle) -> Result<Handle> {
        let held = self.wasi.table.get(&handle)?;
        let copy = IdentityHandle { identity: Arc::clone(&held.identity), too_large: held.too_large };
        Ok(self.wasi.table.push(copy)?)
    }

    fn drop(&mut self, handle: Handle) -> Result<()> {
        self.wasi.table.delete(handle)?;
        Ok(())
    }
}
