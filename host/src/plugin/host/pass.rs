//! `types.pass`: what an authorizer gives again and again, looked at once.

use http::{HeaderName, HeaderValue};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{header_line, header_name};
use crate::exchange::is_reserved;
use crate::plugin::bindings::plugway::gateway::types::{self, ChangeError, HostPass};
use crate::plugin::failure::Failure;
use crate::plugin::guest::{Guest, IdentityHandle, PassHandle};
use crate::telemetry::BudgetKey;

type Handle = Resource<PassHandle>;

impl Guest {
    /// Lets the request pass by what the guest has under a number.
    pub(in crate::plugin) fn admit_by(&mut self, number: u32) -> Result<(), Failure> {
        let Ok(pass) = self.wasi.table.get(&Handle::new_borrow(number)) else {
            return Err(Failure::output(format!("let a request pass by the number {number}, which no pass of its has")));
        };
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        exchange.set_identity(pass.identity.clone());
        let removed = pass.remove.iter().try_for_each(|name| exchange.remove_header(self.phase, name));
        let set = |(name, value): &(HeaderName, HeaderValue)| exchange.set_header(self.phase, &self.limits, name.clone(), value.clone());
        let changed = removed.and_then(|()| pass.set.iter().try_for_each(set));
        changed.map_err(|refused| Failure::refused(format!("let a request pass with headers: {}", super::why(refused.into()))))
    }

    fn changes(
        &mut self,
        remove: &[types::HeaderName],
        set: Vec<(types::HeaderName, Vec<u8>)>,
    ) -> Result<(Vec<HeaderName>, Vec<(HeaderName, HeaderValue)>), ChangeError> {
        let names = &mut self.names;
        let invalid = || ChangeError::Invalid("not a header name".into());
        let remove = remove.iter().map(|name| header_name(names, name).ok_or_else(invalid)).collect::<Result<Vec<_>, _>>()?;
        let set = set.into_iter().map(|(name, value)| header_line(names, &name, value)).collect::<Result<Vec<_>, _>>()?;
        if remove.iter().chain(set.iter().map(|(name, _)| name)).any(is_reserved) {
            return Err(ChangeError::Forbidden);
        }
        if remove.len() + set.len() > self.limits.headers {
            self.hits.count(BudgetKey::MaxHeaders, 1);
            return Err(ChangeError::TooLarge);
        }
        let named: usize = remove.iter().map(|name| name.as_str().len()).sum();
        let lined: usize = set.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if named + lined > self.limits.header_bytes {
            self.hits.count(BudgetKey::MaxHeaderBytes, 1);
            return Err(ChangeError::TooLarge);
        }
        Ok((remove, set))
    }
}

impl HostPass for Guest {
    fn of(
        &mut self,
        identity: Resource<IdentityHandle>,
        remove: Vec<types::HeaderName>,
        set: Vec<(types::HeaderName, Vec<u8>)>,
    ) -> Result<std::result::Result<Handle, ChangeError>> {
        let identity = self.take_identity(identity)?;
        Ok(match self.changes(&remove, set) {
            Ok((remove, set)) => Ok(self.wasi.table.push(PassHandle { identity, remove: remove.into(), set: set.into() })?),
            Err(refused) => Err(refused),
        })
    }

    fn number(&mut self, pass: Handle) -> Result<u32> {
        Ok(pass.rep())
    }

    fn drop(&mut self, pass: Handle) -> Result<()> {
        self.wasi.table.delete(pass)?;
        Ok(())
    }
}
