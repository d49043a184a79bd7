//! `granted`: what of the capabilities a plugin can do without it has.

use wasmtime::Result;

use crate::plugin::bindings::plugway::gateway::granted::Host;
use crate::plugin::guest::Guest;

impl Host for Guest {
    fn kv(&mut self) -> Result<bool> {
        Ok(self.store.is_some())
    }

    fn rate_limit(&mut self) -> Result<bool> {
        Ok(self.rate_limits.is_some())
    }

    fn secrets(&mut self) -> Result<bool> {
        Ok(!self.secrets.is_empty())
    }

    fn http_client(&mut self) -> Result<bool> {
        Ok(self.http_client.is_some())
    }

    fn keys(&mut self) -> Result<bool> {
        Ok(!self.keys.is_empty())
    }
}
