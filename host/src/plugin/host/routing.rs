//! `routing.attempt`.

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::plugin::bindings::plugway::gateway::routing::{Host, HostAttempt, Outcome};
use crate::plugin::guest::{AttemptHandle, Guest};

type Attempt = Resource<AttemptHandle>;

impl Host for Guest {}

impl HostAttempt for Guest {
    fn number(&mut self, _: Attempt) -> Result<u32> {
        Ok(self.exchange()?.attempts.number)
    }

    fn tried(&mut self, _: Attempt) -> Result<Vec<u64>> {
        Ok(self.exchange()?.attempts.tried.clone())
    }

    fn last_outcome(&mut self, _: Attempt) -> Result<Option<Outcome>> {
        Ok(self.exchange()?.attempts.last.map(|last| Outcome {
            endpoint: last.endpoint,
            status: last.status,
            fault: last.fault.map(|fault| fault.code().to_owned()),
        }))
    }

    fn drop(&mut self, _: Attempt) -> Result<()> {
        Ok(())
    }
}
