//! `types.local-response` and `types.failure`: what a guest makes only to give it away.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::exchange::LocalResponse;
use crate::plugin::bindings::plugway::gateway::types::{HeaderLine, Host, HostFailure, HostLocalResponse};
use crate::plugin::failure::Failure;
use crate::plugin::guest::{FailureHandle, Guest, LocalResponseHandle};
use crate::plugin::output;

/// Answers a guest may hold at a time: each can be as large as `max_local_body_bytes`.
const MOST_ANSWERS: usize = 8;

impl Guest {
    /// Takes an answer a guest gave away.
    pub(in crate::plugin) fn take_local_response(&mut self, handle: Resource<LocalResponseHandle>) -> Result<LocalResponse> {
        let made = self.wasi.table.delete(handle)?.0;
        self.answers -= 1;
        Ok(made?)
    }

    /// Takes the failure a guest gave away.
    pub(in crate::plugin) fn take_failure(&mut self, handle: Resource<FailureHandle>) -> Result<Failure> {
        Ok(Failure::refused(self.wasi.table.delete(handle)?.0))
    }
}

impl Host for Guest {}

impl HostLocalResponse for Guest {
    fn new(&mut self, status: u16, headers: Vec<HeaderLine>, body: Vec<u8>) -> Result<Resource<LocalResponseHandle>> {
        if self.answers == MOST_ANSWERS {
            return Err(wasmtime::Error::msg(format!("holds more than {MOST_ANSWERS} answers")));
        }
        let budget = Arc::clone(&self.budget);
        let handle = self.wasi.table.push(LocalResponseHandle(output::local_response(status, headers, body, &budget)))?;
        self.answers += 1;
        Ok(handle)
    }

    fn drop(&mut self, handle: Resource<LocalResponseHandle>) -> Result<()> {
        self.wasi.table.delete(handle)?;
        self.answers -= 1;
        Ok(())
    }
}

impl HostFailure for Guest {
    fn new(&mut self, reason: String) -> Result<Resource<FailureHandle>> {
        // It ends up in the log; no more of it is kept until then.
        Ok(self.wasi.table.push(FailureHandle(self.log.shown(&reason).into_owned()))?)
    }

    fn drop(&mut self, handle: Resource<FailureHandle>) -> Result<()> {
        self.wasi.table.delete(handle)?;
        Ok(())
    }
}
