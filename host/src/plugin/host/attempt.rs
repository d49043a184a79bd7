//! `attempt`, and `routing`, which has types only.

use wasmtime::Result;

use crate::plugin::bindings::plugway::gateway::attempt::{Host, Outcome};
use crate::plugin::bindings::plugway::gateway::routing;
use crate::plugin::guest::Guest;

impl routing::Host for Guest {}

impl Host for Guest {
    fn tried(&mut self) -> Result<Vec<u64>> {
        Ok(self.exchange()?.attempts.tried.clone())
    }

    fn last_outcome(&mut self) -> Result<Option<Outcome>> {
        Ok(self.exchange()?.attempts.last.map(Outcome::from))
    }
}
