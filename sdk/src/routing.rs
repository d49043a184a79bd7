//! What a router decides on.

use std::fmt;

pub use crate::bindings::imports::plugway::gateway::routing::{Endpoint, Outcome};
pub use crate::bindings::imports::plugway::gateway::types::EndpointId;
pub use crate::bindings::outcome_observer::exports::plugway::gateway::outcome_observer::EndpointOutcome;
use crate::sys::{self, ask};

/// What has been tried for this request so far.
pub struct Attempt<'a> {
    raw: sys::AttemptHandle<'a>,
    number: u32,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(raw: sys::AttemptHandle<'a>, number: u32) -> Self {
        Self { raw, number }
    }
}

impl Attempt<'_> {
    /// 1 for the first try.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Endpoints tried before, oldest first.
    pub fn tried(&self) -> Vec<EndpointId> {
        ask!(self, attempt::tried())
    }

    /// How the try before this one ended.
    pub fn last_outcome(&self) -> Option<Outcome> {
        ask!(self, attempt::last_outcome())
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("number", &self.number()).finish_non_exhaustive()
    }
}
