//! `types.pass`: what an authorizer gives again and again, looked at once.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::{header_line, header_name};
use crate::exchange::{ChangeLimits, is_reserved};
use crate::plugin::bindings::plugway::gateway::types::{self, ChangeError, HostPass};
use crate::plugin::failure::Failure;
use crate::plugin::guest::{Guest, IdentityHandle, PassHandle};
use crate::telemetry::BudgetKey;

type Handle = Resource<PassHandle>;

/// Most headers that one pass removes.
const MOST_REMOVED: usize = 256;
/// Most bytes of headers that all passes of an instance have.
const MOST_BYTES: usize = 2 << 20;

impl Guest {
    /// Lets the request pass by what the guest has under a number. Its headers were held against the limits when it was made.
    pub(in crate::plugin) fn admit_by(&mut self, number: u32) -> Result<(), Failure> {
        let Ok(pass) = self.wasi.table.get(&Handle::new_borrow(number)) else {
            return Err(Failure::output(format!("let a request pass by the number {number}, which no pass of its has")));
        };
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        let limits = ChangeLimits { headers: usize::MAX, header_bytes: usize::MAX, ..self.limits };
        exchange.set_identity(Arc::clone(&pass.identity));
        let removed = pass.remove.iter().try_for_each(|name| exchange.remove_header(self.phase, name));
        let set = |(name, value): &(HeaderName, HeaderValue)| exchange.set_header(self.phase, &limits, name.clone(), value.clone());
        let changed = removed.and_then(|()| pass.set.iter().try_for_each(set));
        changed.map_err(|refused| Failure::refused(format!("let a request pass with headers: {}", super::why(refused.into()))))
    }

    fn changes(
        &mut self,
        remove: &[types::HeaderName],
        set: Vec<(types::HeaderName, Vec<u8>)>,
    ) -> Result<(Vec<HeaderName>, Vec<(HeaderName, HeaderValue)>), ChangeError> {
        if remove.len() > MOST_REMOVED {
            return Err(ChangeError::TooLarge);
        }
        if set.len() > self.limits.headers {
            self.hits.count(BudgetKey::MaxHeaders, 1);
            return Err(ChangeError::TooLarge);
        }
        let names = &mut self.names;
        let invalid = || ChangeError::Invalid("not a header name".into());
        let remove = remove.iter().map(|name| header_name(names, name).ok_or_else(invalid)).collect::<Result<Vec<_>, _>>()?;
        let set = set.into_iter().map(|(name, value)| header_line(names, &name, value)).collect::<Result<Vec<_>, _>>()?;
        if remove.iter().chain(set.iter().map(|(name, _)| name)).any(is_reserved) {
            return Err(ChangeError::Forbidden);
        }
        if set.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > self.limits.header_bytes {
            self.hits.count(BudgetKey::MaxHeaderBytes, 1);
            return Err(ChangeError::TooLarge);
        }
        Ok((remove, set))
    }
}

impl PassHandle {
    /// Bytes of its headers, which no other budget of the guest's counts.
    fn header_bytes(&self) -> usize {
        let removed = self.remove.iter().map(|name| name.as_str().len());
        removed.chain(self.set.iter().map(|(name, value)| name.as_str().len() + value.len())).sum()
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
        let pass = match self.changes(&remove, set) {
            Ok((remove, set)) => PassHandle { identity, remove: remove.into(), set: set.into() },
            Err(refused) => return Ok(Err(refused)),
        };
        let bytes = self.pass_bytes + pass.header_bytes();
        if bytes > MOST_BYTES {
            return Ok(Err(ChangeError::TooLarge));
        }
        let handle = self.wasi.table.push(pass)?;
        self.pass_bytes = bytes;
        Ok(Ok(handle))
    }

    fn number(&mut self, pass: Handle) -> Result<u32> {
        Ok(pass.rep())
    }

    fn drop(&mut self, pass: Handle) -> Result<()> {
        self.pass_bytes -= self.wasi.table.delete(pass)?.header_bytes();
        Ok(())
    }
}
