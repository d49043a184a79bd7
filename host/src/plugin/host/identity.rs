//! `types.identity`. Unlike a request, a guest owns identities, so they live in the store's table.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::exchange::Identity;
use crate::plugin::bindings::plugway::gateway::types::{ChangeError, HostIdentity, Value};
use crate::plugin::guest::{Guest, IdentityHandle};

type Handle = Resource<IdentityHandle>;

impl Guest {
    fn said(&mut self, handle: &Handle) -> Result<&Arc<Identity>> {
        Ok(&self.wasi.table.get(handle)?.0)
    }

    fn owned(&mut self, handle: &Handle) -> Result<&mut Identity> {
        // One that was copied is shared until it is changed.
        Ok(Arc::make_mut(&mut self.wasi.table.get_mut(handle)?.0))
    }

    /// Takes an identity a guest gave away.
    pub(in crate::plugin) fn take_identity(&mut self, handle: Handle) -> Result<Arc<Identity>> {
        Ok(self.wasi.table.delete(handle)?.0)
    }
}

impl HostIdentity for Guest {
    fn new(&mut self, subject: String) -> Result<Handle> {
        Ok(self.wasi.table.push(IdentityHandle(Arc::new(Identity { subject, ..Identity::default() })))?)
    }

    fn subject(&mut self, handle: Handle) -> Result<String> {
        Ok(self.said(&handle)?.subject.clone())
    }

    fn issuer(&mut self, handle: Handle) -> Result<Option<String>> {
        Ok(self.said(&handle)?.issuer.clone())
    }

    fn set_issuer(&mut self, handle: Handle, issuer: String) -> Result<()> {
        self.owned(&handle)?.issuer = Some(issuer);
        Ok(())
    }

    fn scopes(&mut self, handle: Handle) -> Result<Vec<String>> {
        Ok(self.said(&handle)?.scopes.clone())
    }

    fn set_scopes(&mut self, handle: Handle, scopes: Vec<String>) -> Result<()> {
        self.owned(&handle)?.scopes = scopes;
        Ok(())
    }

    fn claim(&mut self, handle: Handle, name: String) -> Result<Option<Value>> {
        Ok(self.said(&handle)?.claim(&name).map(Value::from))
    }

    fn set_claim(&mut self, handle: Handle, name: String, value: Value) -> Result<std::result::Result<(), ChangeError>> {
        let limit = self.limits.attribute_bytes;
        let identity = self.owned(&handle)?;
        let value = crate::exchange::Value::from(value);
        // What it replaces makes room.
        let replaced = identity.claim(&name).map_or(0, |old| name.len() + old.size());
        if identity.size() - replaced + name.len() + value.size() > limit {
            return Ok(Err(ChangeError::TooLarge));
        }
        match identity.claims.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => identity.claims.push((name, value)),
        }
        Ok(Ok(()))
    }

    fn copy(&mut self, handle: Handle) -> Result<Handle> {
        let identity = Arc::clone(self.said(&handle)?);
        Ok(self.wasi.table.push(IdentityHandle(identity))?)
    }

    fn drop(&mut self, handle: Handle) -> Result<()> {
        self.wasi.table.delete(handle)?;
        Ok(())
    }
}
