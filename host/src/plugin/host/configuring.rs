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
        let Some(id) = self.configuring else { return Err(wasmtime::Error::msg("used `configuring` outside `configure`")) };
        self.left_out.insert((hook, id));
        Ok(())
    }
}
