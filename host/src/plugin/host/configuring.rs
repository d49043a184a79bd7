//! `configuring`: of the configuration that is being taken.

use wasmtime::Result;

use super::header_name;
use crate::plugin::bindings::plugway::gateway::configuring::{Filter, Host};
use crate::plugin::bindings::plugway::gateway::types::{ChangeError, HeaderName};
use crate::plugin::guest::Guest;
use crate::plugin::kept_from_clients::is_of_clients;
use crate::plugin::prefetch::{Fact, TooMany};
use crate::plugin::rights::Hook;

impl Host for Guest {
    fn leave_out(&mut self, filter: Filter) -> Result<()> {
        let hook = match filter {
            Filter::Request => Hook::RequestFilter,
            Filter::Response => Hook::ResponseFilter,
        };
        let id = self.configured()?;
        self.left_out.everywhere(hook, id);
        Ok(())
    }

    fn leave_out_if_first(&mut self) -> Result<()> {
        let id = self.configured()?;
        self.left_out.if_first(id);
        Ok(())
    }

    fn prefetch_header(&mut self, name: HeaderName) -> Result<Result<(), ChangeError>> {
        let id = self.configured()?;
        let Some(name) = header_name(&self.names, &name) else {
            return Ok(Err(ChangeError::Invalid("not a header name".to_owned())));
        };
        Ok(self.prefetch.add(id, Fact::Header(name)).map_err(|TooMany| ChangeError::TooLarge))
    }

    fn prefetch_path(&mut self) -> Result<Result<(), ChangeError>> {
        let id = self.configured()?;
        Ok(self.prefetch.add(id, Fact::Path).map_err(|TooMany| ChangeError::TooLarge))
    }

    fn keep_from_clients(&mut self, name: HeaderName) -> Result<Result<(), ChangeError>> {
        let id = self.configured()?;
        let Some(name) = header_name(&self.names, &name) else {
            return Ok(Err(ChangeError::Invalid("not a header name".to_owned())));
        };
        if is_of_clients(&name) {
            return Ok(Err(ChangeError::Forbidden));
        }
        Ok(self.kept_from_clients.add(id, name).then_some(()).ok_or(ChangeError::TooLarge))
    }
}

impl Guest {
    /// The configuration that is being taken.
    fn configured(&self) -> Result<u32> {
        self.configuring.ok_or_else(|| wasmtime::Error::msg("used `configuring` outside `configure`"))
    }
}
