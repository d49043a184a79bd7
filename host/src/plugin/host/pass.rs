//! `types.pass`: what an authorizer gives again and again, looked at once.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::{header_line, header_name, why};
use crate::exchange::{Identity, Pass};
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
    /// Lets the request pass by what the guest has under a number.
    pub(in crate::plugin) fn admit_by(&mut self, number: u32) -> Result<(), Failure> {
        let Ok(PassHandle(pass)) = self.wasi.table.get(&Handle::new_borrow(number)) else {
            return Err(Failure::output(format!("let a request pass by the number {number}, which no pass of its has")));
        };
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        exchange.admit(pass).map_err(|refused| Failure::refused(format!("let a request pass with headers: {}", why(refused.into()))))
    }

    /// A pass within its limits.
    fn pass(
        &mut self,
        identity: Arc<Identity>,
        remove: &[types::HeaderName],
        set: Vec<(types::HeaderName, Vec<u8>)>,
    ) -> Result<Pass, ChangeError> {
        let names = &mut self.names;
        let invalid = || ChangeError::Invalid("not a header name".into());
        let remove = remove.iter().map(|name| header_name(names, name).ok_or_else(invalid)).collect::<Result<Vec<_>, _>>()?;
        let set = set.into_iter().map(|(name, value)| header_line(names, &name, value)).collect::<Result<Vec<_>, _>>()?;
        let (removed, lines) = (remove.len(), set.len());
        let pass = Pass::new(identity, remove, set)?;
        let (is_many, is_long) = (lines > self.limits.headers, pass.set_bytes() > self.limits.header_bytes);
        self.hits.count(BudgetKey::MaxHeaders, is_many.into());
        self.hits.count(BudgetKey::MaxHeaderBytes, is_long.into());
        if is_many || is_long || removed > MOST_REMOVED || self.pass_bytes + pass.header_bytes() > MOST_BYTES {
            return Err(ChangeError::TooLarge);
        }
        Ok(pass)
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
        let pass = match self.pass(identity, &remove, set) {
            Ok(pass) => pass,
            Err(refused) => return Ok(Err(refused)),
        };
        let bytes = pass.header_bytes();
        let handle = self.wasi.table.push(PassHandle(pass))?;
        self.pass_bytes += bytes;
        Ok(Ok(handle))
    }

    fn number(&mut self, pass: Handle) -> Result<u32> {
        Ok(pass.rep())
    }

    fn drop(&mut self, pass: Handle) -> Result<()> {
        let PassHandle(pass) = self.wasi.table.delete(pass)?;
        self.pass_bytes -= pass.header_bytes();
        Ok(())
    }
}
