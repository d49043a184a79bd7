//! `configuring`: of the configuration that is being taken.

use wasmtime::Result;

use crate::plugin::bindings::plugway::gateway::configuring::{Filter, Host};
use crate::plugin::guest::Guest;
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
}

impl Guest {
    /// The configuration that is being taken.
    fn configured(&self) -> Result<u32> {
        self.configuring.ok_or_else(|| wasmtime::Error::msg("used `configuring` outside `configure`"))
    }
}
