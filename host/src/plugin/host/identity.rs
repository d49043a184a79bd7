//! `types.identity`. Unlike a request, a guest owns identities, so they live in the store's table.

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::exchange::Identity;
use crate::plugin::bindings::plugway::gateway::types::{ChangeError, HostIdentity, Value};
use crate::plugin::guest::{Guest, IdentityHandle};

type Handle = Resource<IdentityHandle>;

impl Guest {
    fn owned(&mut self, handle: &Handle) -> Result<&mut Identity> {
        Ok(&mut self.wasi.table.get_mut(handle)?.0)
    }

    /// Takes an identity a guest gave away.
    pub(in crate::plugin) fn take_identity(&mut self, handle: Handle) -> Result<Identity> {
        Ok(self.wasi.table.delete(handle)?.0)
    }
}

impl HostIdentity for Guest {
    fn new(&mut self, subject: String) -> Result<Handle> {
        Ok(self.wasi.table.push(IdentityHandle(Identity { subject, ..Identity::default() }))?)
    }

    fn subject(&mut self, handle: Handle) -> Result<String> {
        Ok(self.owned(&handle)?.subject.clone())
    }

    fn issuer(&mut self, handle: Handle) -> Result<Option<String>> {
        Ok(self.owned(&handle)?.issuer.clone())
    }

    fn set_issuer(&mut self, handle: Handle, issuer: String) -> Result<()> {
        self.owned(&handle)?.issuer = Some(issuer);
        Ok(())
    }

    fn scopes(&mut self, handle: Handle) -> Result<Vec<String>> {
        Ok(self.owned(&handle)?.scopes.clone())
    }

    fn set_scopes(&mut self, handle: Handle, scopes: Vec<String>) -> Result<()> {
        self.owned(&handle)?.scopes = scopes;
        Ok(())
    }

    fn claim(&mut self, handle: Handle, name: String) -> Result<Option<Value>> {
        Ok(self.owned(&handle)?.claim(&name).map(Value::from))
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

    fn drop(&mut self, handle: Handle) -> Result<()> {
        self.wasi.table.delete(handle)?;
        Ok(())
    }
}
